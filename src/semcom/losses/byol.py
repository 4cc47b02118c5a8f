"""BYOL on each modality by itself, summed over the modalities.

Source: J.-B. Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", arXiv 2006.07733. An
online network with parameters theta predicts from one view what a target network with parameters xi sees of the other:

    L = |q(z) / |q(z)| - t' / |t'||^2 = 2 - 2 q(z) . t' / (|q(z)| |t'|),   and the same with the views exchanged, added
    xi <- tau xi + (1 - tau) theta                                          after each step
    tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2                        at step k of K, counted from 0

z is what online encoder and projector make of a view, q the predictor, t' what the target's make of the other view. No
gradient goes into the target. Both views pass in one batch, as with every method here; the authors' pass one after the
other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from semcom.config.jobs import PretrainJob
    from semcom.data.scenes import Scenes


class Options(Settings):
    predictor_hidden: int = silent("width of the predictor's hidden layer; BYOL's is that of its projector", gt=0)
    tau_base: float = silent("share of itself that the target keeps at the first step; BYOL's is 0.996", ge=0, le=1)


def network(job: PretrainJob, scenes: Scenes, seed: int) -> nn.Module:
    """Encoders, projectors and predictors, and the target that follows the first two."""
    from semcom.models.momentum import WithTarget

    options = Options(**job.options)
    return WithTarget(
        job, scenes, seed, options.predictor_hidden, lambda step, total: tau(step, total, options.tau_base)
    )


def tau(step: int, total: int, base: float) -> float:
    """The target's share of itself at step `step` of `total`, counted from 0: from `base` towards 1."""
    return 1 - (1 - base) * (math.cos(math.pi * step / total) + 1) / 2


def terms(
    p: Sequence[Tensor],
    p_tilde: Sequence[Tensor],
    target: Sequence[Tensor],
    target_tilde: Sequence[Tensor],
    options: Options,
) -> dict[str, Tensor]:
    """L for each of M modalities.

    Args:
        p, p_tilde: M tensors (B, K), the predictions q(z) from two views of the same scenes.
        target, target_tilde: M tensors (B, K), what the target sees of the two views; no gradient goes into them.

    Returns:
        `prediction`, summed over modalities and both directions, from 0 to 8 M.
    """
    views = zip(p, p_tilde, target, target_tilde, strict=True)
    return {"prediction": sum(distance(a, b_t) + distance(b, a_t) for a, b, a_t, b_t in views)}


def distance(p: Tensor, target: Tensor) -> Tensor:
    """|p/|p| - t/|t||^2 of (B, K) predictions and targets, averaged over scenes."""
    from torch.nn.functional import normalize

    return (normalize(p.float(), dim=1) - normalize(target.detach().float(), dim=1)).square().sum(dim=1).mean()


def views_exchanged(options: Options) -> int:
    """No feature leaves its device: each modality is trained by itself."""
    return 0
