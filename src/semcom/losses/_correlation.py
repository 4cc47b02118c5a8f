"""Eqs. (8) and (11): the correlation of two batches of features, and its two sums of squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def correlation(a: Tensor, b: Tensor, *, centre: bool) -> Tensor:
    """C_ij = sum_b a_bi b_bj / (|a_.i| |b_.j|), eq. (8) for two views, eq. (11) for two modalities.

    Args:
        a: (B, K) features; computed in float32 whatever comes in.
        b: (B, K) features of the same scenes.
        centre: subtract each feature's mean over the batch first. The paper does not (its C is a cosine, not a
            Pearson correlation); Barlow Twins and DeCUR do.

    Returns:
        (K, K) with entries in [-1, 1]. A feature that is zero over the whole batch correlates with nothing: its row
        is 0, not NaN.
    """
    return unit_columns(a, centre=centre).T @ unit_columns(b, centre=centre)


def unit_columns(x: Tensor, *, centre: bool) -> Tensor:
    """The features of a batch, (B, K), each divided by its norm over the batch: C of two such is their product."""
    x = x.float()
    size = x.detach().norm(dim=0)
    if centre:
        x = x - x.mean(dim=0)
    norm = x.norm(dim=0)
    # Dead: zero, or nothing but rounding once centred. Its column is 0 and so is its gradient; a NaN stays one.
    dead = norm <= 1e-6 * size
    return (x / norm.masked_fill(dead, 1)).masked_fill(dead, 0)


def alignment(c: Tensor) -> Tensor:
    """sum_i (1 - C_ii)^2 of a (K, K) correlation: 0 when each feature agrees with its counterpart."""
    return (1 - c.diagonal()).square().sum()


def preservation(c: Tensor) -> Tensor:
    """sum_i C_ii^2 of a (K, K) correlation: 0 when no feature is predictable from its counterpart, eq. (14)."""
    return c.diagonal().square().sum()


def redundancy(c: Tensor) -> Tensor:
    """sum_{i != j} C_ij^2 of a (K, K) correlation: 0 when different features are uncorrelated."""
    # The squares are worth their memory: a norm or a product, which need none, add up in an order that at K = 512 loses
    # four digits of float32.
    return c.square().sum() - preservation(c)
