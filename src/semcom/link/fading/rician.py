"""Rician block fading, one fixed path among scattered ones: h = sqrt(K / (K + 1)) + sqrt(1 / (K + 1)) g, g ~ CN(0, 1).

K is the power of the fixed path over that of the scattered ones. K = 0 is Rayleigh fading, and h tends to 1, AWGN, as K
grows. E|h|^2 = 1 and E|h|^4 = 1 + (2 K + 1) / (K + 1)^2. The fixed path's phase is 0: a server that knows h undoes any
other one, and the noise has none. h is constant over the channel uses of one scene.

Source: D. Tse, P. Viswanath, "Fundamentals of Wireless Communication", 2005, Section 2.4.2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent
from semcom.link.fading import rayleigh

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    k_factor: float = silent("K: power of the fixed path over that of the scattered ones, as a ratio, not in dB", ge=0)


def coefficients(scenes: int, generator: Generator, options: Options) -> Tensor:
    """h = sqrt(K / (K + 1)) + sqrt(1 / (K + 1)) g, with g drawn as in Rayleigh fading."""
    k = options.k_factor
    g = rayleigh.coefficients(scenes, generator, rayleigh.Options())
    return math.sqrt(k / (k + 1)) + math.sqrt(1 / (k + 1)) * g


def mean(options: Options) -> float:
    """E[h] = sqrt(K / (K + 1)), the fixed path."""
    return math.sqrt(options.k_factor / (options.k_factor + 1))
