"""Rayleigh block fading, many scattered paths and none that dominates: h ~ CN(0, 1).

|h|^2 is exponential with mean 1, the phase uniform; h is constant over the channel uses of one scene.

Source: D. Tse, P. Viswanath, "Fundamentals of Wireless Communication", 2005, Section 2.4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    """Nothing to set."""


def coefficients(scenes: int, generator: Generator, options: Options) -> Tensor:
    """h ~ CN(0, 1), one draw a scene."""
    import torch

    return torch.randn(scenes, 1, dtype=torch.complex64, device=generator.device, generator=generator)


def mean(options: Options) -> float:
    """E[h] = 0."""
    return 0.0
