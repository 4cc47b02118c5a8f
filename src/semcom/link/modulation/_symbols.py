"""What modulations share: features in pairs, power 1, and real numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def paired(z: Tensor) -> Tensor:
    """Two features to a channel use, s_k = z_k + j z_{K/2+k}: (B, K) real to (B, K/2) complex.

    Raises:
        ValueError: K is odd.
    """
    import torch

    if z.shape[1] % 2:
        raise ValueError(f"two features share a channel use, so their number must be even; K = {z.shape[1]}")
    return torch.complex(*z.chunk(2, dim=1))


def normalized_power(s: Tensor) -> Tensor:
    """Scale each row of (B, uses) symbols to mean power 1; a row of zeros stays zero."""
    import torch

    power = torch.view_as_real(s).square().sum(dim=(1, 2)) / s.shape[1]
    return s * power.clamp_min(1e-12).rsqrt()[:, None]


def real_parts_first(symbols: Tensor) -> Tensor:
    """(B, uses) complex to (B, 2 uses) real: real parts, then imaginary parts."""
    import torch

    return torch.cat([symbols.real, symbols.imag], dim=1)
