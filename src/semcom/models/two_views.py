"""Stage I's network: encoders and projectors, from two views of a scene to what a loss sees."""

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from semcom.common.errors import InputError
from semcom.config.jobs import PretrainJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models.encoders import make_encoders, make_head
from semcom.models.precision import encode, in_precision
from semcom.rng import stream_seed

OFFERS = ("encoders", "parts", "features", "after_step")  # of a network of stage I, see semcom.losses


class TwoViews(nn.Module):
    """The encoders of all modalities, and the projectors that stage I throws away."""

    def __init__(self, job: PretrainJob, scenes: Scenes, seed: int):
        super().__init__()
        channels = {m: scenes.modalities[m].channels for m in job.modalities}
        self.encoders = make_encoders(job.encoder, channels, seed)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "projectors"))
            self.projectors = nn.ModuleDict({m: make_head(job.encoder.features, job.projector) for m in job.modalities})

    @property
    def parts(self) -> dict[str, nn.Module]:
        """By name, all networks that the loss trains: each encoder under its modality, then the others."""
        return {**self.encoders, "projectors": self.projectors}

    def features(self, views: Mapping[str, Tensor], compute: ComputeSettings) -> tuple[list[Tensor], ...]:
        """Two views of all modalities, (2 B, C, side, side), to what the loss sees: M float32 tensors (B, K) for each view.

        Both views pass in one batch, which batch normalisation thus sees whole. Projectors run in the encoders' precision.
        """
        return halves(projected(self.encoders, self.projectors, views, compute))

    def after_step(self, step: int, total: int) -> None:
        """Called after step `step` of `total`, counted from 0, has been taken. These networks have nothing left to do."""


def make_network(loss: ModuleType, job: PretrainJob, scenes: Scenes, seed: int) -> nn.Module:
    """The network that a loss file offers, or `TwoViews`.

    Raises:
        InputError: it lacks what stage I needs, or trains parameters of which its `parts` do not tell; the message names
            the file.
    """
    network = getattr(loss, "network", TwoViews)(job, scenes, seed)
    for name in OFFERS:
        if not hasattr(network, name):
            raise InputError(f"{loss.__file__}: its network has no '{name}'; derive it from TwoViews, which has")
    parts = network.parts
    if list(network.encoders) != job.modalities or any(parts.get(m) is not e for m, e in network.encoders.items()):
        raise InputError(
            f"{loss.__file__}: its network has encoders {list(network.encoders)} and parts {list(parts)}; both need one "
            f"encoder for each of {job.modalities}, in this order and under these names"
        )
    told = {parameter for part in parts.values() for parameter in part.parameters()}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter not in told:
            raise InputError(
                f"{loss.__file__}: its network trains '{name}', which is in none of its parts; add it there, or freeze "
                "it by requires_grad_(False)"
            )
    return network


def projected(
    encoders: nn.ModuleDict, projectors: nn.ModuleDict, views: Mapping[str, Tensor], compute: ComputeSettings
) -> dict[str, Tensor]:
    """Views through encoders and projectors: (2 B, C, side, side) to (2 B, K) float32, for each modality."""
    features = encode(encoders, views, compute)
    return {m: in_precision(projectors[m], z, compute).float() for m, z in features.items()}


def halves(both: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """(2 B, K) of each modality to M tensors (B, K) of the first view, and M of the second."""
    first, second = zip(*(each.chunk(2) for each in both.values()), strict=True)
    return list(first), list(second)
