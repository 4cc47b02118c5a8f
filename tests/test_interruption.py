"""Real signals, at the places where they find a run, and what the run's user reads then."""

import os
import re
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from attempts import attempt_in, own_signals  # noqa: F401
from semcom.common.errors import InputError, Interrupted
from semcom.common.reporting import reported_to
from semcom.runs.record import read_record
from semcom.runs.signals import ASKED_TO_STOP, SUBMITTED_JOB, Signals, requeue
from semcom.training import optimization
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from test_files import small_disk  # noqa: F401
from test_stages import CONFIG, made_scenes, stage_one, stage_two

pytestmark = pytest.mark.usefixtures("own_signals")


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


@pytest.fixture
def signal_in_step(monkeypatch):
    """Sends this process a signal as it begins its n-th step from now, counted from 0; None sends none."""
    original = optimization.set_learning_rates

    def sent(number: int | None, step: int | None = None) -> None:
        left = [step]

        def counted(optimizer, *factors):
            if left[0] is not None:
                left[0] -= 1
                if left[0] == -1:
                    os.kill(os.getpid(), number)
            original(optimizer, *factors)

        monkeypatch.setattr(optimization, "set_learning_rates", counted)

    return sent


def client(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


@pytest.fixture
def scontrol(tmp_path, monkeypatch) -> Path:
    """Stands for SLURM: notes what is requeued, answers as `answer` says, and calls the job what `state` holds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    client(folder / "scontrol", f'echo "$@" >> {tmp_path}/asked\n. {tmp_path}/answer\n')
    client(folder / "squeue", f"cat {tmp_path}/state\n")
    (tmp_path / "answer").write_text("exit 0\n")
    (tmp_path / "state").write_text("RUNNING\n")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv(SUBMITTED_JOB, "4711")
    return tmp_path


def run_of(stage: str):
    scenes = made_scenes()
    if stage == "pretrain":
        job = stage_one("simclr", epochs=3)
        return lambda attempt=None: pretrain(job, scenes, 0, attempt).steps
    job = stage_two(epochs=3)
    return lambda attempt=None: finetune(job, scenes, 0, None, attempt).rounds


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("number", ASKED_TO_STOP)
def test_a_signal_ends_the_run_after_its_step_and_the_next_attempt_ends_the_same(
    number, stage, signal_in_step, tmp_path
):
    run = run_of(stage)
    whole = run()
    signal_in_step(number, 2)
    with pytest.raises(Interrupted) as interrupted, attempt_in(tmp_path, stage) as attempt:
        run(attempt)
    done, total, unit = (1, 3, "epoch") if stage == "pretrain" else (3, 6, "round")
    assert str(interrupted.value) == (
        f"{signal.Signals(number).name} at {unit} {done} of {total}: a checkpoint is saved; "
        "the same command goes on from there"
    )
    left = read_record(tmp_path / "run.json")
    assert (left.done, left.total, left.error) == (done, total, None)
    signal_in_step(None)
    with attempt_in(tmp_path, stage) as attempt:
        pd.testing.assert_frame_equal(run(attempt), whole, check_exact=True)


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_signal_in_the_last_step_does_not_keep_the_run_from_its_end(stage, signal_in_step, tmp_path):
    run = run_of(stage)
    signal_in_step(signal.SIGTERM, 5)
    with attempt_in(tmp_path, stage) as attempt:
        assert len(run(attempt)) >= 6


def test_a_signal_before_the_first_step_ends_the_run_before_it(tmp_path):
    with pytest.raises(Interrupted) as interrupted, attempt_in(tmp_path) as attempt:
        os.kill(os.getpid(), signal.SIGTERM)  # as libraries and scenes are loaded
        run_of("pretrain")(attempt)
    assert str(interrupted.value) == "SIGTERM at epoch 0 of 3: no checkpoint is saved; the same command starts it again"


def test_a_signal_as_results_are_written_is_ignored_and_so_is_one_after_them(tmp_path):
    with attempt_in(tmp_path) as attempt:
        run_of("pretrain")(attempt)
        os.kill(os.getpid(), signal.SIGTERM)
    for number in ASKED_TO_STOP:
        os.kill(os.getpid(), number)
    assert not (tmp_path / "run.json").exists()


def test_signals_that_the_process_was_started_to_ignore_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup, or in the background of a script
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.caught is None
        os.kill(os.getpid(), signal.SIGUSR1)  # but the warning of a time limit is wanted
        assert signals.caught == "SIGUSR1"


def test_the_first_of_several_signals_counts():
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.caught == "SIGUSR1"


def test_an_interrupted_job_ends_with_one_line_and_asks_for_another_try(signal_in_step, tmp_path, capsys):
    signal_in_step(signal.SIGINT, 1)
    with pytest.raises(SystemExit) as ended, reported_to(tmp_path / "job.log"):
        with attempt_in(tmp_path, "finetune") as attempt:
            run_of("finetune")(attempt)
    assert ended.value.code == os.EX_TEMPFAIL
    _, line = (tmp_path / "job.log").read_text().splitlines()  # the first says the arithmetic
    assert re.fullmatch(r"\d\d:\d\d:\d\d interrupted: SIGINT at round 2 of 6: .*", line)
    assert line in capsys.readouterr().err


# Under SLURM


def test_the_end_of_a_jobs_time_requeues_it(scontrol, signal_in_step):
    signal_in_step(signal.SIGUSR1, 2)
    with pytest.raises(Interrupted, match=r"a checkpoint is saved; job 4711 is requeued$"):
        with attempt_in(scontrol, "finetune") as attempt:
            run_of("finetune")(attempt)
    assert (scontrol / "asked").read_text() == "requeue 4711\n"
    assert (scontrol / "run.pt").is_file()


def test_a_job_that_slurm_will_not_requeue_says_why(scontrol, signal_in_step):
    (scontrol / "answer").write_text('echo "Job may not be requeued\n(4711)" >&2; exit 1\n')
    signal_in_step(signal.SIGUSR1, 2)
    expected = r"job 4711 is not requeued \(Job may not be requeued \(4711\)\); the same command goes on from there$"
    with pytest.raises(Interrupted, match=expected), attempt_in(scontrol) as attempt:
        run_of("pretrain")(attempt)


def test_a_preempted_job_is_requeued(scontrol, signal_in_step):
    signal_in_step(signal.SIGTERM, 2)
    with pytest.raises(Interrupted, match=r"job 4711 is requeued$"), attempt_in(scontrol) as attempt:
        run_of("pretrain")(attempt)
    assert (scontrol / "asked").read_text() == "requeue 4711\n"


def test_a_job_that_is_preempted_before_its_first_step_is_requeued_too(scontrol):
    with pytest.raises(Interrupted, match=r"no checkpoint is saved; job 4711 is requeued$"):
        with attempt_in(scontrol) as attempt:
            os.kill(os.getpid(), signal.SIGTERM)
            run_of("pretrain")(attempt)
    assert (scontrol / "asked").read_text() == "requeue 4711\n"


@pytest.mark.parametrize(
    ("number", "state"),
    [(signal.SIGTERM, "COMPLETING"), (signal.SIGTERM, "CANCELLED"), (signal.SIGTERM, ""), (signal.SIGINT, "RUNNING")],
)
def test_a_job_that_its_user_has_cancelled_does_not_come_back(number, state, scontrol, signal_in_step):
    (scontrol / "state").write_text(f"{state}\n")
    signal_in_step(number, 2)
    with pytest.raises(Interrupted, match="the same command goes on from there"), attempt_in(scontrol) as attempt:
        run_of("pretrain")(attempt)
    assert not (scontrol / "asked").exists()


def test_a_time_too_short_for_a_step_is_not_requeued_for_ever(scontrol):
    with pytest.raises(InputError, match="SLURM job 4711 is too short for a single step; raise `runtime`"):
        with attempt_in(scontrol) as attempt:
            os.kill(os.getpid(), signal.SIGUSR1)
            run_of("pretrain")(attempt)
    assert not (scontrol / "asked").exists()
    assert "raise `runtime`" in read_record(scontrol / "run.json").error


def test_an_attempt_whose_checkpoint_cannot_be_saved_is_not_requeued_for_ever(scontrol, signal_in_step, small_disk):  # noqa: F811
    signal_in_step(signal.SIGUSR1, 2)
    with pytest.raises(Interrupted, match="no checkpoint is saved; job 4711 is not requeued"):
        with attempt_in(small_disk.path / "run") as attempt:
            small_disk.fill()
            run_of("pretrain")(attempt)
    assert not (scontrol / "asked").exists()


@pytest.mark.parametrize("submitted", [None, "4710"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_users_own_allocation_is_not_requeued(number, submitted, scontrol, signal_in_step, monkeypatch):
    """Where Snakemake runs in it, also where that Snakemake was itself started by a job that a pipeline submitted."""
    monkeypatch.delenv(SUBMITTED_JOB)
    if submitted:
        monkeypatch.setenv(SUBMITTED_JOB, submitted)
    signal_in_step(number, 2)
    with pytest.raises(Interrupted, match="a checkpoint is saved; the same command goes on from there$"):
        with attempt_in(scontrol) as attempt:
            assert "`kill " in read_record(scontrol / "run.json").holder()  # and not `scancel`
            run_of("pretrain")(attempt)
    assert not (scontrol / "asked").exists()


def test_without_a_client_a_job_is_not_requeued(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "scontrol" in requeue("4711")


def test_the_interval_between_checkpoints_is_a_number_of_seconds(monkeypatch, tmp_path):
    for text in ("often", "-1", ""):
        monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", text)
        with pytest.raises(InputError, match="SEMCOM_CHECKPOINT_SECONDS"):
            attempt_in(tmp_path)


def test_signals_are_noted_before_torch_is_loaded():
    """Its import takes seconds; the modules that catch signals must not bring it along."""
    code = "import semcom.runs.attempt, semcom.common.reporting, sys; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
