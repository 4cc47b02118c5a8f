"""Zero forcing: division by h, which leaves the symbol whole and the noise at N0 / |h|^2.

Source: D. Tse, P. Viswanath, "Fundamentals of Wireless Communication", 2005, Section 3.1.2 (coherent detection).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor


class Options(Settings):
    """Nothing to set."""


def equalize(received: Tensor, h: Tensor, noise_to_signal: float | Tensor, options: Options) -> Tensor:
    """(h s + n) / h."""
    return received / h
