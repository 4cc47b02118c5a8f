"""Stage I's network: encoders and projectors, from two views of a scene to what a loss sees."""

import torch
from torch import Tensor, nn

from semcom.config.jobs import PretrainJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models.encoders import make_encoders, make_head
from semcom.models.precision import encode, in_precision
from semcom.rng import stream_seed


class TwoViews(nn.Module):
    """The encoders of all modalities, and the projectors that stage I throws away."""

    def __init__(self, job: PretrainJob, scenes: Scenes, seed: int):
        super().__init__()
        channels = {m: scenes.modalities[m].channels for m in job.modalities}
        self.encoders = make_encoders(job.encoder, channels, seed)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "projectors"))
            self.projectors = nn.ModuleDict({m: make_head(job.encoder.features, job.projector) for m in job.modalities})

    def features(self, views: dict[str, Tensor], compute: ComputeSettings) -> tuple[list[Tensor], list[Tensor]]:
        """Two views of all modalities, (2 B, C, side, side), to what the loss sees: M float32 tensors (B, K) for each view.

        Both views pass in one batch, which batch normalisation thus sees whole. Projectors run in the encoders' precision.
        """
        seen = [
            in_precision(self.projectors[m], z, compute).float()
            for m, z in encode(self.encoders, views, compute).items()
        ]
        first, second = zip(*(both.chunk(2) for both in seen), strict=True)
        return list(first), list(second)
