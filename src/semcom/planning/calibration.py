"""A short run of each stage, for its pace: seconds a step, an evaluation and a checkpoint, and the memory that it takes.

The stages run as they always do, on the real scenes, device and sizes; only their end comes early.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from semcom.common.errors import InputError
from semcom.common.usage import peak_device_memory_mb, peak_memory_mb
from semcom.config.jobs import FinetuneJob, PretrainJob
from semcom.config.stage import Stage
from semcom.data.scenes import Scenes
from semcom.models.precision import decide, placed
from semcom.models.system import System
from semcom.runs.checkpoint import Checkpoint
from semcom.runs.provenance import device_name
from semcom.training.evaluation import EVALUATED_SPLITS, Evaluation
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain

WARM_UP = 3  # steps that do not count: a device's first ones choose algorithms and fill caches
STEPS = (5, 200)
SECONDS = 20
EVALUATIONS = 5  # at most, within as many seconds


@dataclass(frozen=True)
class Pace:
    """What a run of a stage and method takes.

    Attributes:
        start_s: from the first line of its script to its first step, evaluations left out: imports, scenes, networks.
        steps: that were timed.
        step_s, evaluation_s, checkpoint_s: seconds each; an evaluation is of all splits, and stage I has none.
        peak_memory_mb, peak_device_memory_mb: as a run's provenance gives them.
    """

    stage: str
    method: str
    device: str
    threads: int
    start_s: float
    steps: int
    step_s: float
    evaluation_s: float
    checkpoint_s: float
    peak_memory_mb: float
    peak_device_memory_mb: float | None


class Stopwatch:
    """Looks on at a stage: notes when each step is done, and ends the stage after enough of them.

    Args:
        warm_up: steps that do not count.
        steps: that count, at least and at most.
        seconds: that they take in all, between these bounds.
    """

    def __init__(self, *, warm_up: int = WARM_UP, steps: Sequence[int] = STEPS, seconds: float = SECONDS):
        self.warm_up, self.steps, self.seconds = warm_up, steps, seconds
        self.times: list[float] = []
        self.state: dict | None = None

    def start(self, total: int, fault_in: Callable[[dict], str | None] = lambda state: None) -> None:
        """The run begins, from the beginning."""

    def step_done(self, done: int, state: Callable[[], dict], **reached: object) -> None:
        """A step is done.

        Raises:
            EnoughSteps: as soon as there are.
        """
        self.times.append(time.monotonic())
        least, most = self.steps
        if self.counted >= most or (self.counted >= least and self._span() >= self.seconds):
            self.state = state()
            raise EnoughSteps

    def trained(self, state: dict) -> None:
        """The run has ended by itself."""

    @property
    def counted(self) -> int:
        """Steps that are timed, those of the warm-up left out."""
        return max(0, len(self.times) - max(1, self.warm_up))

    def step_s(self) -> float:
        """Seconds a step, on average."""
        return self._span() / self.counted

    def _span(self) -> float:
        return self.times[-1] - self.times[-1 - self.counted] if self.counted else 0.0


class EnoughSteps(Exception):
    """A stopwatch has seen enough steps."""


def calibrate(
    job: PretrainJob | FinetuneJob,
    scenes: Scenes,
    seed: int,
    *,
    began: float,
    checkpoint: Path,
    seconds: float = SECONDS,
) -> Pace:
    """Run a stage for a few steps, then evaluate its network (stage II) and save its state.

    Args:
        began: `time.monotonic()` when the process began.
        checkpoint: a file where a run's own would lie, to be written and removed again.
        seconds: for which steps are timed, see `Stopwatch`.

    Raises:
        InputError: the run diverges before its pace is known.
    """
    first = isinstance(job, PretrainJob)
    # An epoch has a step or more, so these are enough of them; what a step takes does not depend on its epoch.
    endless = {"epochs": max(job.schedule.epochs, WARM_UP + STEPS[1] + 1)}
    endless |= {} if first else {"evaluate_every_rounds": sys.maxsize}  # evaluations are timed by themselves
    job = job.model_copy(update={"schedule": job.schedule.model_copy(update=endless)})
    if first:
        watch = _timed(lambda watch: pretrain(job, scenes, seed, watch), seconds)
    else:
        watch = _timed(lambda watch: finetune(job, scenes, seed, None, watch), seconds)
    step_s, evaluation_s = watch.step_s(), 0.0 if first else _evaluation_s(job, scenes, seed, seconds)
    return Pace(
        stage=Stage.PRETRAIN if first else Stage.FINETUNE,
        method=job.method,
        device=device_name(scenes.device),
        threads=torch.get_num_threads(),
        start_s=watch.times[0] - began - step_s - evaluation_s,
        steps=watch.counted,
        step_s=step_s,
        evaluation_s=evaluation_s,
        checkpoint_s=_checkpoint_s(watch.state, checkpoint),
        peak_memory_mb=peak_memory_mb(),
        peak_device_memory_mb=peak_device_memory_mb(),
    )


def _timed(stage: Callable[[Stopwatch], object], seconds: float) -> Stopwatch:
    watch = Stopwatch(seconds=seconds)
    try:
        stage(watch)
    except EnoughSteps:
        return watch
    raise InputError(
        f"the run diverges after {len(watch.times)} steps, too few to tell its pace; lower its learning rate first"
    )


def _evaluation_s(job: FinetuneJob, scenes: Scenes, seed: int, seconds: float) -> float:
    compute = decide(job.compute, scenes.device)
    system = placed(System(job, scenes, seed), compute, scenes.device)
    splits = [split for split in EVALUATED_SPLITS if split in scenes.indices]
    evaluations = [Evaluation(scenes, split, job, seed, compute) for split in splits]
    times: list[float] = []
    for number in range(1 + EVALUATIONS):
        began = time.monotonic()
        for evaluation in evaluations:
            evaluation(system)
        if number:  # the first is a warm-up
            times.append(time.monotonic() - began)
        if sum(times) > seconds:
            break
    return sum(times) / len(times)


def _checkpoint_s(state: dict, path: Path) -> float:
    began = time.monotonic()
    Checkpoint(path, "calibration").save(state)
    path.unlink()
    return time.monotonic() - began
