"""The server knows h: no pilots, no error, no draw.

Source: arXiv 2503.13940, eq. (2) and Section IV-A, which speak of no estimation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    """Nothing to set."""


def channel_uses(options: Options) -> int:
    """None."""
    return 0


def estimate(h: Tensor, mean: float, noise_to_signal: float | Tensor, generator: Generator, options: Options) -> Tensor:
    """h itself."""
    return h


def error_power(mean: float, noise_to_signal: float | Tensor, options: Options) -> float:
    """0."""
    return 0.0
