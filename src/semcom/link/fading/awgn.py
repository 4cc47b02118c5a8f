"""No fading: h = 1. The noise of eq. (2) alone, additive, white and Gaussian.

Source: arXiv 2503.13940, Section IV-A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    """Nothing to set."""


def coefficients(scenes: int, generator: Generator, options: Options) -> Tensor:
    """h = 1; draws nothing."""
    import torch

    return torch.ones(scenes, 1, dtype=torch.complex64, device=generator.device)


def mean(options: Options) -> float:
    """E[h] = 1."""
    return 1.0
