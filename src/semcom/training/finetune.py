"""Stage II, Algorithm 1's second half: encoders and decoder trained by cross-entropy through the channel.

`supervised` is the same from random encoders. A round is one optimiser step. Nothing is chosen on any evaluated split:
the run lasts as long as its schedule, and every evaluation is reported.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from semcom.common.reporting import Progress
from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.data.splits import label_subset
from semcom.link.ledger import Ledger, Traffic, exchange
from semcom.models.encoders import load_encoders
from semcom.models.precision import encode, placed, precision
from semcom.models.system import System
from semcom.rng import stream, stream_seed
from semcom.runs.attempt import Attempt
from semcom.training import optimization
from semcom.training.batches import epoch_batches, steps_per_epoch, total_steps
from semcom.training.evaluation import EVALUATED_SPLITS, Score, evaluate
from semcom.views.views import random_views


@dataclass(frozen=True)
class Finetuned:
    """What stage II leaves: one row an evaluation and split, the ledger by device, one row a round, and the run's status."""

    rounds: pd.DataFrame
    ledger: pd.DataFrame
    steps: pd.DataFrame
    status: str


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
            not trained on: the result is one row a split, with status `optimization.PRETRAINING_DIVERGED`.
        attempt: what tells where to go on from, and is told of every round, if any.

    Raises:
        InputError: the file is not one of ours, or a class keeps no labelled scene.
    """
    schedule, device, dtype = job.schedule, scenes.device, precision(job.compute)
    system = System(job, scenes, seed)
    status = load_encoders(system.encoders, pretrained) if pretrained else optimization.OK
    placed(system, job.compute, device)
    optimizer = optimization.SGD(
        [
            (system.encoders.parameters(), schedule.encoder_learning_rate),
            (system.decoder.parameters(), schedule.decoder_learning_rate),
        ],
        schedule.momentum,
        schedule.weight_decay,
    )
    indices = labelled_scenes(scenes, job.label_fraction, seed)
    per_epoch = steps_per_epoch(len(indices), schedule)
    total = total_steps(len(indices), schedule)
    thaw = schedule.frozen_epochs * per_epoch
    log = _Log(job, seed, per_epoch)
    if status == optimization.DIVERGED:
        log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), optimization.PRETRAINING_DIVERGED)
        log.step(float("nan"), float("nan"), optimization.PRETRAINING_DIVERGED)  # so that every run has a row
        return log.result(optimization.PRETRAINING_DIVERGED)

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
        log.add(scenes, scores, optimization.OK)
        start, accuracy = 0, scores[watched].accuracy

    def costs(batch_size: int, uplink_alone: bool) -> dict[str, Traffic]:
        k, bits = job.encoder.features, job.bits_per_value
        both = {m: exchange(batch_size, k, system.channel_uses, bits) for m in job.modalities}
        return {m: cost.uplink() if uplink_alone else cost for m, cost in both.items()}

    def rate(step: int, steps: int) -> float:
        return optimization.learning_rate_factor(step, steps, schedule.warmup_epochs * per_epoch, schedule.decay)

    def state(step: int) -> dict:
        networks = {"system": system.state_dict(), "optimizer": optimizer.state_dict()}
        return {"step": step, "log": log.state_dict(), "status": status, "accuracy": accuracy, **networks}

    label = f"finetune {job.method} {job.snr_db:g} dB labels {job.label_fraction:g} seed {seed}"
    progress = Progress(label, total, "round", start=start)
    for step in range(start, total):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == start:
            batches = epoch_batches(indices, schedule, seed, "finetune", epoch)
        frozen = step < thaw
        system.train()
        system.encoders.train(not frozen)
        optimization.set_learning_rates(
            optimizer, 0.0 if frozen else rate(step - thaw, total - thaw), rate(step, total)
        )
        torch.manual_seed(stream_seed(seed, "finetune", "dropout", step))
        batch = batches[position]
        streams = [stream(seed, "finetune", "view", step)]
        views = random_views(
            scenes.batch(batch), scenes.modalities, job.views, job.crop_size, streams, dtype, job.depth_encoding
        )
        with torch.set_grad_enabled(not frozen):
            z = encode(system.encoders, views, job.compute)
        noise = {m: stream(seed, "finetune", "channel", m, step, device=device) for m in job.modalities}
        loss = cross_entropy(system.decide(z, job.snr_db, noise), scenes.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        gradient_norm = optimization.gradient_norm(system)
        value, norm = torch.stack([loss.detach(), gradient_norm]).tolist()
        log.ledger.charge(costs(len(batch), frozen))
        diverged = optimization.has_diverged([value, norm], norm, schedule.diverged_gradient_norm)
        log.step(value, norm, optimization.DIVERGED if diverged else optimization.OK)
        if diverged:
            status = optimization.DIVERGED
            log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), status)
            break
        optimization.clip_gradient(system, gradient_norm, schedule.clip_gradient_norm)
        optimizer.step()
        if (step + 1) % schedule.evaluate_every_rounds == 0 or step + 1 == total:
            scores = evaluate_all()
            if optimization.has_diverged([score.loss for score in scores.values()]):
                status = optimization.DIVERGED
                log.add(scenes, dict.fromkeys(EVALUATED_SPLITS), status)
                break
            log.add(scenes, scores, optimization.OK)
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
