"""Rayleigh block fading: h ~ CN(0, 1), constant over the channel uses of one scene, known to the server."""

import torch
from torch import Tensor

from semcom.link.link import Link


class Channel(Link):
    def coefficients(self, scenes: int, generator: torch.Generator) -> Tensor:
        return torch.randn(scenes, 1, dtype=torch.complex64, device=generator.device, generator=generator)
