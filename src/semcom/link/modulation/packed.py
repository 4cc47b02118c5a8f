"""Two features to a channel use, s_k = z_k + j z_{K/2+k}: K/2 uses, K real numbers out.

Physically: quadrature amplitude modulation, the usual way to send real features over a complex channel. E|s|^2 = 1 per
scene. SNR is E|s|^2 / N0 per complex channel use, and the noise n ~ CN(0, N0) has N0/2 in each real dimension, as the
symbols have half of their power: each feature sees the nominal SNR.

Source: E. Bourtsoulatze, D. Burth Kurka, D. Gunduz, "Deep joint source-channel coding for wireless image transmission",
IEEE Trans. Cogn. Commun. Netw., 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings
from semcom.link.modulation._symbols import normalized_power, paired, real_parts_first

if TYPE_CHECKING:
    from torch import Tensor

SYMBOL_POWER = 1
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
    """Features (B, K) to symbols (B, K/2) complex64, at mean power 1 per scene.

    Raises:
        ValueError: K is odd.
    """
    return normalized_power(paired(z))


def demodulate(symbols: Tensor, options: Options) -> Tensor:
    """(B, K/2) equalised symbols to (B, K) real numbers, real parts first."""
    return real_parts_first(symbols)
