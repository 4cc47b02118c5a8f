"""What files hold: read, kept and compared; and what is said of a derived file that has changed."""

import hashlib
import json
import os
import subprocess

import pytest

from semcom.common import checksums
from semcom.common.checksums import check_content, check_derived, sha256_of, write_checksum
from semcom.common.errors import InputError

LARGE = 2**24


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, whose files count as settled at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checksums, "_SETTLED_NS", -(10**12))
    return tmp_path


def changed_unseen(path, content: bytes) -> None:
    """Write other content of the same size into a file, and set its date back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns


def test_small_files_are_read_each_time_and_leave_nothing(here):
    for name in ("a", "b"):
        (here / name).write_text(name)
    assert sha256_of(["b", "a", "b"]) == [hashlib.sha256(name.encode()).hexdigest() for name in "bab"]
    assert not checksums.KEPT.exists()


def test_a_large_file_is_read_again_only_when_it_has_changed(here):
    path = here / "large"
    path.write_bytes(bytes(LARGE))
    digest = hashlib.sha256(bytes(LARGE)).hexdigest()
    assert sha256_of(["large"]) == [digest]
    kept = json.loads(checksums.KEPT.read_text())
    kept["large"][1] = "as it was kept"
    checksums.KEPT.write_text(json.dumps(kept))
    assert sha256_of(["large"]) == ["as it was kept"]  # not read
    changed_unseen(path, b"x")
    assert sha256_of(["large"]) == [hashlib.sha256(b"x" + bytes(LARGE - 1)).hexdigest()]
    path.write_bytes(bytes(LARGE))
    assert sha256_of(["large"]) == [digest]


def test_what_may_still_change_within_a_tick_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large").write_bytes(bytes(LARGE))
    sha256_of(["large"])
    assert json.loads(checksums.KEPT.read_text()) == {}


@pytest.mark.parametrize("kept", ["", "[]", "{", "\x00", '{"large": null}', '{"large": [1]}'])
def test_damaged_notes_cost_a_reading(kept, here):
    (here / "large").write_bytes(bytes(LARGE))
    checksums.KEPT.parent.mkdir()
    checksums.KEPT.write_text(kept)
    assert sha256_of(["large"]) == [hashlib.sha256(bytes(LARGE)).hexdigest()]


def test_much_to_read_is_said(here):
    with (here / "large").open("wb") as file:
        file.truncate(2**28)
    said = []
    for _ in range(2):
        sha256_of(["large"], said.append)
    assert said == ["reading 0.3 GB for their checksum: large"]


def test_a_checksum_is_one_of_sha256sum(here):
    (here / "data.h5").write_bytes(b"content")
    write_checksum(here / "data.h5")
    assert subprocess.run(["sha256sum", "--check", "data.h5.sha256"], cwd=here, capture_output=True).returncode == 0
    check_derived([here / "data.h5", here / "data.h5.sha256"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda path: changed_unseen(path, b"C"),
            "data.h5: changed since this program wrote it (data.h5.sha256 has another",
        ),
        (lambda path: path.unlink(), "data.h5: cannot be read (No such file or directory)"),
        (
            lambda path: path.with_name("data.h5.sha256").write_text(""),
            "data.h5.sha256: damaged, it has no checksum; move it away",
        ),
        (lambda path: path.with_name("data.h5.sha256").unlink(), "data.h5.sha256: cannot be read (No such file"),
    ],
)
def test_a_derived_file_that_has_changed_is_named_with_its_remedy(change, expected, here):
    path = here / "data.h5"
    path.write_bytes(b"content")
    write_checksum(path)
    change(path)
    with pytest.raises(InputError) as error:
        check_derived([path, f"{path}.sha256"])
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_the_expected_one_is_named(here):
    (here / "raw.mat").write_bytes(b"content")
    check_content({"raw.mat": hashlib.sha256(b"content").hexdigest(), str(here): "a folder", "nowhere": "no file"})
    with pytest.raises(InputError, match=r"^raw.mat: its SHA-256 is not the one expected, 000000000000"):
        check_content({"raw.mat": "0" * 64})
