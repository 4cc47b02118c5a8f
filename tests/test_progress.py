"""Progress lines, and how a job ends that cannot go on: one line for its user, in the log as in the terminal."""

import errno
import os
import re
import time

import pytest
import torch

from semcom.common.errors import InputError, Interrupted
from semcom.common.reporting import Progress, duration, logger, reported_to


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            InputError("data.files.labeled_mat: no such file; correct the path"),
            "error: data.files.labeled_mat: no such file",
        ),
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
    shown = capsys.readouterr().err
    assert says in shown and shown.endswith(f" (log: {tmp_path / 'job.log'})\n")  # lines of several jobs meet there


def test_a_full_disk_is_one(tmp_path):
    with pytest.raises(SystemExit), reported_to(tmp_path / "job.log"):
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)
    assert "the disk is full" in (tmp_path / "job.log").read_text()


@pytest.mark.parametrize("error", [Interrupted("SIGTERM at round 3 of 6"), KeyboardInterrupt()])
def test_an_interrupted_job_is_told_from_a_failed_one(error, tmp_path):
    with pytest.raises(SystemExit) as ended, reported_to(tmp_path / "job.log"):
        raise error
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert ended.value.code == os.EX_TEMPFAIL and "interrupted" in line and str(error) in line


def test_out_of_memory_is_one_line_that_names_what_to_change(tmp_path):
    with pytest.raises(SystemExit) as ended, reported_to(tmp_path / "job.log"):
        torch.empty(2**60, dtype=torch.uint8)
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert ended.value.code == 1
    assert "error: out of memory" in line and "`batch_size`" in line and "`mem_mb`" in line


def test_a_gpu_out_of_memory_is_one_too(tmp_path):
    """The kind is raised by hand: PyTorch raises it on a GPU only."""
    with pytest.raises(SystemExit), reported_to(tmp_path / "job.log"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1 GiB free.")
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert "error: out of memory (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0" in line


def test_a_log_that_cannot_be_opened_does_not_stop_the_work(tmp_path, capsys):
    (tmp_path / "job.log").mkdir()
    with reported_to(tmp_path / "job.log"):
        logger.info("at work")
    shown = capsys.readouterr().err
    assert "job.log cannot be written" in shown and "at work" in shown


def test_what_is_our_own_fault_keeps_its_traceback_once_and_names_its_log(tmp_path, capsys):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as ended, reported_to(log):
        1 / 0  # noqa: B018
    assert ended.value.code == 1
    assert log.read_text().endswith("ZeroDivisionError: division by zero\n")
    shown = capsys.readouterr().err
    assert shown.count("Traceback") == 1
    assert shown.endswith(f"ZeroDivisionError: division by zero (log: {log})\n")


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


@pytest.mark.parametrize("start", [500, None])
def test_the_time_left_counts_only_what_was_done_since_the_work_went_on(start, caplog, monkeypatch):
    """500 of 1000 steps were done by an earlier attempt; at a tenth of a second a step, 498 more take 50 s."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress("download a.mat", 1000, "MiB", start=start, every_seconds=0.2)
    with caplog.at_level("INFO", "semcom"):
        for done in (501, 502):
            now += 0.1
            progress(done)
    assert caplog.messages == ["download a.mat: MiB 502/1000, 50 s left"]


def test_the_first_report_of_work_that_goes_on_promises_nothing(caplog):
    progress = Progress("download a.mat", 1000, "MiB", start=None, every_seconds=0)
    with caplog.at_level("INFO", "semcom"):
        progress(500)
    assert caplog.messages == ["download a.mat: MiB 500/1000"]


@pytest.mark.slow
def test_all_long_work_says_where_it_is_in_plain_lines(finished):
    logs = finished / "results/test/logs"
    for log in logs.rglob("*.log"):
        assert all(line.isprintable() for line in log.read_text().splitlines()), log
    for name, says in {
        "render_rooms": r"render rooms: scene 144/144, 0 s left",
        "ingest": r"ingest: scene 144/144, 0 s left",
        "pretrain/simclr/seed0": r"pretrain simclr seed 0: epoch 3/3, loss \S+, gradient norm \S+, 0 s left",
        "finetune/simclr/snr10/labels1/seed0": r"finetune simclr .*: round 6/6, loss \S+, validation accuracy \S+, 0 s",
    }.items():
        assert re.search(says, (logs / f"{name}.log").read_text()), name


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
