"""Steps of both stages against the bare arithmetic of their encoders, and evaluation against one pass of them."""

import time
from collections.abc import Callable, Sequence

import torch

from benchmarks.subject import Subject, bare_step, wait
from benchmarks.timing import Target, by_turns, row
from semcom.config.stage import Stage
from semcom.models.precision import encode, placed
from semcom.models.system import System
from semcom.planning.calibration import EnoughSteps
from semcom.training.evaluation import Evaluation
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain

STEPS = 60
WARM_UP = 4
NEVER = 10**9


class TakingTurns:
    """Looks on at a stage: after each of its steps, something else has its turn.

    Attributes:
        own, other: seconds of each step, and of what was done after it.
    """

    def __init__(self, other: Callable[[], object], steps: int):
        self._other, self._steps = other, steps
        self.own: list[float] = []
        self.other: list[float] = []

    def start(self, total: int, *_: object) -> None:
        self._resumed = time.perf_counter()

    def step_done(self, done: int, state: Callable[[], dict], **reached: object) -> None:
        stopped = time.perf_counter()
        self.own.append(stopped - self._resumed)
        self._other()
        self.other.append(time.perf_counter() - stopped)
        if len(self.own) == WARM_UP + self._steps:
            del self.own[:WARM_UP], self.other[:WARM_UP]
            raise EnoughSteps
        self._resumed = time.perf_counter()

    def trained(self, state: dict) -> None:
        raise AssertionError("the stage ended before enough of its steps were timed")


def against_bare(subject: Subject, stage: Stage, other: Callable[[], object], steps: int = STEPS) -> TakingTurns:
    """Run a stage as it always runs, for so many steps, each followed by `other`."""
    first = stage is Stage.PRETRAIN
    job = subject.pretrain_job if first else subject.finetune_job
    endless = {"epochs": NEVER} | ({} if first else {"evaluate_every_rounds": NEVER})
    job = job.model_copy(update={"schedule": job.schedule.model_copy(update=endless)})
    turns = TakingTurns(other, steps)
    try:
        if first:
            pretrain(job, subject.scenes, 0, turns)
        else:
            finetune(job, subject.scenes, 0, None, turns)
    except EnoughSteps:
        pass
    return turns


def stage_steps(subject: Subject, name: str, steps: int = STEPS) -> list[dict]:
    """A step of stage I, and of stage II, against forward and backward of the same encoders on ready-made tensors."""
    rows = []
    for stage, views, target in ((Stage.PRETRAIN, 2, 1.08), (Stage.FINETUNE, 1, 1.05)):
        batch = getattr(subject, f"{stage}_job").schedule.batch_size
        turns = against_bare(subject, stage, bare_step(subject, views * batch), steps)
        case = "stage I step, proposed" if views == 2 else "stage II step, channel and ledger included"
        rows.append(
            row(
                name, case, _ms(turns.own), "ms", against="the encoders' bare forward and backward",
                reference=_ms(turns.other), target=Target(target), **subject.where(name),
            )
        )  # fmt: skip
    return rows


def evaluation(subject: Subject, name: str, repeats: int = 15) -> list[dict]:
    """All test scenes and channel draws of an evaluation against encoding each scene once, from ready-made tensors."""
    scenes, job = subject.scenes, subject.finetune_job
    system = placed(System(job, scenes, 0), subject.compute, subject.device)
    split = "test" if "test" in scenes.indices else "validation"
    whole = Evaluation(scenes, split, job, 0, subject.compute)
    ready = list(whole.views())

    @torch.no_grad()
    def encode_once() -> None:
        system.eval()
        for views in ready:
            encode(system.encoders, views, subject.compute)
        wait(subject.device)

    times = by_turns({"evaluation": lambda: whole(system), "encoding": encode_once}, repeats)
    case = f"evaluation on {len(whole.indices)} scenes, {job.schedule.channel_draws} channel draws"
    return [
        row(
            name, case, _ms(times["evaluation"]), "ms", against="encoding each scene once",
            reference=_ms(times["encoding"]), target=Target(1.1), **subject.where(name),
        )
    ]  # fmt: skip


def profile(subject: Subject, name: str, steps: int = 10) -> list[dict]:
    """Where a step of stage I goes: operations by their own time on the CPU, each as a share of all."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        against_bare(subject, Stage.PRETRAIN, lambda: None, steps)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        row(name, event.key, [100 * event.self_cpu_time_total / total], "% of a stage I step", **subject.where(name))
        for event in events[:15]
    ]


def batched_views(subject: Subject, name: str, repeats: int = 20) -> list[dict]:
    """Both views in one batch against one after the other."""
    batch = subject.pretrain_job.schedule.batch_size
    one, half = bare_step(subject, 2 * batch), bare_step(subject, batch)
    times = by_turns({"one": one, "two": lambda: (half(), half())}, repeats)
    return [
        row(
            name, "two views in one batch", _ms(times["one"]), "ms", against="two batches of one view",
            reference=_ms(times["two"]), **subject.where(name),
        )
    ]  # fmt: skip


def _ms(seconds: Sequence[float]) -> list[float]:
    return [1e3 * second for second in seconds]
