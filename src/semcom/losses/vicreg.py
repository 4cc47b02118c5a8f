"""VICReg on each modality by itself, summed over the modalities.

Source: A. Bardes, J. Ponce, Y. LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
Learning", arXiv 2105.04906. For two views Z, Z' of n scenes in d features:

    l(Z, Z') = lambda s(Z, Z') + mu [v(Z) + v(Z')] + nu [c(Z) + c(Z')]
    s(Z, Z') = 1/n sum_i |z_i - z'_i|^2
    v(Z)     = 1/d sum_j max(0, 1 - sqrt(Var(z^j) + 1e-4))
    c(Z)     = 1/d sum_{i != j} C(Z)_ij^2,   C(Z) = 1/(n - 1) sum_i (z_i - mean) (z_i - mean)^T

The authors' code, whose coefficients 25, 25 and 1 are, differs from the print in two factors: s is divided by d, and v is
averaged over the two views, not summed. This file follows the code; coefficients for the print are lambda d, 2 mu, nu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

EPSILON = 1e-4  # keeps the slope of the root finite


class Options(Settings):
    invariance: float = silent("lambda of VICReg; its authors have 25", ge=0)
    variance: float = silent("mu of VICReg; its authors have 25", ge=0)
    covariance: float = silent("nu of VICReg; its authors have 1", ge=0)


def terms(z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """l(Z, Z') for each of M modalities.

    Args:
        z, z_tilde: M tensors (B, K), the features of two views of the same scenes.

    Returns:
        `invariance`, `variance` and `covariance`, each summed over modalities and weighted: their sum is the loss.
    """
    pairs = [(a.float(), b.float()) for a, b in zip(z, z_tilde, strict=True)]
    return {
        "invariance": options.invariance * sum((a - b).square().mean() for a, b in pairs),
        "variance": options.variance * sum((variance(a) + variance(b)) / 2 for a, b in pairs),
        "covariance": options.covariance * sum(covariance(a) + covariance(b) for a, b in pairs),
    }


def variance(z: Tensor) -> Tensor:
    """v(Z) of (B, K) features: 0 where each has a standard deviation of 1 or more over the batch, 1 where all are constant."""
    return (1 - (z.var(dim=0) + EPSILON).sqrt()).clamp(min=0).mean()


def covariance(z: Tensor) -> Tensor:
    """c(Z) of (B, K) features: 0 where no two of them covary over the batch."""
    centred = z - z.mean(dim=0)
    c = centred.T @ centred / (len(z) - 1)
    return (c.square().sum() - c.diagonal().square().sum()) / len(c)


def views_exchanged(options: Options) -> int:
    """No feature leaves its device: each modality is trained by itself."""
    return 0
