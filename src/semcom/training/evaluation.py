"""Scores of a trained system on a split, over several realisations of the channel."""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, one_hot

from semcom.config.jobs import FinetuneJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models.precision import dtype, encode
from semcom.models.system import System
from semcom.rng import stream
from semcom.views.views import centre_views

EVALUATED_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Score:
    """Accuracy, accuracy averaged over classes, and cross-entropy; each the mean over channel draws."""

    accuracy: float
    mean_class_accuracy: float
    loss: float


@torch.no_grad()
def evaluate(
    system: System, scenes: Scenes, split: str, job: FinetuneJob, seed: int, compute: ComputeSettings
) -> Score:
    """Score a split, each scene encoded once and sent `channel_draws` times.

    The channel's realisations are the same at every evaluation of a run, and for every method of the same seed.

    Args:
        compute: arithmetic, decided (`precision.decide`).

    Raises:
        FloatingPointError: the cross-entropy is not finite: the run has diverged.
    """
    system.eval()
    indices = scenes.indices[split]
    labels = scenes.labels[indices]
    view = job.evaluation_crop_scale, job.crop_size, dtype(compute), job.depth_encoding
    chunks = [
        encode(system.encoders, centre_views(scenes.batch(part), scenes.modalities, *view), compute)
        for part in indices.split(2 * job.schedule.batch_size)  # as many images at once as in stage I
    ]
    z = {m: torch.cat([chunk[m] for chunk in chunks]) for m in job.modalities}
    received = []
    for draw in range(job.schedule.channel_draws):
        noise = {m: stream(seed, "evaluate", split, m, draw, device=scenes.device) for m in job.modalities}
        received.append(system.receive(z, noise))
    logits = system.decoder(torch.stack(received))  # (draws, scenes, classes)
    hits = (logits.argmax(dim=2) == labels).float()
    of_class = one_hot(labels, len(scenes.class_names)).float()
    occurs = of_class.sum(dim=0) > 0
    recall = (hits.mean(dim=0) @ of_class)[occurs] / of_class.sum(dim=0)[occurs]
    loss = cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)))
    score = Score(*torch.stack([hits.mean(), recall.mean(), loss]).tolist())
    if not math.isfinite(score.loss):
        raise FloatingPointError(f"the cross-entropy on the {split} scenes is {score.loss}")
    return score
