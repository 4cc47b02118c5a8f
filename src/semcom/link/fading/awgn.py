"""Additive white Gaussian noise: h = 1."""

import torch
from torch import Tensor

from semcom.link.link import Link


class Channel(Link):
    def coefficients(self, scenes: int, generator: torch.Generator) -> Tensor:
        return torch.ones(scenes, 1, dtype=torch.complex64, device=generator.device)
