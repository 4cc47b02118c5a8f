"""What a step of each stage spends on each of its parts, in units of the bare step that follows it."""

import contextlib
import time
from collections.abc import Iterator
from unittest import mock

import torch

from benchmarks.steps import STEPS, WARM_UP, against_bare
from benchmarks.subject import Subject, bare_step, wait
from benchmarks.timing import row
from semcom.common import plugins
from semcom.config.stage import Stage
from semcom.data.scenes import Scenes
from semcom.models import precision, two_views
from semcom.training import finetune, optimization, pretrain


def parts(subject: Subject, name: str, steps: int = STEPS) -> list[dict]:
    """Each part of a step against forward and backward of the same encoders on ready-made tensors.

    What is left is the head's and decoder's forward pass, what is logged, and the loop itself.
    """
    loss = plugins.load("semcom.losses", subject.pretrain_job.loss)
    shared = {
        "batch": (Scenes, "batch"),
        "all networks, backward": (torch.Tensor, "backward"),
        "gradient norms": (optimization, "gradient_norm"),
        "optimizer, clipping": (torch.optim.SGD, "step"),
    }
    first = {
        "views": (pretrain, "random_views"),
        "encoders, forward": (two_views, "encode"),
        "loss, forward": (loss, "terms"),
        "weight norms": (optimization, "weight_norm"),
    }
    second = {"views": (finetune, "random_views"), "encoders, forward": (precision, "encode")}
    rows = []
    for stage, label, views, own in ((Stage.PRETRAIN, "stage I", 2, first), (Stage.FINETUNE, "stage II", 1, second)):
        functions = own | shared
        with contextlib.ExitStack() as stack:
            clocks = {
                part: stack.enter_context(clocked(*function, subject.device)) for part, function in functions.items()
            }
            bare = bare_step(subject, views * getattr(subject, f"{stage}_job").schedule.batch_size)
            spent: dict[str, list[float]] = {part: [] for part in functions}

            def other(spent=spent, clocks=clocks, bare=bare) -> None:
                for part, clock in clocks.items():
                    spent[part].append(clock.read())
                bare()
                for clock in clocks.values():
                    clock.read()  # the bare step's own is in no part

            turns = against_bare(subject, stage, other, steps)
        spent = {part: seconds[WARM_UP:] for part, seconds in spent.items()}
        spent["all else"] = [whole - sum(each) for whole, *each in zip(turns.own, *spent.values(), strict=True)]
        rows += [
            row(
                name, f"{label}: {part}", [1e3 * second for second in seconds], "ms", against="a bare step",
                reference=[1e3 * second for second in turns.other], **subject.where(name),
            )
            for part, seconds in ({"whole step": turns.own} | spent).items()
        ]  # fmt: skip
    return rows


class _Clock:
    """Seconds since it was last read."""

    def __init__(self):
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        self._seconds += seconds

    def read(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds


@contextlib.contextmanager
def clocked(owner: object, name: str, device: torch.device) -> Iterator[_Clock]:
    """Time all calls of a function, and on a device all that they start."""
    function, clock = getattr(owner, name), _Clock()

    def timed(*args, **kwargs):
        wait(device)
        began = time.perf_counter()
        result = function(*args, **kwargs)
        wait(device)
        clock.add(time.perf_counter() - began)
        return result

    with mock.patch.object(owner, name, timed):
        yield clock
