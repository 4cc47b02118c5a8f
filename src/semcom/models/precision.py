"""How encoders compute: where a network lies, in which precision and memory format, and eq. (1) run that way."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semcom.config.sections import ComputeSettings


def placed(network: nn.Module, compute: ComputeSettings, device: torch.device) -> nn.Module:
    """Put a network and its encoders, `network.encoders`, where and how they are to run; compiled if so configured."""
    network.to(device, memory_format=_memory_format(compute))
    if compute.compile != "none":
        for encoder in network.encoders.values():
            encoder.compile(mode=compute.compile)  # in place: the names of its parameters stay
    return network


def encode(encoders: nn.ModuleDict, views: Mapping[str, Tensor], compute: ComputeSettings) -> dict[str, Tensor]:
    """Eq. (1) for every modality: (B, C, side, side) views to (B, K) features.

    The encoders run in the configured precision; what leaves them is float32, as is all that follows.
    """
    features = {}
    for modality, encoder in encoders.items():
        images = laid_out(views[modality], compute)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.dtype == torch.bfloat16):
            features[modality] = encoder(images)
    return {modality: z.float() for modality, z in features.items()}


def laid_out(images: Tensor, compute: ComputeSettings) -> Tensor:
    """Images in the type and memory format that encoders want."""
    # One after the other: both in one call take more than twice as long on a CPU.
    return images.to(precision(compute)).contiguous(memory_format=_memory_format(compute))


def precision(compute: ComputeSettings) -> torch.dtype:
    """What encoders compute in, and what their images are resampled in."""
    return torch.bfloat16 if compute.precision == "bfloat16" else torch.float32


def _memory_format(compute: ComputeSettings) -> torch.memory_format:
    return torch.channels_last if compute.channels_last else torch.contiguous_format
