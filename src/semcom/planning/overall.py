"""How far all training of one call of Snakemake is: steps done of all, and the time that is left.

    all: 1240 of 3760 steps, 41 % of the work, 4 min 10 s left

Steps are those of the optimiser, of both stages. They take unlike times, so that share and time left go by work, in
scenes that an encoder sees forward and backward: two views of a batch for a step of stage I, one for a round of stage
II, and a third of one for a scene that is evaluated, forward alone. On two CPU cores, a round took 0.51 of a step.

All is read from what the runs leave: no run is asked, and none waits. Needs no torch.
"""

import csv
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semcom.common.reporting import duration
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.data.splits import label_subset
from semcom.planning.estimate import stage_one_work, stage_two_work
from semcom.runs.record import is_alive, read_record

EVERY_SECONDS = 15
FORWARD = 1 / 3  # of the work of forward and backward
EVALUATED = ("test", "validation")


@dataclass(frozen=True)
class Size:
    """Of a whole run: optimiser steps, and work in scenes forward and backward."""

    steps: int
    work: float


class Overall:
    """Adds up the runs that one call of Snakemake is to make.

    Args:
        needed: those runs.
        finished: whether Snakemake has taken over a run's results in this call.
        folder: that Snakemake runs in.
    """

    def __init__(self, config: Config, needed: Iterable[Run], finished: Callable[[Run], bool], folder: Path = Path()):
        self.config, self.needed, self.finished, self.folder = config, list(needed), finished, folder
        self._begun: set[Run] = set()
        self._start: tuple[float, float] | None = None  # time and work done when this call's first run began

    def line(self, now: float) -> str | None:
        """Where the work stands; None until the scenes are split, since the number of steps follows from them.

        Args:
            now: seconds on a clock that never goes back.

        Raises:
            InputError: some scenes do not fill a batch.
        """
        try:
            scenes = read_splits(self.folder / paths.results(self.config.experiment) / "data/splits.csv")
        except FileNotFoundError:
            return None
        sizes = {run: run_size(self.config, run, scenes) for run in self.needed}
        shares = {run: self._share(run) for run in self.needed}
        steps, done_steps = sum(s.steps for s in sizes.values()), sum(round(shares[r] * sizes[r].steps) for r in sizes)
        work, done = sum(s.work for s in sizes.values()), sum(shares[r] * sizes[r].work for r in sizes)
        text = f"all: {done_steps} of {steps} steps, {100 * done / work:.0f} % of the work"
        if self._start is None or done < self._start[1] or (done == self._start[1] and not self._any_at_work()):
            self._start = now, done  # a run that begins anew takes back what it had done
        began, earlier = self._start
        if done == earlier:  # nothing tells yet how long it takes
            return text
        return f"{text}, {duration((now - began) / (done - earlier) * (work - done))} left"

    def _any_at_work(self) -> bool:
        return any(is_alive(self._record(run)) for run in self.needed)

    def _record(self, run: Run) -> Path:
        return (self.folder / run.fill(paths.checkpoint(self.config.experiment, run.stage))).with_suffix(".json")

    def _share(self, run: Run) -> float:
        """How much of a run is done, from 0 to 1: also by earlier calls, from whose checkpoint it goes on."""
        if self.finished(run):
            return 1.0
        record = read_record(self._record(run))
        if record is None:  # it has not begun; or it has ended, and Snakemake is about to take over its results
            return 1.0 if run in self._begun else 0.0
        path = self._record(run)
        if not path.with_suffix(".pt").is_file() and not is_alive(path):  # an attempt that left nothing to go on from
            return 0.0
        self._begun.add(run)
        return min(1.0, record.done / record.total) if record.total else 0.0


def read_splits(path: Path) -> dict[str, Counter]:
    """Scenes of each class in each split, from `splits.csv`.

    Raises:
        FileNotFoundError: it is not there yet.
    """
    scenes: dict[str, Counter] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            scenes.setdefault(row["split"], Counter())[row["class"]] += 1
    return scenes


def run_size(config: Config, run: Run, scenes: Mapping[str, Counter]) -> Size:
    """What a whole run takes.

    Raises:
        InputError: its scenes do not fill a batch.
    """
    train = scenes["train"]
    if run.stage is Stage.PRETRAIN:
        schedule = config.pretrain_settings(run.method)
        steps, _ = stage_one_work(schedule, train.total())
        return Size(steps, 2 * steps * schedule.batch_size)
    schedule = config.finetune_settings(run.method)
    labels = np.repeat(np.arange(len(train)), list(train.values()))
    steps, evaluations = stage_two_work(schedule, len(label_subset(labels, run.label_fraction, run.seed)))
    evaluated = sum(scenes[split].total() for split in EVALUATED if split in scenes)
    return Size(steps, steps * schedule.batch_size + FORWARD * evaluations * evaluated)


def told(overall: Overall, stop: threading.Event, every_seconds: float = EVERY_SECONDS) -> threading.Thread | None:
    """Print a line on standard error every few seconds, in a thread that neither holds up nor outlives the process.

    Args:
        stop: ends it, when set.

    Returns:
        The thread; None where no run is to be made.
    """
    if not overall.needed:
        return None
    thread = threading.Thread(target=_tell, args=(overall, stop, every_seconds), name="overall", daemon=True)
    thread.start()
    return thread


def _tell(overall: Overall, stop: threading.Event, every_seconds: float) -> None:
    try:
        while not stop.wait(every_seconds):
            if line := overall.line(time.monotonic()):
                print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
    except Exception as error:  # it only tells: no fault of its own may cost a run
        fault = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"warning: no more lines on how far the whole is ({fault})", file=sys.stderr, flush=True)
