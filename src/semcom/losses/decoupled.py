"""The paper's pre-training loss: eqs. (7) to (14), for any number of modalities M >= 2.

Within a modality, two views of a scene must agree, feature by feature, and different features must not (intra). Across
modalities, the first K_sha features must agree (shared), and the rest must be uncorrelated (unique).

Source: arXiv 2503.13940, Section III-A2, after DeCUR (arXiv 2309.05300).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from semcom.common.settings import Settings, from_paper, silent
from semcom.losses._correlation import alignment, correlation, preservation, redundancy, unit_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


MIN_MODALITIES = 2


class Options(Settings):
    shared_features: int = silent("K_sha of eqs. (13), (14)", ge=0)
    lambda_m: float = silent("lambda_m of eq. (10), the same for every modality", gt=0)
    lambda_sha: float = silent("lambda_sha of eq. (13)", gt=0)
    lambda_uni: float = silent("lambda_uni of eq. (14)", gt=0)
    centre: bool = from_paper("subtract the batch mean before correlating; the printed C does not", "eqs. (8), (11)")
    cross_weight: float = from_paper("factor on L_cross; 1 is the ordered-pair sum as printed", "eqs. (7), (12)", ge=0)


def terms(z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """Eq. (7), L_pre-train = L_cross + L_intra, as its six weighted parts.

    Args:
        z, z_tilde: M tensors (B, K), the features of two views of the same scenes. The cross-modal part reads the
            first view only, as eq. (11) is printed.

    Raises:
        ValueError: fewer than two modalities, or K_sha > K.
    """
    if len(z) < MIN_MODALITIES:
        raise ValueError(f"the decoupled loss correlates modalities, so it needs at least 2, got {len(z)}")
    if options.shared_features > z[0].shape[1]:
        raise ValueError(f"K_sha = {options.shared_features} exceeds K = {z[0].shape[1]}")
    return intra_modal_terms(z, z_tilde, options) | cross_modal_terms(z, options)


def intra_modal_terms(z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """Eq. (9): the sum over modalities of eq. (10), diagonal alignment and off-diagonal decorrelation."""
    correlations = [correlation(a, b, centre=options.centre) for a, b in zip(z, z_tilde, strict=True)]
    return {
        "intra_alignment": sum(alignment(c) for c in correlations),
        "intra_decorrelation": options.lambda_m * sum(redundancy(c) for c in correlations),
    }


def cross_modal_terms(z: Sequence[Tensor], options: Options) -> dict[str, Tensor]:
    """Eq. (12): the sum over ORDERED pairs m != n of eqs. (13) and (14), times `cross_weight`.

    Each unordered pair thus counts twice, since C^{n,m} is the transpose of C^{m,n} and none of the sums tells the two
    apart (the printed upper limit N of the inner sum is read as M). `cross_weight: 0.25` is DeCUR's weight.
    """
    k = options.shared_features
    pairs = list(combinations([unit_columns(features, centre=options.centre) for features in z], 2))
    # The other two blocks of C play no part.
    shared = [a[:, :k].T @ b[:, :k] for a, b in pairs]  # C_sha, (K_sha, K_sha)
    unique = [a[:, k:].T @ b[:, k:] for a, b in pairs]  # C_uni, (K_uni, K_uni)
    weight = 2 * options.cross_weight
    return {
        "shared_alignment": weight * sum(alignment(c) for c in shared),
        "shared_decorrelation": weight * options.lambda_sha * sum(redundancy(c) for c in shared),
        "unique_preservation": weight * sum(preservation(c) for c in unique),
        "unique_decorrelation": weight * options.lambda_uni * sum(redundancy(c) for c in unique),
    }


def views_exchanged(options: Options) -> int:
    """Eq. (11) correlates the first views of two modalities, whose features must meet."""
    return 1 if options.cross_weight > 0 else 0
