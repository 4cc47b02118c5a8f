"""Progress lines, and how a job ends that cannot go on: one line for its user, in the log as in the terminal."""

import errno
import re

import pytest

from semcom.errors import InputError
from semcom.progress import Progress, duration, logger, reported_to


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError("data.labeled_mat: no such file; correct the path"), "error: data.labeled_mat: no such file"),
        (
            OSError(errno.ENOSPC, "No space left on device", "steps.csv"),
            "error: the disk is full (steps.csv); make room",
        ),
    ],
)
def test_a_job_that_cannot_go_on_ends_with_one_line(error, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, reported_to(tmp_path / "job.log"):
        raise error
    assert ended.value.code == 1
    log = (tmp_path / "job.log").read_text()
    assert says in log and "Traceback" not in log and len(log.splitlines()) == 1
    assert says in capsys.readouterr().err


def test_a_full_disk_is_one(tmp_path):
    with pytest.raises(SystemExit), reported_to(tmp_path / "job.log"):
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)
    assert "the disk is full" in (tmp_path / "job.log").read_text()


def test_what_is_our_own_fault_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), reported_to(tmp_path / "job.log"):
        1 / 0  # noqa: B018
    assert "Traceback" in (tmp_path / "job.log").read_text()


def test_progress_is_plain_lines_and_the_last_step_always_gets_one(tmp_path):
    with reported_to(tmp_path / "job.log"):
        progress = Progress("pretrain proposed seed 0", 100, "epoch", every_seconds=1000)
        for epoch in range(1, 101):
            progress(epoch, gradient_norm=1.5)
    lines = (tmp_path / "job.log").read_text().splitlines()
    assert len(lines) == 1
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d pretrain proposed seed 0: epoch 100/100, gradient norm 1\.5, 0 s left", lines[0]
    )
    assert lines[0].isprintable()


def test_durations_read_as_a_person_says_them():
    assert [duration(s) for s in (0.2, 59, 61, 3599, 3661)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "59 min 59 s",
        "1 h 01 min",
    ]


def teardown_module():
    logger.handlers.clear()
