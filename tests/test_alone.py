"""Jobs without a checkpoint, one process at a time: real processes, real locks, and two real Snakemakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semcom.runs.alone import alone, clear_locks

# Makes a file once its standard input ends, and says when it has begun.
MAKER = """
import sys
from pathlib import Path
from semcom.common.files import write_text
from semcom.common.reporting import reported_to
from semcom.runs.alone import alone
path, width = Path(sys.argv[1]), int(sys.argv[2])
with reported_to(path.with_suffix(".log")), alone([path], {"width": width}, [path.with_suffix(".raw")]) as waited:
    print("begun", flush=True)
    sys.stdin.read()
    write_text(path, f"{width} by {sys.argv[3]}")
"""


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "a.raw").write_text("raw")
    return tmp_path / "a.txt"


def maker(path: Path, name: str, width: int = 3) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(path), str(width), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(text: str, path: Path) -> None:
    deadline = time.monotonic() + 60
    while text not in (path.with_suffix(".log").read_text() if path.with_suffix(".log").exists() else ""):
        assert time.monotonic() < deadline, path.with_suffix(".log").read_text()
        time.sleep(0.02)


def test_who_comes_later_waits_and_takes_what_was_made(path):
    first = maker(path, "first")
    assert first.stdout.readline() == "begun\n"
    second = maker(path, "second")
    wait_for(f"waiting: process {first.pid} on {os.uname().nodename} (`kill {first.pid}` there stops it) works", path)
    first.communicate()
    assert second.communicate() == ("", None) and (first.returncode, second.returncode) == (0, 0)
    assert path.read_text() == "3 by first" and "its files stay" in path.with_suffix(".log").read_text()


@pytest.mark.parametrize(
    "what", ["other settings", "another input", "killed", "failed", "files removed", "files changed"]
)
def test_who_comes_later_makes_what_the_first_has_not_made(what, path):
    first = maker(path, "first", width=4 if what == "other settings" else 3)
    assert first.stdout.readline() == "begun\n"
    if what == "another input":
        path.with_suffix(".raw").write_text("other")
    second = maker(path, "second")
    wait_for("waiting: process", path)
    second.send_signal(signal.SIGSTOP)  # until all is over
    if what in ("killed", "failed"):
        (path.parent / f"{path.name}.{first.pid}-0123abcd.tmp").write_text("half")
        first.send_signal(signal.SIGKILL if what == "killed" else signal.SIGTERM)
    first.communicate()
    if what == "files removed":  # as Snakemake does before a job
        path.unlink()
    if what == "files changed":
        path.write_text("3 by thirds")
    second.send_signal(signal.SIGCONT)
    assert second.communicate()[0] == "begun\n" and second.returncode == 0
    assert path.read_text() == "3 by second" and not list(path.parent.glob("*.tmp"))


def test_what_a_job_has_made_is_not_made_again_until_its_lock_is_cleared(path):
    """A job that outlives its Snakemake is known to the next one; forced to run once more, it is made once more."""
    with alone([path], {}, []):
        path.write_text("made")
    os.utime(path)  # as Snakemake does after a job
    with pytest.raises(SystemExit) as ended, alone([path], {}, []):
        pytest.fail("begun again")
    assert ended.value.code == 0
    clear_locks([path.parent, path.parent / "nowhere"])
    assert not list(path.parent.glob("*.lock"))
    with alone([path], {}, []):
        path.write_text("again")


def test_a_lock_that_is_held_is_not_cleared(path):
    path.touch()
    with maker(path, "first") as first:
        assert first.stdout.readline() == "begun\n"
        clear_locks([path.parent])
        assert json.loads((path.parent / "a.txt.lock").read_text())["pid"] == first.pid


def test_a_lock_that_says_nothing_is_taken(path):
    for text in ("", "{", "[1]", '{"made": null}'):
        (path.parent / "a.txt.lock").write_text(text)
        path.unlink(missing_ok=True)
        with alone([path], {}, []) as waited:
            path.write_text("made")
        assert waited == 0
