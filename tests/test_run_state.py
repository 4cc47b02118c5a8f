"""Who works on a run: one process at a time, with real processes and real locks; and what its record says."""

import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attempts import attempt_in, own_signals  # noqa: F401
from semcom.common.errors import InputError, Interrupted
from semcom.runs.earlier import EarlierResults
from semcom.runs.lock import Lock
from semcom.runs.record import RunRecord, check_results, clear_finished, is_alive, now, read_record
from semcom.runs.signals import SUBMITTED_JOB

pytestmark = pytest.mark.usefixtures("own_signals")

FIELDS = [
    *("stage", "done", "total", "unit", "accuracy", "split", "started_utc", "updated_utc", "host", "pid"),
    *("slurm_job", "attempt", "error"),
]
HOLDER = """
import sys, time
from pathlib import Path
from semcom.runs.lock import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
lock.release(remove=sys.argv[2] == "remove")
"""


def holder(lock: Path, leaving: str = "leave") -> subprocess.Popen:
    """Another process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(lock), leaving]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def record(**changes) -> RunRecord:
    values = {"stage": "finetune", "done": 3, "total": 6, "unit": "round", "accuracy": 0.5, "split": "validation"}
    values |= {"started_utc": now(), "updated_utc": now(), "host": "node7", "pid": 1234, "slurm_job": None}
    return RunRecord(**(values | {"attempt": 1, "error": None} | changes))


def finish(attempt, fingerprint=None) -> None:
    """Write the one output of `attempt_in`, as a run's provenance."""
    path = attempt._outputs[0]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"fingerprint": fingerprint} if fingerprint else attempt.account()))


# The record


def test_a_record_comes_back_as_it_was_written(tmp_path):
    record().write(tmp_path / "run.json")
    assert read_record(tmp_path / "run.json") == record(
        started_utc=read_record(tmp_path / "run.json").started_utc,
        updated_utc=read_record(tmp_path / "run.json").updated_utc,
    )
    assert list(json.loads((tmp_path / "run.json").read_text())) == FIELDS


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "finetune"}', "null", "\x00\x01"])
def test_what_is_no_record_is_none(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    assert read_record(tmp_path / "run.json") is None
    assert read_record(tmp_path / "nowhere.json") is None


@pytest.mark.parametrize(
    "changes",
    [
        *({name: {"x": 1}} for name in FIELDS),
        {"done": True},
        {"done": "3"},
        {"accuracy": "high"},
        {"updated_utc": ""},
        {"updated_utc": "2025-03-01T11:00:00"},  # of which zone?
        {"node": "of a newer version"},
    ],
)
def test_a_record_of_another_version_is_none_and_the_next_attempt_begins_its_own(changes, tmp_path, caplog):
    path = tmp_path / "run.json"
    record(attempt=3).write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert read_record(path) is None and not is_alive(path)
    with attempt_in(tmp_path):
        assert read_record(path).attempt == 1
    (line,) = caplog.messages
    assert line.startswith(f"record refused: {path} is damaged or of another version; ")


@pytest.mark.parametrize("text", ["[]", "null", "3", "{}", '{"fingerprint": [1]}', "\x00"])
def test_a_foreign_provenance_counts_as_no_result(text, tmp_path):
    results = tmp_path / "results/provenance.json"
    results.parent.mkdir()
    results.write_text(text)
    with attempt_in(tmp_path):
        assert not results.exists()  # as Snakemake has it: the run writes it anew


def test_an_attempt_says_how_far_it_is_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("semcom.runs.attempt.RECORD_SECONDS", 0)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv(SUBMITTED_JOB, "4711")
    path = tmp_path / "run.json"
    with attempt_in(tmp_path, "finetune") as attempt:
        first = read_record(path)
        assert (first.stage, first.unit, first.done, first.attempt, first.error) == ("finetune", "round", 0, 1, None)
        assert first.pid == os.getpid() and first.slurm_job == "4711" and is_alive(path)
        assert attempt.start(12) is None
        attempt.step_done(1, dict, accuracy=0.25, split="test")
        later = read_record(path)
        assert (later.done, later.total, later.accuracy, later.split) == (1, 12, 0.25, "test")
        assert later.started_utc == first.started_utc
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.h5: damaged; ingest again"), "a.h5: damaged; ingest again"),
        (ZeroDivisionError("division by\nzero"), "ZeroDivisionError: division by zero"),
        (MemoryError("17 GB"), "out of memory (17 GB); lower `batch_size`"),
    ],
)
def test_a_failed_attempt_leaves_its_reason_and_the_next_one_counts_on(error, line, tmp_path):
    with pytest.raises(type(error)), attempt_in(tmp_path):
        raise error
    left = read_record(tmp_path / "run.json")
    assert left.error.startswith(line) and "\n" not in left.error and not is_alive(tmp_path / "run.json")
    with pytest.raises(KeyError), attempt_in(tmp_path) as attempt:
        begun = read_record(tmp_path / "run.json")
        assert begun.error is None and begun.attempt == 2
        assert attempt.account()["attempts"] == 2
        raise KeyError


def test_what_earlier_attempts_took_is_added_up(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", "0")
    with pytest.raises(KeyError), attempt_in(tmp_path) as attempt:
        attempt.start(2)
        time.sleep(0.3)
        attempt.step_done(1, dict)
        raise KeyError
    with attempt_in(tmp_path) as attempt:
        attempt.start(2)
        account = attempt.account()
    assert 0.3 <= account["wall_time_s"] and account["attempts"] == 2 and account["peak_memory_mb"] > 10


def test_peak_memory_is_the_process_s_own_and_not_that_of_who_started_it():
    code = "from semcom.common.usage import peak_memory_mb as peak; start = peak(); x = b'x' * 10**8; print(start, peak() - start)"
    ballast = b"x" * 300_000_000
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    start, grown = map(float, done.stdout.split())
    assert len(ballast) / 1e6 > 3 * start and 90 < grown < 110


# The lock


def test_a_lock_is_held_by_one_and_freed_however_its_process_ends(tmp_path):
    lock = Lock(tmp_path / "run.lock")
    other = holder(lock.path)
    assert is_alive(tmp_path / "run.json") and not lock.acquire()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert not is_alive(tmp_path / "run.json") and lock.acquire()
    assert is_alive(tmp_path / "run.json")
    lock.release(remove=True)
    assert not is_alive(tmp_path / "run.json") and not lock.path.exists()


def test_to_look_is_not_to_hold(tmp_path):
    lock = Lock(tmp_path / "run.lock")
    assert lock.acquire()
    lock.release(remove=False)
    assert not is_alive(tmp_path / "run.json") and not is_alive(tmp_path / "run.json")
    assert lock.acquire()


def test_a_lock_file_that_its_holder_removed_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    """Else two that come after it could each hold one: the removed file's, and the new file's."""
    lock = Lock(tmp_path / "run.lock")
    real, stolen = fcntl.flock, []

    def just_before_it_goes(file, how):
        real(file, how)
        if not stolen:
            stolen.append(True)
            lock.path.unlink()

    monkeypatch.setattr(fcntl, "flock", just_before_it_goes)
    assert lock.acquire()
    other = Lock(tmp_path / "run.lock")
    assert not other.acquire()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 524])
def test_without_locks_a_run_goes_on_with_a_warning_and_its_record_says_that_it_is_alive(
    code, tmp_path, monkeypatch, caplog
):
    def refused(file, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refused)  # stands for a file system that this machine does not have
    path = tmp_path / "run.json"
    lock = Lock(path.with_suffix(".lock"))
    assert lock.wait(lambda: "nobody") == 0 and lock.refused
    assert "no file locks here" in caplog.text and len(caplog.messages) == 1
    assert not is_alive(path)
    record().write(path)
    assert is_alive(path)
    old = datetime.now(UTC) - timedelta(minutes=10)
    path.write_text(json.dumps(asdict(record(updated_utc=old.isoformat(timespec="seconds")))))
    assert not is_alive(path)


def test_a_file_system_that_calls_every_lock_held_is_not_waited_for(tmp_path, monkeypatch, caplog):
    def refused(file, how):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(fcntl, "flock", refused)  # stands for a file system that this machine does not have
    lock = Lock(tmp_path / "run.lock")
    assert lock.wait(lambda: "nobody") == 0 and lock.refused
    assert "no file locks here" in caplog.text and list(tmp_path.iterdir()) == [lock.path]


# Two processes, one run


@pytest.fixture
def as_it_waits(monkeypatch):
    """Does something while an attempt waits for another's lock, however long it has taken to come to that."""
    monkeypatch.setattr("semcom.runs.lock._GLANCE_SECONDS", 0)
    sleep, left = time.sleep, []

    def slept(seconds):
        while left:
            left.pop()()
        sleep(seconds)

    monkeypatch.setattr("semcom.runs.lock.time.sleep", slept)
    return left.append


def test_a_second_process_says_whom_it_waits_for_and_takes_over(tmp_path, caplog, as_it_waits):
    record(pid=77, host="node7", slurm_job="4711").write(tmp_path / "run.json")
    other = holder(tmp_path / "run.lock")
    as_it_waits(other.kill)
    with caplog.at_level("INFO", "semcom"), attempt_in(tmp_path) as attempt:
        assert other.wait() == -signal.SIGKILL
        assert attempt.account()["attempts"] == 2
    assert "process 77 of SLURM job 4711 on node7 (`scancel 4711` stops it) works on this" in caplog.text
    assert "the other process has ended" in caplog.text and len(caplog.messages) == 2


def test_who_waits_is_stopped_by_a_signal(tmp_path, as_it_waits):
    record().write(tmp_path / "run.json")
    before = (tmp_path / "run.json").read_bytes()
    other = holder(tmp_path / "run.lock")
    as_it_waits(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="SIGTERM while waiting"), attempt_in(tmp_path):
        pass
    assert (tmp_path / "run.json").read_bytes() == before  # it is the other's
    other.communicate()


def test_results_that_another_process_wrote_stay(tmp_path, caplog):
    with attempt_in(tmp_path) as attempt:
        finish(attempt)
    written = (tmp_path / "results/provenance.json").read_bytes()
    with caplog.at_level("INFO", "semcom"), pytest.raises(SystemExit) as ended, attempt_in(tmp_path):
        pytest.fail("the run was begun again")
    assert ended.value.code == 0 and "its results stay" in caplog.text
    assert (tmp_path / "results/provenance.json").read_bytes() == written
    assert not list(tmp_path.glob("run.*"))


@pytest.mark.parametrize("found", ["another", "none at all"])
def test_results_of_another_configuration_do_not_stay(found, tmp_path):
    with attempt_in(tmp_path, job={"epochs": 1}) as attempt:
        finish(attempt, "0123")
    if found == "none at all":
        (tmp_path / "results/provenance.json").write_text("{")
    with attempt_in(tmp_path, job={"epochs": 2}):
        assert not (tmp_path / "results/provenance.json").exists()


# After Snakemake has the results


def test_only_what_finished_runs_left_is_cleared(tmp_path):
    checkpoints, results = tmp_path / "checkpoints", tmp_path
    for name in ("done", "unfinished", "alive"):
        (checkpoints / "pretrain" / name).mkdir(parents=True)
        (checkpoints / "pretrain" / name / "seed0.pt").touch()
        (results / "pretrain" / name / "seed0").mkdir(parents=True)
    for name in ("done", "alive"):
        (results / "pretrain" / name / "seed0/provenance.json").touch()
    other = holder(checkpoints / "pretrain/alive/seed0.lock")
    clear_finished(checkpoints, results)
    left = sorted(str(path.relative_to(checkpoints)) for path in checkpoints.rglob("*.*"))
    assert left == ["pretrain/alive/seed0.lock", "pretrain/alive/seed0.pt", "pretrain/unfinished/seed0.pt"]
    assert not (checkpoints / "pretrain/done").exists()
    other.communicate()


def test_to_clear_nothing_is_no_error(tmp_path):
    clear_finished(tmp_path / "checkpoints", tmp_path)
    (tmp_path / "checkpoints").mkdir()
    clear_finished(tmp_path / "checkpoints", tmp_path)
    assert not (tmp_path / "checkpoints").exists()


# Results of before


@pytest.mark.parametrize("fingerprint", [None, "of other settings"])
def test_a_run_takes_its_earlier_results_if_they_are_its_own(fingerprint, tmp_path, caplog):
    with attempt_in(tmp_path) as attempt:
        finish(attempt, fingerprint)
    results = tmp_path / "results/provenance.json"
    text = results.read_text()
    earlier = EarlierResults(tmp_path / "earlier", lambda path: None, lambda path, record: None)
    earlier.set_aside([([str(results)], True)])
    results.unlink()  # as Snakemake does when the job begins
    caplog.set_level("INFO", "semcom")
    if fingerprint is None:
        with pytest.raises(SystemExit) as ended, attempt_in(tmp_path):
            pass
        assert ended.value.code == 0 and results.read_text() == text
        assert "nothing to train: the results of before are of the same settings, data and code" in caplog.text
        assert not (tmp_path / "run.json").exists() and not (tmp_path / "run.lock").exists()
    else:
        with attempt_in(tmp_path):
            assert not results.exists()


def test_results_that_were_edited_are_named(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        folder.mkdir()
        (folder / "rounds.csv").write_text("round,accuracy\n")
    digest = hashlib.sha256(b"round,accuracy\n").hexdigest()
    (run / "provenance.json").write_text(json.dumps({"files": {"rounds.csv": digest}}))
    inputs = [run / "rounds.csv", run / "provenance.json", other / "rounds.csv"]
    check_results(inputs)
    (other / "rounds.csv").write_text("no run wrote this")
    check_results(inputs)
    (run / "rounds.csv").write_text("round,accuracy\n0,1.0\n")
    with pytest.raises(
        InputError, match=r"run/rounds.csv: changed since its run wrote it \(provenance.json has another"
    ):
        check_results(inputs)
