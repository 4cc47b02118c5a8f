"""SimCLR on each modality by itself: eq. (18), summed over the modalities.

Source: T. Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Options(Settings):
    temperature: float = silent("tau of eq. (18)", gt=0)


def terms(z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """Eq. (18), averaged over the 2B anchors, for each of M modalities.

    Args:
        z, z_tilde: M tensors (B, K), the features of two views of the same scenes.

    Returns:
        `nt_xent`, summed over modalities. Features that are all alike give M log(2B - 1).
    """
    return {"nt_xent": sum(nt_xent(a, b, options.temperature) for a, b in zip(z, z_tilde, strict=True))}


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Eq. (18): the normalised temperature-scaled cross entropy, averaged over both views' anchors.

    Args:
        a, b: (B, K) features; row i of `a` and row i of `b` are a positive pair, all other rows are negatives.
        temperature: tau > 0.

    Returns:
        Scalar, float32.
    """
    a, b = (x.float() / x.float().norm(dim=1, keepdim=True).clamp_min(1e-12) for x in (a, b))
    across = a @ b.T / temperature  # (B, B), positives on the diagonal
    within_a = (a @ a.T / temperature).fill_diagonal_(float("-inf"))  # k != i in the sum of eq. (18)
    within_b = (b @ b.T / temperature).fill_diagonal_(float("-inf"))
    all_a = across.logsumexp(dim=1).logaddexp(within_a.logsumexp(dim=1))
    all_b = across.logsumexp(dim=0).logaddexp(within_b.logsumexp(dim=1))
    return ((all_a + all_b) / 2 - across.diagonal()).mean()


def views_exchanged(options: Options) -> int:
    """No feature leaves its device: each modality is trained by itself."""
    return 0
