"""Two views with a predictor behind each projector, as BYOL and SimSiam have it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semcom.config.jobs import PretrainJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models.encoders import make_head
from semcom.models.precision import in_precision
from semcom.models.two_views import TwoViews, halves, projected
from semcom.rng import stream_seed


class WithPredictor(TwoViews):
    """`TwoViews`, and for each modality a predictor from the loss's K features to as many.

    Args:
        hidden: width of a predictor's one hidden layer, which has batch norm and ReLU.
    """

    def __init__(self, job: PretrainJob, scenes: Scenes, seed: int, hidden: int):
        super().__init__(job, scenes, seed)
        width = job.projector[-1] if job.projector else job.encoder.features
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "predictors"))
            self.predictors = nn.ModuleDict({m: make_head(width, [hidden, width]) for m in job.modalities})

    @property
    def parts(self) -> dict[str, nn.Module]:
        """As `TwoViews`, and the predictors."""
        return {**super().parts, "predictors": self.predictors}

    def features(self, views: Mapping[str, Tensor], compute: ComputeSettings) -> tuple[list[Tensor], ...]:
        """Predictions from both views, then the features that they are made from: four times M float32 tensors (B, K)."""
        z = projected(self.encoders, self.projectors, views, compute)
        return *halves(self.predicted(z, compute)), *halves(z)

    def predicted(self, z: Mapping[str, Tensor], compute: ComputeSettings) -> dict[str, Tensor]:
        """(2 B, K) of each modality through its predictor, in the encoders' precision, to (2 B, K) float32."""
        return {m: in_precision(self.predictors[m], each, compute).float() for m, each in z.items()}
