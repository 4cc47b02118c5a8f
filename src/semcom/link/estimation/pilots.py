"""h from P pilots that each device sends before a scene's features: linear least squared error, given the fading's mean.

A pilot is a known symbol of the features' power, y = h s + n. Their mean over P pilots leaves h with an error of power
N0 / (P E|s|^2); the estimate draws it towards the mean of the fading by v / (v + N0 / (P E|s|^2)), where v = 1 - mean^2
is the variance of h. Its error has the power v N0 / (P E|s|^2) / (v + N0 / (P E|s|^2)), which is what the equaliser
allows for. Pilots take channel uses of the uplink, and the ledger counts them.

Source: B. Hassibi, B. Hochwald, "How much training is needed in multiple-antenna wireless links?", IEEE Trans. Inf.
Theory, 2003, Section II (one antenna).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    pilots: int = silent("P: known symbols that a device sends before the features of a scene", ge=1)


def channel_uses(options: Options) -> int:
    """One a pilot."""
    return options.pilots


def estimate(h: Tensor, mean: float, noise_to_signal: float | Tensor, generator: Generator, options: Options) -> Tensor:
    """mean + v / (v + N0 / (P E|s|^2)) (h + e - mean), with e ~ CN(0, N0 / (P E|s|^2)) drawn for each scene."""
    import torch

    power = noise_to_signal / options.pilots
    error = torch.randn(h.shape, dtype=h.dtype, device=h.device, generator=generator) * power**0.5
    variance = 1 - mean**2
    if not variance:  # without fading there is nothing to estimate
        return h
    return mean + variance / (variance + power) * (h + error - mean)


def error_power(mean: float, noise_to_signal: float | Tensor, options: Options) -> float | Tensor:
    """v q / (v + q), with q = N0 / (P E|s|^2)."""
    variance, power = 1 - mean**2, noise_to_signal / options.pilots
    return variance * power / (variance + power) if variance else 0.0
