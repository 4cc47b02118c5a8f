"""Scores of a trained system on a split, over several realisations of the channel."""

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.models.precision import encode, precision
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
def evaluate(system: System, scenes: Scenes, split: str, job: FinetuneJob, seed: int) -> Score:
    """Score a split, each scene encoded once and sent `channel_draws` times.

    The channel's realisations are the same at every evaluation of a run, and for every method of the same seed.
    """
    system.eval()
    indices = scenes.indices[split]
    labels = scenes.labels[indices]
    view = job.evaluation_crop_scale, job.crop_size, precision(job.compute), job.depth_encoding
    chunks = [
        encode(system.encoders, centre_views(scenes.batch(part), scenes.modalities, *view), job.compute)
        for part in indices.split(2 * job.schedule.batch_size)  # as many images at once as in stage I
    ]
    z = {m: torch.cat([chunk[m] for chunk in chunks]) for m in job.modalities}
    totals = torch.zeros(3, device=scenes.device)
    for draw in range(job.schedule.channel_draws):
        noise = {m: stream(seed, "evaluate", split, m, draw, device=scenes.device) for m in job.modalities}
        logits = system.decide(z, job.snr_db, noise)
        hits = (logits.argmax(dim=1) == labels).float()
        per_class = torch.zeros(len(scenes.class_names), device=scenes.device).index_add(0, labels, hits)
        scenes_per_class = labels.bincount(minlength=len(scenes.class_names))
        recall = per_class[scenes_per_class > 0] / scenes_per_class[scenes_per_class > 0]
        totals += torch.stack([hits.mean(), recall.mean(), cross_entropy(logits, labels)])
    return Score(*(totals / job.schedule.channel_draws).tolist())
