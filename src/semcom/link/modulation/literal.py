"""Eq. (2) as printed: each channel use carries one real feature, and the complex value received is handed on whole.

K channel uses, the real and the imaginary part of each, 2K real numbers out. Physically: amplitude modulation of one
quadrature. E|s|^2 = 1 per scene. SNR is E|s|^2 / N0 per complex channel use, and the noise n ~ CN(0, N0) has N0/2 in
each real dimension; the quadrature that carries the feature sees N0/2, so that a decoder that learns to ignore the
other one works at an SNR 3 dB above the nominal.

Source: arXiv 2503.13940, eq. (2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings
from semcom.link.modulation._symbols import normalized_power, real_parts_first

if TYPE_CHECKING:
    from torch import Tensor

SYMBOL_POWER = 1


class Options(Settings):
    """Nothing to set."""


def channel_uses(features: int, options: Options) -> int:
    """One a feature."""
    return features


def received_values(features: int, options: Options) -> int:
    """Two a feature, of which the second is noise alone where the server equalises h."""
    return 2 * features


def modulate(z: Tensor, options: Options) -> Tensor:
    """Features (B, K) to symbols (B, K) complex64 without imaginary part, at mean power 1 per scene."""
    import torch

    return normalized_power(torch.complex(z, torch.zeros_like(z)))


def demodulate(symbols: Tensor, options: Options) -> Tensor:
    """(B, K) equalised symbols to (B, 2K) real numbers, real parts first."""
    return real_parts_first(symbols)
