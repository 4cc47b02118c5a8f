"""Stage I, Algorithm 1's first half: encoders trained without labels, by the self-supervised loss of a method.

Nothing crosses the air here if the devices' scenes were recorded and stored together. If the devices were apart, a loss
that correlates modalities would need their features to meet: `pretraining_overhead` states that cost.
"""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import nn

from semcom.common import plugins
from semcom.common.reporting import Progress
from semcom.config.jobs import PretrainJob
from semcom.data.scenes import Scenes
from semcom.models.precision import placed, precision
from semcom.models.two_views import TwoViews
from semcom.rng import stream
from semcom.runs.attempt import Attempt
from semcom.training import optimization
from semcom.training.batches import epoch_batches
from semcom.training.steps import steps_per_epoch, total_steps
from semcom.views.views import random_views


@dataclass(frozen=True)
class Pretrained:
    """What stage I leaves: encoders, one row a step, and `optimization.OK` or `optimization.DIVERGED`."""

    encoders: nn.ModuleDict
    steps: pd.DataFrame
    status: str


def pretrain(job: PretrainJob, scenes: Scenes, seed: int, attempt: Attempt | None = None) -> Pretrained:
    """Run stage I on the training scenes, on the device that holds them.

    Each step draws two views of a batch of scenes, encodes them, and takes an SGD step on the method's loss, eq. (15).
    The run stops at the first step whose loss or gradient norm is not finite, or whose gradient norm passes its bound;
    that step is logged, and not taken.

    Args:
        attempt: what tells where to go on from, and is told of every step, if any.

    Returns:
        The encoders as they are then; `steps` with each loss term, gradient, weight and feature norms, and the
        learning rate.
    """
    schedule, device, dtype = job.schedule, scenes.device, precision(job.compute)
    network = placed(TwoViews(job, scenes, seed), job.compute, device).train()
    loss = plugins.load("semcom.losses", job.loss)
    options = loss.Options(**job.options)
    optimizer = optimization.SGD(
        [(network.parameters(), schedule.learning_rate)], schedule.momentum, schedule.weight_decay
    )
    indices = scenes.indices["train"]
    per_epoch = steps_per_epoch(len(indices), schedule)
    total = total_steps(len(indices), schedule)
    rows, status, start = [], optimization.OK, 0
    saved = attempt.start(schedule.epochs) if attempt else None
    if saved:
        network.load_state_dict(saved["network"])
        rows, status, start = saved["rows"], saved["status"], saved["step"]
        if start < total:
            optimizer.load_state_dict(saved["optimizer"])

    def state(step: int) -> dict:
        networks = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        return {"step": step, "rows": rows, "status": status, **networks}

    progress = Progress(f"pretrain {job.method} seed {seed}", schedule.epochs, "epoch", start=start / per_epoch)
    for step in range(start, total):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == start:
            batches = epoch_batches(indices, schedule, seed, "pretrain", epoch)
        factor = optimization.learning_rate_factor(step, total, schedule.warmup_epochs * per_epoch, schedule.decay)
        optimization.set_learning_rates(optimizer, factor)
        streams = [stream(seed, "pretrain", "view", which, step) for which in (0, 1)]
        images = scenes.batch(batches[position])
        views = random_views(images, scenes.modalities, job.views, job.crop_size, streams, dtype, job.depth_encoding)
        z, z_tilde = network.features(views, job.compute)
        terms = loss.terms(z, z_tilde, options)
        value = sum(terms.values())
        optimizer.zero_grad()
        value.backward()
        norms = {m: optimization.gradient_norm(network.encoders[m]) for m in job.modalities}
        norm = optimization.total_norm([*norms.values(), optimization.gradient_norm(network.projectors).to(device)])
        readings = {
            "loss": value,
            **terms,
            "gradient_norm": norm,
            **{f"gradient_norm_{m}": of_encoder for m, of_encoder in norms.items()},
            **{f"weight_norm_{m}": optimization.weight_norm(network.encoders[m]) for m in job.modalities},
            **{f"feature_norm_{m}": f.norm(dim=1).mean() for m, f in zip(job.modalities, z, strict=True)},
        }
        logged = dict(zip(readings, torch.stack([r.detach() for r in readings.values()]).tolist(), strict=True))
        if optimization.has_diverged(logged.values(), logged["gradient_norm"], schedule.diverged_gradient_norm):
            status = optimization.DIVERGED
        rows.append(
            {
                "experiment": job.experiment,
                "method": job.method,
                "seed": seed,
                "step": step + 1,
                "epoch": (step + 1) / per_epoch,
                "scenes": len(batches[position]),
                **logged,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "status": status,
            }
        )
        if status == optimization.DIVERGED:
            break
        optimization.clip_gradient(network, norm, schedule.clip_gradient_norm)
        optimizer.step()
        if position == per_epoch - 1:
            progress(epoch + 1, loss=logged["loss"], gradient_norm=logged["gradient_norm"])
        if attempt:
            attempt.step_done((step + 1) // per_epoch, partial(state, step + 1))
    if attempt:
        attempt.trained(state(total) | {"optimizer": None})
    return Pretrained(network.encoders, pd.DataFrame(rows), status)
