"""Stage II, Algorithm 1's second half: encoders and decoder trained by cross-entropy through the channel.

`supervised` is the same from random encoders. A round is one optimiser step. Nothing is chosen on any evaluated split:
the run lasts as long as its schedule, and every evaluation is reported.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from semcom import plugins, training
from semcom.attempt import Attempt
from semcom.augment import centre_views, random_views
from semcom.channel import Link
from semcom.data.scenes import Scenes
from semcom.data.splits import label_subset
from semcom.decoder import make_decoder
from semcom.encoders import load_encoders, make_encoders
from semcom.jobs import FinetuneJob
from semcom.overhead import Ledger, Traffic, exchange
from semcom.progress import Progress
from semcom.rng import stream, stream_seed

EVALUATED_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Finetuned:
    """What stage II leaves: one row an evaluation and split, the ledger by device, one row a round, and the run's status."""

    rounds: pd.DataFrame
    ledger: pd.DataFrame
    steps: pd.DataFrame
    status: str


@dataclass(frozen=True)
class Score:
    """Accuracy, accuracy averaged over classes, and cross-entropy; each the mean over channel draws."""

    accuracy: float
    mean_class_accuracy: float
    loss: float


class System(nn.Module):
    """M devices with an encoder each, their links, and the server's decoder: eqs. (1) to (4)."""

    def __init__(self, job: FinetuneJob, scenes: Scenes, seed: int):
        super().__init__()
        channel = plugins.load("semcom.channels", job.channel.model).Channel
        self.links: dict[str, Link] = {
            m: channel(
                job.snr_db + job.channel.snr_offset_db.get(m, 0.0),
                convention=job.channel.convention,
                equalizer=job.channel.equalizer,
            )
            for m in job.modalities
        }
        self.encoders = make_encoders(job.encoder, {m: scenes.modalities[m].channels for m in job.modalities}, seed)
        received = sum(link.received_values(job.encoder.features) for link in self.links.values())
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "decoder"))
            self.decoder = make_decoder(received, len(scenes.class_names), job.decoder.hidden, job.decoder.dropout)

    def decide(self, z: dict[str, Tensor], generators: dict[str, torch.Generator]) -> Tensor:
        """Eqs. (2) to (4): features over each device's link, concatenated, to (B, classes) logits."""
        return self.decoder(torch.cat([link(z[m], generators[m]) for m, link in self.links.items()], dim=1))


def finetune(
    job: FinetuneJob, scenes: Scenes, seed: int, pretrained: Path | None, attempt: Attempt | None = None
) -> Finetuned:
    """Run stage II for one method, SNR, label fraction and seed, on the device that holds the scenes.

    Each round draws one random view of a batch of labelled scenes, sends its features through eq. (2), and takes an
    SGD step on the cross-entropy, eqs. (16) and (17). In the first `frozen_epochs` the encoders stay as they are, batch
    statistics included, so that no gradient comes down; their warm-up begins afterwards. Evaluation is before the first
    round, then every `evaluate_every_rounds`, and after the last.

    Args:
        pretrained: encoders that `pretrain` wrote; None starts from random weights. Encoders of a diverged run are
            not trained on: the result is one row a split, with status `training.PRETRAINING_DIVERGED`.
        attempt: what tells where to go on from, and is told of every round, if any.

    Raises:
        InputError: the file is not one of ours, or a class keeps no labelled scene.
    """
    schedule, device, dtype = job.schedule, scenes.device, training.precision(job.compute)
    system = System(job, scenes, seed)
    status = load_encoders(system.encoders, pretrained) if pretrained else training.OK
    training.placed(system, job.compute, device)
    optimizer = training.SGD(
        [
            (system.encoders.parameters(), schedule.encoder_learning_rate),
            (system.decoder.parameters(), schedule.decoder_learning_rate),
        ],
        schedule.momentum,
        schedule.weight_decay,
    )
    indices = labelled_scenes(scenes, job.label_fraction, seed)
    per_epoch = training.steps_per_epoch(len(indices), schedule)
    total = training.total_steps(len(indices), schedule)
    thaw = schedule.frozen_epochs * per_epoch
    log = _Log(job, seed, per_epoch)
    if status == training.DIVERGED:
        log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), training.PRETRAINING_DIVERGED)
        log.step(float("nan"), float("nan"), training.PRETRAINING_DIVERGED)  # so that every run has a row
        return log.result(training.PRETRAINING_DIVERGED)

    def evaluate_all() -> dict[str, Score]:
        return {s: evaluate(system, scenes, s, job, seed) for s in EVALUATED_SPLITS if s in scenes.indices}

    watched = "validation" if "validation" in scenes.indices else "test"  # who chooses settings sees no test accuracy
    saved = attempt.start(total) if attempt else None
    if saved:
        log.load_state_dict(saved["log"])
        start, status, accuracy = saved["step"], saved["status"], saved["accuracy"]
        if start < total:
            system.load_state_dict(saved["system"])
            optimizer.load_state_dict(saved["optimizer"])
    else:
        scores = evaluate_all()
        log.add(scenes, scores, training.OK)
        start, accuracy = 0, scores[watched].accuracy

    def costs(batch_size: int, uplink_alone: bool) -> dict[str, Traffic]:
        k, bits = job.encoder.features, job.bits_per_value
        both = {m: exchange(batch_size, k, link.channel_uses(k), bits) for m, link in system.links.items()}
        return {m: cost.uplink() if uplink_alone else cost for m, cost in both.items()}

    def rate(step: int, steps: int) -> float:
        return training.learning_rate_factor(step, steps, schedule.warmup_epochs * per_epoch, schedule.decay)

    def state(step: int) -> dict:
        networks = {"system": system.state_dict(), "optimizer": optimizer.state_dict()}
        return {"step": step, "log": log.state_dict(), "status": status, "accuracy": accuracy, **networks}

    label = f"finetune {job.method} {job.snr_db:g} dB labels {job.label_fraction:g} seed {seed}"
    progress = Progress(label, total, "round", start=start)
    for step in range(start, total):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == start:
            batches = training.epoch_batches(indices, schedule, seed, "finetune", epoch)
        frozen = step < thaw
        system.train()
        system.encoders.train(not frozen)
        training.set_learning_rates(optimizer, 0.0 if frozen else rate(step - thaw, total - thaw), rate(step, total))
        torch.manual_seed(stream_seed(seed, "finetune", "dropout", step))
        batch = batches[position]
        streams = [stream(seed, "finetune", "view", step)]
        views = random_views(
            scenes.batch(batch), scenes.modalities, job.views, job.crop_size, streams, dtype, job.depth_encoding
        )
        with torch.set_grad_enabled(not frozen):
            z = training.encode(system.encoders, views, job.compute)
        noise = {m: stream(seed, "finetune", "channel", m, step, device=device) for m in job.modalities}
        loss = cross_entropy(system.decide(z, noise), scenes.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        gradient_norm = training.gradient_norm(system)
        value, norm = torch.stack([loss.detach(), gradient_norm]).tolist()
        log.ledger.charge(costs(len(batch), frozen))
        diverged = training.has_diverged([value, norm], norm, schedule.diverged_gradient_norm)
        log.step(value, norm, training.DIVERGED if diverged else training.OK)
        if diverged:
            status = training.DIVERGED
            log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), status)
            break
        training.clip_gradient(system, gradient_norm, schedule.clip_gradient_norm)
        optimizer.step()
        if (step + 1) % schedule.evaluate_every_rounds == 0 or step + 1 == total:
            scores = evaluate_all()
            if training.has_diverged([score.loss for score in scores.values()]):
                status = training.DIVERGED
                log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), status)
                break
            log.add(scenes, scores, training.OK)
            accuracy = scores[watched].accuracy
        progress(step + 1, loss=value, **{f"{watched}_accuracy": accuracy})
        if attempt:
            attempt.step_done(step + 1, partial(state, step + 1), accuracy=accuracy, split=watched)
    if attempt:
        attempt.trained(state(total) | {"system": None, "optimizer": None})
    return log.result(status)


def labelled_scenes(scenes: Scenes, label_fraction: float, seed: int) -> Tensor:
    """Indices of the training scenes that keep their label, on the scenes' device; see `label_subset`."""
    train = scenes.indices["train"].cpu()
    kept = label_subset(scenes.labels.cpu()[train].numpy(), label_fraction, seed, scenes.class_names)
    return train[torch.from_numpy(kept)].to(scenes.device)


@torch.no_grad()
def evaluate(system: System, scenes: Scenes, split: str, job: FinetuneJob, seed: int) -> Score:
    """Score a split, each scene encoded once and sent `channel_draws` times.

    The channel's realisations are the same at every evaluation of a run, and for every method of the same seed.
    """
    system.eval()
    indices = scenes.indices[split]
    labels = scenes.labels[indices]
    view = job.evaluation_crop_scale, job.crop_size, training.precision(job.compute), job.depth_encoding
    chunks = [
        training.encode(system.encoders, centre_views(scenes.batch(part), scenes.modalities, *view), job.compute)
        for part in indices.split(2 * job.schedule.batch_size)  # as many images at once as in stage I
    ]
    z = {m: torch.cat([chunk[m] for chunk in chunks]) for m in job.modalities}
    totals = torch.zeros(3, device=scenes.device)
    for draw in range(job.schedule.channel_draws):
        noise = {m: stream(seed, "evaluate", split, m, draw, device=scenes.device) for m in job.modalities}
        logits = system.decide(z, noise)
        hits = (logits.argmax(dim=1) == labels).float()
        per_class = torch.zeros(len(scenes.class_names), device=scenes.device).index_add(0, labels, hits)
        scenes_per_class = labels.bincount(minlength=len(scenes.class_names))
        recall = per_class[scenes_per_class > 0] / scenes_per_class[scenes_per_class > 0]
        totals += torch.stack([hits.mean(), recall.mean(), cross_entropy(logits, labels)])
    return Score(*(totals / job.schedule.channel_draws).tolist())


class _Log:
    """Gathers evaluations and the ledger beside them."""

    def __init__(self, job: FinetuneJob, seed: int, rounds_per_epoch: int):
        self.run = {
            "experiment": job.experiment,
            "method": job.method,
            "snr_db": job.snr_db,
            "label_fraction": job.label_fraction,
            "seed": seed,
        }
        self.rounds_per_epoch = rounds_per_epoch
        self.ledger = Ledger(job.modalities)
        self.rounds: list[dict] = []
        self.traffic: list[dict] = []
        self.steps: list[dict] = []

    def step(self, loss: float, gradient_norm: float, status: str) -> None:
        """A row for the round that the ledger was charged last; of a diverged one, whose step was not taken, too."""
        position = {"round": self.ledger.rounds, "epoch": self.ledger.rounds / self.rounds_per_epoch}
        self.steps.append({**self.run, **position, "loss": loss, "gradient_norm": gradient_norm, "status": status})

    def add(self, scenes: Scenes, scores: dict[str, Score | None], status: str) -> None:
        """Rows for the splits that the scenes have; a score of None, of a run that has ended, leaves blanks."""
        position = {"round": self.ledger.rounds, "epoch": self.ledger.rounds / self.rounds_per_epoch}
        blank = dict.fromkeys(("accuracy", "mean_class_accuracy", "loss"), float("nan"))
        for split, score in scores.items():
            if split in scenes.indices:
                values = asdict(score) if score else blank
                total = asdict(self.ledger.total())
                self.rounds.append({**self.run, "split": split, **position, **values, **total, "status": status})
        for device, traffic in self.ledger.devices.items():
            self.traffic.append({**self.run, "device": device, **position, **asdict(traffic)})

    def state_dict(self) -> dict:
        """Plain data for a checkpoint."""
        ledger = {device: asdict(traffic) for device, traffic in self.ledger.devices.items()}
        rows = {"rounds": self.rounds, "traffic": self.traffic, "steps": self.steps}
        return {**rows, "charged": self.ledger.rounds, "ledger": ledger}

    def load_state_dict(self, state: dict) -> None:
        self.rounds, self.traffic, self.steps = state["rounds"], state["traffic"], state["steps"]
        self.ledger.rounds = state["charged"]
        self.ledger.devices = {device: Traffic(**traffic) for device, traffic in state["ledger"].items()}

    def result(self, status: str) -> Finetuned:
        steps = pd.DataFrame(self.steps, columns=[*self.run, "round", "epoch", "loss", "gradient_norm", "status"])
        return Finetuned(pd.DataFrame(self.rounds), pd.DataFrame(self.traffic), steps, status)
