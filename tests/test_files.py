"""Files that are whole or not there, on a disk that is really full and under a process that is really killed."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from attempts import attempt_in, own_signals  # noqa: F401
from semcom.analysis.records import write_csv
from semcom.common.errors import InputError
from semcom.common.files import is_disk_full, remove_temporaries, write_text, written_atomically
from semcom.common.reporting import logger, reported_to
from semcom.models.encoders import make_encoders, save_encoders
from semcom.rooms.nyud2_writer import write_splits_mat
from semcom.training import optimization
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from test_stages import CONFIG, made_scenes, stage_one, stage_two

pytestmark = pytest.mark.usefixtures("own_signals")


class SmallDisk:
    """A file system of its own, of one size in MiB."""

    def __init__(self, path: Path, size_mib: float):
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(size_mib * 2**20)}", "tmpfs", path], check=True)

    def fill(self, leaving: int = 0) -> None:
        """Take up all room but `leaving` bytes."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            file.truncate(max(0, file.tell() - leaving))

    def make_room(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    try:
        disk = SmallDisk(path, 4)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small file system, as root has it")
    yield disk
    logger.handlers.clear()  # a log may lie on it
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with written_atomically(path) as temporary:
        temporary.write_text("a")
        assert not path.exists()
    assert path.read_text() == "a"
    with pytest.raises(ZeroDivisionError), written_atomically(path) as temporary:
        temporary.write_text("b")
        1 / 0  # noqa: B018
    assert path.read_text() == "a" and list(path.parent.iterdir()) == [path]


def test_what_was_written_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    """Which a test cannot see without pulling the plug; so it looks at the order of the calls."""
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_text(tmp_path / "a.txt", "a")
    assert calls == ["fsync", "replace"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with written_atomically(path) as slow:
        slow.write_text("first")
        write_text(path, "second")
        assert path.read_text() == "second"
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_cleared_once_it_is_old(tmp_path):
    """And nothing else: neither the work of a living writer, nor another file's, nor a name of the user's own."""
    names = ["a.csv.12-0123abcd.tmp", "a.csv.13-0123abcd.tmp", "b.csv.12-0123abcd.tmp", "a.csv.tmp", "a.csv.mine.tmp"]
    for name in names:
        (tmp_path / name).touch()
        if name != names[1]:
            os.utime(tmp_path / name, times=(0, 0))
    write_text(tmp_path / "a.csv", "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", *names[1:]])
    remove_temporaries(tmp_path / "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", *names[2:]])


JOB = """
import sys, time
from pathlib import Path
from semcom.common.files import written_atomically
from semcom.common.reporting import reported_to
with reported_to(sys.argv[1]), written_atomically(sys.argv[2]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT])
def test_a_job_that_a_signal_ends_clears_up_and_says_so(number, tmp_path):
    log = tmp_path / "job.log"
    with subprocess.Popen(
        [sys.executable, "-c", JOB, log, tmp_path / "out/a.txt"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as job:
        job.stdout.readline()
        job.send_signal(number)
        assert job.wait(30) == os.EX_TEMPFAIL
    assert not list((tmp_path / "out").iterdir())
    (line,) = log.read_text().splitlines()
    assert " interrupted" in line and (number == signal.SIGINT or f"{number.name}: the same command" in line)


WRITER = """
import sys
from semcom.common.files import write_text
text = "0123456789" * 200_000
print("writing", flush=True)
while True:
    write_text(sys.argv[1], text)
"""


def test_a_writer_that_is_killed_leaves_the_whole_file(tmp_path):
    for attempt in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "a.txt"], stdout=subprocess.PIPE)
        writer.stdout.readline()
        deadline = time.monotonic() + 30
        while not (tmp_path / "a.txt").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.003 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert (tmp_path / "a.txt").stat().st_size == 2_000_000


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (
            RuntimeError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),
            True,
        ),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("No space left on device"), False),
        (None, False),
    ],
)
def test_a_full_disk_is_told_from_other_faults(error, full):
    assert is_disk_full(error) is full


def table_of_8_mb() -> pd.DataFrame:
    return pd.DataFrame({"a": range(1_000_000)})


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x" * 2**23),
        lambda path: write_csv(table_of_8_mb(), path),
        lambda path: save_encoders(torch.nn.ModuleDict({"rgb": torch.nn.Linear(2048, 1024)}), path, "ok"),
        lambda path: write_splits_mat(path, [1] * 2**22, [1]),
    ],
    ids=["text", "table", "encoders", "splits"],
)
def test_on_a_full_disk_a_writer_names_the_file_and_keeps_the_old_one(write, small_disk):
    path = small_disk.path / "result"
    path.write_text("old")
    with pytest.raises(
        InputError, match=r"disk/result: the disk is full; make room in .*disk and run the same command"
    ):
        write(path)
    assert path.read_text() == "old" and list(small_disk.path.iterdir()) == [path]


def stages(scenes):
    one, two = stage_one("simclr", epochs=3), stage_two(epochs=3)
    return {
        "pretrain": lambda attempt=None: pretrain(one, scenes, 0, attempt).steps,
        "finetune": lambda attempt=None: finetune(two, scenes, 0, None, attempt).rounds,
    }


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_disk_that_fills_up_does_not_end_the_training(stage, small_disk, caplog, monkeypatch):
    monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", "0")
    monkeypatch.setattr("semcom.runs.attempt.RECORD_SECONDS", 0)
    run = stages(made_scenes())[stage]
    whole = run()
    folder = small_disk.path / "run"
    with attempt_in(folder, stage) as attempt:
        small_disk.fill()
        pd.testing.assert_frame_equal(run(attempt), whole, check_exact=True)
        assert not (folder / "run.pt").exists()
        assert sum("no checkpoint" in line and "the disk is full" in line for line in caplog.messages) == 7


def test_results_that_cannot_be_written_are_written_later_without_training(small_disk, caplog, monkeypatch):
    """The whole story: the disk is full when the results are due; there is room again; the same command ends the run."""
    folder, log = small_disk.path / "run", small_disk.path.parent / "job.log"
    run = stages(made_scenes())["pretrain"]
    whole = run()
    with pytest.raises(SystemExit) as ended, reported_to(log), attempt_in(folder) as attempt:
        steps = run(attempt)
        small_disk.fill()
        write_csv(pd.concat([steps] * 50), folder / "steps.csv")
    arithmetic, progress, line = log.read_text().splitlines()
    assert " arithmetic: " in arithmetic and ": epoch 3/3" in progress
    assert ended.value.code == 1 and "steps.csv: the disk is full; make room" in line and (folder / "run.pt").is_file()
    small_disk.make_room()
    monkeypatch.setattr(optimization, "set_learning_rates", None)  # no step can be taken
    with reported_to(log), attempt_in(folder) as attempt:
        pd.testing.assert_frame_equal(run(attempt), whole, check_exact=True)
        write_csv(steps, folder / "steps.csv")
    assert "going on from" in log.read_text().splitlines()[3]


def test_the_checkpoint_before_stays_when_the_disk_is_full(small_disk, monkeypatch):
    monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", "0")
    folder = small_disk.path / "run"
    with pytest.raises(KeyError), attempt_in(folder) as attempt:
        attempt.start(3)
        attempt.step_done(1, lambda: {"step": 1, "network": torch.zeros(200_000)})
        small_disk.fill(leaving=2**19)
        attempt.step_done(2, lambda: {"step": 2, "network": torch.zeros(200_000)})
        raise KeyError
    with attempt_in(folder) as attempt:
        assert attempt.start(3)["step"] == 1


def test_a_log_on_a_full_disk_is_said_once_and_the_work_goes_on(small_disk, capfd):
    small_disk.fill()
    with reported_to(small_disk.path / "job.log"):
        for line in range(5000):
            logger.info("line %d", line)
    shown = capfd.readouterr().err
    assert shown.count("the log") == 1 and "cannot be written" in shown and "Traceback" not in shown
    assert "line 4999" in shown


def test_encoders_are_the_same_bytes_each_time(tmp_path):
    encoders = make_encoders(CONFIG.encoder, {"rgb": 3, "depth": 1}, 0)
    for name in ("one.pt", "two.pt"):
        save_encoders(encoders, tmp_path / name, "ok")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
