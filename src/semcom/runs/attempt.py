"""One attempt at a run, from its process's first moment to its last: the one thing that a stage's loop and a cluster share.

The loop says after every step where it is. What follows from a signal, a full disk or a second process is decided here.
"""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from semcom.common.checksums import check_derived
from semcom.common.errors import InputError, Interrupted
from semcom.common.files import remove_temporaries
from semcom.common.reporting import in_one_line, logger
from semcom.common.structure import fault, layout_of
from semcom.common.usage import Spent
from semcom.config.stage import Stage
from semcom.runs import signals
from semcom.runs.checkpoint import Checkpoint, fingerprint
from semcom.runs.earlier import take_again
from semcom.runs.environment import checkpoint_seconds
from semcom.runs.lock import Lock
from semcom.runs.record import LAST_WRITTEN, RunRecord, now, read_record

RECORD_SECONDS = 10


class Attempt:
    """Takes a run's lock, notes signals, keeps its checkpoint and its record, and clears up behind it.

    Enter it before torch is imported, since signals are noted from then on; leave it when the results are written. If
    another process has finished the same run meanwhile, or it was finished before and nothing that decides it has
    changed, entering ends this process with status 0.

    Args:
        job, seed, inputs: all that decides the run; inputs are files.
        checkpoint: where the run is kept. Its record (.json) and lock (.lock) lie beside it.
        earlier: where the run's results of before are kept while it is made anew, see `semcom.runs.earlier`.
        outputs: the files that the run will write, `record.LAST_WRITTEN` among them and written last.
    """

    def __init__(
        self,
        stage: Stage,
        job: dict,
        seed: int,
        *,
        checkpoint: Path,
        earlier: Path,
        inputs: Iterable[Path],
        outputs: Iterable[Path],
    ):
        self._run = job, seed, list(inputs)
        self._earlier_results = Path(earlier)
        self._stage, self._outputs = stage, [Path(path) for path in outputs]
        self._path = Path(checkpoint)
        self._every_seconds = checkpoint_seconds(os.environ)
        self._lock = Lock(self._path.with_suffix(".lock"))
        self._signals = signals.Signals()
        self._earlier: Spent | None = None
        self._steps = 0  # of this attempt
        self._kept = False  # whether there is a checkpoint to go on from,
        self._gained = False  # and whether this attempt has brought it further
        self._unrecorded = False  # whether it has been said that there is no record

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._signals)
            check_derived(self._run[2])
            self._fingerprint = fingerprint(*self._run)
            self._checkpoint = Checkpoint(self._path, self._fingerprint)
            self._take_lock()
            undo.callback(self._lock.release, remove=False)
            self._began = self._saved_at = self._recorded_at = time.monotonic()
            if self._is_finished():
                logger.info("another process has finished this run meanwhile; its results stay")
                self._clear()
                sys.exit(0)
            if self._takes_earlier_results():
                logger.info(
                    "nothing to train: the results of before are of the same settings, data and code; they stay"
                )
                self._clear()
                sys.exit(0)
            self._begin_record()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._clear()
        else:
            line = None if isinstance(error, Interrupted) else in_one_line(error) or f"{kind.__name__}: {error}"
            with contextlib.suppress(InputError, OSError):  # the error itself says enough
                self._record.changed(error=line and " ".join(line.split())).write(self._path.with_suffix(".json"))
            self._lock.release(remove=False)
        self._signals.__exit__(kind, error, traceback)

    def account(self) -> dict[str, object]:
        """For the run's provenance: what decides it, how many attempts there were, and what they took."""
        return {"fingerprint": self._fingerprint, "attempts": self._record.attempt, **asdict(self._spent())}

    # What a stage calls: this is one of the observers of `semcom.training.observer`.

    def start(self, total: int, fault_in: Callable[[dict], str | None] = lambda state: None) -> dict | None:
        """The state to go on from, that of the checkpoint if there is one that fits.

        Raises:
            Interrupted, InputError: a signal has asked to stop.
        """

        def fault_in_saved(saved: dict) -> str | None:
            wrong = fault(saved, {"spent": layout_of(Spent), "state": dict}, "its content") or fault_in(saved["state"])
            return wrong and f"is of another version: {wrong}"

        saved = self._checkpoint.load(fault_in_saved)
        self._kept = saved is not None
        if saved:
            self._earlier = Spent(**saved["spent"])
            self._write_record(total=total)
        else:
            self._write_record(total=total, done=0, accuracy=None, split=None)
        if self._signals.caught:
            self._stop()
        return saved["state"] if saved else None

    def step_done(
        self, done: int, state: Callable[[], dict], *, accuracy: float | None = None, split: str | None = None
    ) -> None:
        """Saves the state if it is time to, or if a signal has come.

        Raises:
            Interrupted: a signal has asked to stop.
        """
        self._steps += 1
        reached = {"done": done, "accuracy": accuracy, "split": split}
        stop = self._signals.caught and done < self._record.total  # else the end is nearer than a new beginning
        if stop or time.monotonic() - self._saved_at >= self._every_seconds:
            self._save(state())
        if stop:
            self._write_record(**reached)
            self._stop()
        if time.monotonic() - self._recorded_at >= RECORD_SECONDS:
            self._write_record(**reached)

    def trained(self, state: dict) -> None:
        """To be called when all steps are done, so that results that cannot be written need not be trained for again.

        Args:
            state: what is needed to write the results.
        """
        self._write_record(done=self._record.total)
        self._save(state)

    # The lock, and what another process may have done.

    def _take_lock(self) -> None:
        self._lock.wait(self._holder, lambda: self._signals.caught)
        if not self._lock.refused:  # then nobody writes now
            for path in (self._path, self._path.with_suffix(".json"), *self._outputs):
                remove_temporaries(path)

    def _holder(self) -> str:
        record = read_record(self._path.with_suffix(".json"))
        return record.holder() if record else "another process"

    def _is_finished(self) -> bool:
        """Whether the results are there. Others that are there are removed, as Snakemake would have done.

        Snakemake removes a job's outputs when the job begins. What is there now has been written since, by a process
        that held the lock.
        """
        found = [path for path in self._outputs if path.exists()]
        if found == self._outputs:
            provenance = next(path for path in self._outputs if path.name == LAST_WRITTEN)
            if self._is_of_this_run(provenance):
                return True
        for path in found:
            path.unlink()
        return False

    def _takes_earlier_results(self) -> bool:
        """Whether the results of before are whole, are made from what this run is given, and are in place again."""
        if not take_again(self._earlier_results, self._outputs, self._is_of_this_run):
            return False
        try:
            check_derived(self._outputs)
        except InputError:
            for path in self._outputs:
                path.unlink()
            return False
        return True

    def _is_of_this_run(self, provenance: Path) -> bool:
        """Whether results are made from what this run is given, by their `record.LAST_WRITTEN`."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return json.loads(provenance.read_text())["fingerprint"] == self._fingerprint
        return False

    def _spent(self) -> Spent:
        return Spent.since(self._began).after(self._earlier)

    # The checkpoint and the record. Neither is worth the training itself: where they cannot be written, it goes on.

    def _save(self, state: dict) -> None:
        self._saved_at = time.monotonic()
        try:
            self._checkpoint.save({"spent": asdict(self._spent()), "state": state})
            self._kept = self._gained = True
        except (InputError, OSError) as error:
            logger.warning("no checkpoint (%s); the training goes on", error)

    def _begin_record(self) -> None:
        path = self._path.with_suffix(".json")
        last = read_record(path)
        if last is None and path.is_file():
            logger.warning("record refused: %s is damaged or of another version; attempts are counted anew", path)
        self._record = RunRecord(
            stage=self._stage,
            done=last.done if last else 0,
            total=last.total if last else 0,
            unit=self._stage.unit,
            accuracy=last.accuracy if last else None,
            split=last.split if last else None,
            started_utc=now(),
            updated_utc=now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            slurm_job=signals.submitted_job(),
            attempt=last.attempt + 1 if last else 1,
            error=None,
        )
        self._write_record()

    def _write_record(self, **changes: object) -> None:
        self._recorded_at = time.monotonic()
        self._record = self._record.changed(**changes)
        try:
            self._record.write(self._path.with_suffix(".json"))
        except (InputError, OSError) as error:
            if not self._unrecorded:
                logger.warning("no record of where this run is (%s); the training goes on", error)
            self._unrecorded = True

    def _clear(self) -> None:
        """Remove the record and the lock. The checkpoint stays until Snakemake has the results, see `clear_finished`."""
        self._path.with_suffix(".json").unlink(missing_ok=True)
        self._lock.release(remove=True)

    # The end before the end.

    def _stop(self) -> None:
        """End this attempt because of the signal that came.

        Raises:
            Interrupted: always, but
            InputError: SLURM gives the job too little time for a step.
        """
        signal, job = self._signals.caught, signals.submitted_job()
        record = self._record
        where = f"{signal} at {record.unit} {record.done} of {record.total}"
        way_on = "the same command goes on from there" if self._kept else "the same command starts it again"
        if signal == "SIGUSR1" and job and not self._steps:  # the end of the job's time
            raise InputError(
                f"{where}: the time of SLURM job {job} is too short for a single step; raise `runtime` in the profile"
            )
        if job and signals.may_requeue(job, signal):
            in_vain = signal == "SIGUSR1" and not self._gained  # the next one's time would end as this one's
            refused = "nothing was gained" if in_vain else signals.requeue(job)
            way_on = f"job {job} is not requeued ({refused}); {way_on}" if refused else f"job {job} is requeued"
        saved = "a checkpoint is saved" if self._kept else "no checkpoint is saved"
        raise Interrupted(f"{where}: {saved}; {way_on}")
