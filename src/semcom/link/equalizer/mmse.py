"""Least mean squared error of a linear estimate: multiplication by h* / (|h|^2 + N0 / E|s|^2).

The error on symbols of power 1 is N0 / (|h|^2 + N0), never above that of zero forcing; a symbol sent in a deep fade is
drawn towards 0 instead of drowned.

Source: D. Tse, P. Viswanath, "Fundamentals of Wireless Communication", 2005, Appendix A.3 (linear estimates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor


class Options(Settings):
    """Nothing to set."""


def equalize(received: Tensor, h: Tensor, noise_to_signal: float | Tensor, options: Options) -> Tensor:
    """(h s + n) h* / (|h|^2 + N0 / E|s|^2)."""
    return received * h.conj() / (h.abs().square() + noise_to_signal)
