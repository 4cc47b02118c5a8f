"""Stage I, Algorithm 1's first half: encoders trained without labels, by the self-supervised loss of a method.

Nothing crosses the air here if the devices' scenes were recorded and stored together. If the devices were apart, a loss
that correlates modalities would need their features to meet: `pretraining_overhead` states that cost.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from semcom import plugins, training
from semcom.attempt import Attempt
from semcom.augment import random_views
from semcom.data.scenes import Scenes
from semcom.encoders import make_encoders, make_head
from semcom.jobs import PretrainJob
from semcom.overhead import exchange
from semcom.progress import Progress
from semcom.rng import stream, stream_seed
from semcom.sections import ChannelSettings, ComputeSettings


@dataclass(frozen=True)
class Pretrained:
    """What stage I leaves: encoders, one row a step, and `training.OK` or `training.DIVERGED`."""

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
    schedule, device, dtype = job.schedule, scenes.device, training.precision(job.compute)
    network = training.placed(_Network(job, scenes, seed), job.compute, device).train()
    loss = plugins.load("semcom.losses", job.loss)
    options = loss.Options(**job.options)
    optimizer = training.SGD([(network.parameters(), schedule.learning_rate)], schedule.momentum, schedule.weight_decay)
    indices = scenes.indices["train"]
    per_epoch = training.steps_per_epoch(len(indices), schedule)
    total = training.total_steps(len(indices), schedule)
    rows, status, start = [], training.OK, 0
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
            batches = training.epoch_batches(indices, schedule, seed, "pretrain", epoch)
        factor = training.learning_rate_factor(step, total, schedule.warmup_epochs * per_epoch, schedule.decay)
        training.set_learning_rates(optimizer, factor)
        streams = [stream(seed, "pretrain", "view", which, step) for which in (0, 1)]
        images = scenes.batch(batches[position])
        views = random_views(images, scenes.modalities, job.views, job.crop_size, streams, dtype, job.depth_encoding)
        z, z_tilde = network.features(views, job.compute)
        terms = loss.terms(z, z_tilde, options)
        value = sum(terms.values())
        optimizer.zero_grad()
        value.backward()
        norms = {m: training.gradient_norm(network.encoders[m]) for m in job.modalities}
        norm = training.total_norm([*norms.values(), training.gradient_norm(network.projectors).to(device)])
        readings = {
            "loss": value,
            **terms,
            "gradient_norm": norm,
            **{f"gradient_norm_{m}": of_encoder for m, of_encoder in norms.items()},
            **{f"weight_norm_{m}": training.weight_norm(network.encoders[m]) for m in job.modalities},
            **{f"feature_norm_{m}": f.norm(dim=1).mean() for m, f in zip(job.modalities, z, strict=True)},
        }
        logged = dict(zip(readings, torch.stack([r.detach() for r in readings.values()]).tolist(), strict=True))
        if training.has_diverged(logged.values(), logged["gradient_norm"], schedule.diverged_gradient_norm):
            status = training.DIVERGED
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
        if status == training.DIVERGED:
            break
        training.clip_gradient(network, norm, schedule.clip_gradient_norm)
        optimizer.step()
        if position == per_epoch - 1:
            progress(epoch + 1, loss=logged["loss"], gradient_norm=logged["gradient_norm"])
        if attempt:
            attempt.step_done((step + 1) // per_epoch, partial(state, step + 1))
    if attempt:
        attempt.trained(state(total) | {"optimizer": None})
    return Pretrained(network.encoders, pd.DataFrame(rows), status)


def pretraining_overhead(
    jobs: Mapping[str, PretrainJob], steps: pd.DataFrame, channel: ChannelSettings, bits_per_value: int
) -> pd.DataFrame:
    """Traffic of stage I, all devices together, if each modality's scenes stayed on their device.

    The features that a loss correlates across modalities go up to a server that holds the loss, and their gradients
    come down. Losses of one modality exchange nothing.

    Args:
        jobs: stage I of each method.
        steps: of `records.collect_steps`; tells how many steps each run took, and of how many scenes.
        channel: whose convention counts the channel uses.

    Returns:
        One row a method and seed: steps, and uplink and downlink channel uses and bits.
    """
    link_type = plugins.load("semcom.channels", channel.model).Channel
    link = link_type(math.inf, convention=channel.convention, equalizer=channel.equalizer)
    rows = []
    for (method, seed), run in steps.groupby(["method", "seed"], sort=False):
        job = jobs[method]
        loss = plugins.load("semcom.losses", job.loss)
        views = loss.views_exchanged(loss.Options(**job.options))
        features = job.projector[-1] if job.projector else job.encoder.features
        traffic = exchange(int(run["scenes"].sum()), features, link.channel_uses(features), bits_per_value)
        total = asdict(traffic * (views * len(job.modalities)))
        rows.append({"experiment": job.experiment, "method": method, "seed": seed, "steps": run["step"].max(), **total})
    return pd.DataFrame(rows)


class _Network(nn.Module):
    """The encoders of all modalities, and the projectors that stage I throws away."""

    def __init__(self, job: PretrainJob, scenes: Scenes, seed: int):
        super().__init__()
        channels = {m: scenes.modalities[m].channels for m in job.modalities}
        self.encoders = make_encoders(job.encoder, channels, seed)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "projectors"))
            self.projectors = nn.ModuleDict({m: make_head(job.encoder.features, job.projector) for m in job.modalities})

    def features(self, views: dict[str, Tensor], compute: ComputeSettings) -> tuple[list[Tensor], list[Tensor]]:
        """Two views of all modalities, (2 B, C, side, side), to what the loss sees: M tensors (B, K) for each view.

        Both views pass in one batch, which batch normalisation thus sees whole.
        """
        z = training.encode(self.encoders, views, compute)
        first, second = zip(*(self.projectors[m](both).chunk(2) for m, both in z.items()), strict=True)
        return list(first), list(second)
