"""A whole step of stage I on ready-made views, as Python gives it to the device, or as one CUDA graph.

Of the stage's own step it leaves out what differs from step to step: the batch, its views, the learning rate, the log.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.subject import Subject, ready_views, wait
from semcom.common import plugins
from semcom.config.sections import ComputeSettings
from semcom.models.precision import placed
from semcom.models.two_views import TwoViews

_WARM_UP = 3  # steps before a capture: they choose algorithms and make the optimizer's buffers


class WholeStep:
    """Forward, loss, backward, clipping and SGD of stage I's network.

    Attributes:
        loss: of the last step, a scalar tensor on the device.
    """

    def __init__(self, subject: Subject, compute: ComputeSettings):
        job = subject.pretrain_job
        self._compute, self._device = compute, subject.device
        self._network = placed(TwoViews(job, subject.scenes, 0), compute, subject.device).train()
        self._views = ready_views(subject, 2 * job.schedule.batch_size, compute)
        self._terms = plugins.load("semcom.losses", job.loss)
        self._options = self._terms.Options(**job.options)
        self._bound = job.schedule.clip_gradient_norm
        self._optimizer = torch.optim.SGD(
            self._network.parameters(), lr=job.schedule.learning_rate / 100, momentum=job.schedule.momentum,
            weight_decay=job.schedule.weight_decay,
        )  # fmt: skip
        self.loss: Tensor | None = None

    def eager(self) -> Callable[[], None]:
        """The step, operation by operation."""

        def step() -> None:
            self._step()
            wait(self._device)

        return step

    def graphed(self) -> Callable[[], None]:
        """The step, captured and then replayed; capturing takes `_WARM_UP` steps. CUDA only."""
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # as capturing wants its warm-up
            for _ in range(_WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        self._optimizer.zero_grad(set_to_none=True)  # so that gradients are made in the graph's own memory
        with torch.cuda.graph(graph):
            self._step()

        def step() -> None:
            graph.replay()
            wait(self._device)

        return step

    def _step(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        z, z_tilde = self._network.features(self._views, self._compute)
        loss = sum(self._terms.terms(z, z_tilde, self._options).values())
        loss.backward()
        if self._bound is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._bound)
        self._optimizer.step()
        self.loss = loss.detach()


def losses_after(step: WholeStep, run: Callable[[], None], steps: int) -> list[float]:
    """The loss of each of some steps."""
    found = []
    for _ in range(steps):
        run()
        found.append(step.loss.item())
    return found
