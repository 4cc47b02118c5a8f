"""Barlow Twins on each modality by itself: eq. (19), summed over the modalities.

Source: J. Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent
from semcom.losses._correlation import alignment, correlation, redundancy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Options(Settings):
    lambda_: float = silent("lambda of eq. (19)", gt=0)
    centre: bool = silent("subtract the batch mean before correlating")


def terms(z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """Eq. (19) for each of M modalities.

    Args:
        z, z_tilde: M tensors (B, K), the features of two views of the same scenes.

    Returns:
        `alignment` and `redundancy`, each summed over modalities and weighted: their sum is the loss.
    """
    correlations = [correlation(a, b, centre=options.centre) for a, b in zip(z, z_tilde, strict=True)]
    return {
        "alignment": sum(alignment(c) for c in correlations),
        "redundancy": options.lambda_ * sum(redundancy(c) for c in correlations),
    }


def views_exchanged(options: Options) -> int:
    """No feature leaves its device: each modality is trained by itself."""
    return 0
