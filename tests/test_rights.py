"""Files that may not be read or written, paths that are too long, files in the place of folders: one line, no traceback.

Root may do everything. Where the tests run as root, what they start goes without that right.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from semcom.common.errors import InputError
from semcom.common.files import check_reachable, check_writable, write_text

PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []


def plain_user(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command that file modes bind; output and errors together in `stdout`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [*PLAIN, *map(str, command)],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


@pytest.fixture
def closed():
    """Takes rights to a folder or file away, and gives them back afterwards."""
    changed = []

    def close(path: Path, mode: int) -> Path:
        changed.append((path, path.stat().st_mode))
        path.chmod(mode)
        return path

    yield close
    for path, mode in reversed(changed):
        path.chmod(mode)


WRITE = """
import sys
from semcom.common.files import write_text
from semcom.common.reporting import reported_to
with reported_to("job.log"):
    write_text(sys.argv[1], "new")
"""


@pytest.mark.parametrize(
    ("place", "mode", "named"),
    [("a", 0o555, "a"), ("a", 0o000, "a"), ("a/b", 0o555, "a/b"), (".", 0o555, ".")],
    ids=["folder above may not be written", "may not be searched", "folder may not be written", "the working folder"],
)
def test_a_writer_names_the_folder_that_refuses_and_whose_it_is(place, mode, named, tmp_path, closed):
    target = "new/c.txt" if place == "." else "a/b/c.txt" if place == "a/b" or mode == 0 else "a/new/c.txt"
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "job.log").touch()
    closed(tmp_path / place, mode)
    done = plain_user(sys.executable, "-c", WRITE, target, folder=tmp_path)
    (line,) = done.stdout.splitlines()
    assert (
        done.returncode == 1 and f" error: {named}: no permission to " in line and "have its owner change that" in line
    )


def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder/full").mkdir(parents=True)
    with pytest.raises(InputError, match=r"file: is a file where a folder is wanted; move it away$"):
        write_text(tmp_path / "file/a.txt", "a")
    with pytest.raises(InputError, match=r"folder: is a folder where a file is wanted; move it away$"):
        write_text(tmp_path / "folder", "a")
    for check in (check_reachable, check_writable):
        with pytest.raises(InputError, match=r"file: is a file where a folder is wanted"):
            check(tmp_path / "file/deep/er")
        check(tmp_path / "nowhere/yet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_name_that_is_too_long(tmp_path):
    for path in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "a.txt"):
        with pytest.raises(InputError, match=r"longer than the file system allows; choose a shorter name"):
            write_text(path, "a")
        with pytest.raises(InputError, match=r"longer than the file system allows"):
            check_writable(path)


ATTEMPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from attempts import attempt_in
from semcom.common.reporting import reported_to
with reported_to("job.log"), attempt_in(Path("run")) as attempt:
    attempt.start(3)
"""


@pytest.mark.parametrize(("place", "mode"), [("run/run.pt", 0o000), ("run", 0o555), ("run", 0o000)])
def test_a_checkpoint_or_its_folder_that_is_closed_does_not_begin_the_training_anew(place, mode, tmp_path, closed):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.pt").write_bytes(b"good")
    closed(tmp_path / place, mode)
    done = plain_user(sys.executable, "-c", ATTEMPT, ROOT / "tests", folder=tmp_path)
    (line,) = done.stdout.splitlines()
    assert done.returncode == 1 and f" error: {place}: no permission to " in line


COMMANDS = {
    "status": ("semcom.commands.status", "--configfile", ROOT / "tests/config.yaml"),
    "keep": ("semcom.commands.keep", "results/test"),
    "compare": ("semcom.commands.compare", "results/test", "--output", "out"),
    "compare_sizes": ("semcom.commands.compare_sizes", "results/test", "--output", "out"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_the_results_that_may_not_be_read(name, tmp_path, closed):
    (tmp_path / "results/test").mkdir(parents=True)
    closed(tmp_path / "results/test", 0o000)
    done = plain_user(sys.executable, "-m", *COMMANDS[name], folder=tmp_path)
    assert "results/test: no permission to " in done.stdout and "Traceback" not in done.stdout
    assert done.returncode == (0 if name == "status" else 1)  # all other runs are shown
    assert "remove" not in done.stdout  # they may be good


def test_a_command_names_the_folder_that_it_may_not_write_to(tmp_path, closed):
    closed(tmp_path, 0o555)
    arguments = ["semcom.commands.render_png_folder", "out", "--train", 20, "--test", 20, "--size", 8]
    done = plain_user(sys.executable, "-m", *arguments, folder=tmp_path)
    assert done.stdout.startswith("error: .: no permission to ") and len(done.stdout.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "mode", "named"),
    [
        ("results/test/tables", 0o555, "results/test/tables"),
        ("results", 0o555, "results"),
        ("results/test", 0o000, "results/test"),
        ("results/file", None, "results/test"),
        (".snakemake/metadata", 0o555, ".snakemake/metadata"),
    ],
)
@pytest.mark.parametrize("target", ["results/test/data/splits.csv", "partial"])
def test_results_that_are_closed_are_named_before_the_first_job(target, place, mode, named, checkout, closed):
    if mode is None:
        (checkout / "results").mkdir()
        (checkout / "results/test").touch()
    else:
        (checkout / place).mkdir(parents=True)
        closed(checkout / place, mode)
    arguments = ["--cores", "1", target, "--configfile", "tests/config.yaml"]
    done = plain_user("snakemake", *arguments, folder=checkout, PYTHONDONTWRITEBYTECODE="1")
    said = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(said) == 1 and said[0].startswith(f"error: {named}: "), done.stdout
    assert "Traceback" not in done.stdout and not list((checkout / "results").rglob("*.mat"))
