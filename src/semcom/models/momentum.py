"""Networks that follow a trained one as its moving average: momentum encoders."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from semcom.config.jobs import PretrainJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models.predictor import WithPredictor
from semcom.models.two_views import halves, projected


class WithTarget(WithPredictor):
    """Predictors of what a target network sees: a moving average of the encoders and projectors.

    The average is of the parameters alone. The target's batch normalisation takes the statistics of its own batch, and
    its running statistics are of what passes through the target; those of the encoders are of the encoders' own.

    Args:
        hidden: as in `WithPredictor`.
        tau: from a step, counted from 0, and the number of steps to the share of itself that the target then keeps.
    """

    def __init__(self, job: PretrainJob, scenes: Scenes, seed: int, hidden: int, tau: Callable[[int, int], float]):
        super().__init__(job, scenes, seed, hidden)
        self.tau = tau
        self.target_encoders = frozen_copy(self.encoders)
        self.target_projectors = frozen_copy(self.projectors)

    def features(self, views: Mapping[str, Tensor], compute: ComputeSettings) -> tuple[list[Tensor], ...]:
        """Predictions from both views, then what the target sees of both: four times M float32 tensors (B, K)."""
        z = projected(self.encoders, self.projectors, views, compute)
        with torch.no_grad():
            target = projected(self.target_encoders, self.target_projectors, views, compute)
        return *halves(self.predicted(z, compute)), *halves(target)

    def after_step(self, step: int, total: int) -> None:
        """The target follows what the step has made of the encoders and projectors."""
        tau = self.tau(step, total)
        follow(self.target_encoders, self.encoders, tau)
        follow(self.target_projectors, self.projectors, tau)


def frozen_copy(network: nn.Module) -> nn.Module:
    """A network with the same values and no gradient."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, tau: float) -> None:
    """xi <- tau xi + (1 - tau) theta for all parameters xi of `average` and theta of `network`; buffers stay."""
    for xi, theta in zip(average.parameters(), network.parameters(), strict=True):
        xi.lerp_(theta, 1 - tau)
