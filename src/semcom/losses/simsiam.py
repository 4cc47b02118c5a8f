"""SimSiam on each modality by itself, summed over the modalities.

Source: X. Chen, K. He, "Exploring Simple Siamese Representation Learning", arXiv 2011.10566. With features z = f(x) of a
view, a prediction p = h(z) from them, and z', p' of the other view:

    L = 1/2 D(p, stopgrad(z')) + 1/2 D(p', stopgrad(z))
    D(p, z) = - p / |p| . z / |z|

f is encoder and projector, h the predictor, which has the bottleneck `predictor_hidden`. The authors' projector also
normalises its last layer over the batch; projectors here normalise between layers, which their paper reports as nearly
as good. Both views pass in one batch, as with every method here; theirs pass one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from semcom.config.jobs import PretrainJob
    from semcom.data.scenes import Scenes


class Options(Settings):
    predictor_hidden: int = silent(
        "width of the predictor's hidden layer; SimSiam's is a quarter of the features", gt=0
    )


def network(job: PretrainJob, scenes: Scenes, seed: int) -> nn.Module:
    """Encoders, projectors and predictors."""
    from semcom.models.predictor import WithPredictor

    return WithPredictor(job, scenes, seed, Options(**job.options).predictor_hidden)


def terms(
    p: Sequence[Tensor], p_tilde: Sequence[Tensor], z: Sequence[Tensor], z_tilde: Sequence[Tensor], options: Options
) -> dict[str, Tensor]:
    """L for each of M modalities.

    Args:
        p, p_tilde: M tensors (B, K), the predictions from two views of the same scenes.
        z, z_tilde: M tensors (B, K), the features that these are made from; no gradient goes into them here.

    Returns:
        `negative_cosine`, summed over modalities, from -M (each view predicts the other one) to M.
    """
    views = zip(p, p_tilde, z, z_tilde, strict=True)
    return {"negative_cosine": sum((distance(a, b_z) + distance(b, a_z)) / 2 for a, b, a_z, b_z in views)}


def distance(p: Tensor, z: Tensor) -> Tensor:
    """D(p, stopgrad(z)) of (B, K) predictions and features: the negative cosine, averaged over scenes."""
    from torch.nn.functional import normalize

    return -(normalize(p.float(), dim=1) * normalize(z.detach().float(), dim=1)).sum(dim=1).mean()


def views_exchanged(options: Options) -> int:
    """No feature leaves its device: each modality is trained by itself."""
    return 0
