"""Amplitudes limited by tanh, |s| <= 1 in each real dimension, instead of normalised; two features to a channel use.

K/2 uses, K real numbers out. The noise is sigma = 10^(-SNR/20) in each real dimension: "SNR" is the peak power over the
noise power per real dimension. A channel use has two real dimensions, hence E|s|^2 <= 2 and N0 = 2 * 10^(-SNR/10).

Source: the convention of the group's sister work, reference [9] of arXiv 2503.13940.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings
from semcom.link.modulation._symbols import paired, real_parts_first

if TYPE_CHECKING:
    from torch import Tensor

SYMBOL_POWER = 2  # an upper bound, reached at peak amplitude
FEATURES_MULTIPLE_OF = 2


class Options(Settings):
    """Nothing to set."""


def channel_uses(features: int, options: Options) -> int:
    """One for two features; an odd one has a channel use of its own."""
    return -(-features // 2)


def received_values(features: int, options: Options) -> int:
    """One a feature."""
    return features


def modulate(z: Tensor, options: Options) -> Tensor:
    """Features (B, K) to symbols (B, K/2) complex64, each real dimension within -1 and 1.

    Raises:
        ValueError: K is odd.
    """
    return paired(z.tanh())


def demodulate(symbols: Tensor, options: Options) -> Tensor:
    """(B, K/2) equalised symbols to (B, K) real numbers, real parts first."""
    return real_parts_first(symbols)
