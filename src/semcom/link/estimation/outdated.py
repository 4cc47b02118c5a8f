"""h as it was some time ago: known without error then, and changed since by movement.

The scattered part of h moves on as a Gauss-Markov process whose correlation over the delay is Clarke's,
rho = J0(2 pi f_D tau). The server's best linear estimate from the old h is mean + rho (h_old - mean), and leaves an error of
power (1 - rho^2) v, where v = 1 - mean^2 is the variance of h. No pilots are charged.

Source: W. C. Jakes, "Microwave Mobile Communications", 1974, Section 1.3 (correlation); D. Tse, P. Viswanath,
"Fundamentals of Wireless Communication", 2005, Section 2.4.3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Options(Settings):
    doppler_hz: float = silent("f_D: largest Doppler shift, speed over wavelength, in hertz", ge=0)
    delay_s: float = silent("tau: age of what the server knows of h, in seconds", ge=0)


def correlation(options: Options) -> float:
    """rho = J0(2 pi f_D tau)."""
    from scipy.special import j0

    return float(j0(2 * math.pi * options.doppler_hz * options.delay_s))


def channel_uses(options: Options) -> int:
    """None: the old h is taken as known."""
    return 0


def estimate(h: Tensor, mean: float, noise_to_signal: float | Tensor, generator: Generator, options: Options) -> Tensor:
    """mean + rho (h_old - mean), with h_old - mean = rho (h - mean) + sqrt((1 - rho^2) v) g, g ~ CN(0, 1)."""
    import torch

    rho, variance = correlation(options), 1 - mean**2
    drawn = torch.randn(h.shape, dtype=h.dtype, device=h.device, generator=generator)
    old = rho * (h - mean) + math.sqrt((1 - rho**2) * variance) * drawn
    return mean + rho * old


def error_power(mean: float, noise_to_signal: float | Tensor, options: Options) -> float:
    """(1 - rho^2) v."""
    return (1 - correlation(options) ** 2) * (1 - mean**2)
