"""Stage II, Algorithm 1's second half: encoders and decoder trained by cross-entropy through the channel.

`supervised` is the same from random encoders. A round is one optimiser step. Nothing is chosen on any evaluated split:
the run lasts as long as its schedule, and every evaluation is reported.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from semcom.common.reporting import Progress
from semcom.common.structure import NUMBER, fault
from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.data.splits import label_subset
from semcom.link.ledger import Traffic, exchange
from semcom.models import precision
from semcom.models.encoders import load_encoders
from semcom.models.system import System
from semcom.rng import stream, stream_seed
from semcom.training import optimization
from semcom.training.batches import steps
from semcom.training.evaluation import EVALUATED_SPLITS, Evaluation
from semcom.training.observer import Observer, Unobserved
from semcom.training.round_log import Finetuned, RoundLog
from semcom.training.saved_state import POSITION, networks_fault
from semcom.training.schedule import learning_rate_factor, steps_per_epoch, total_steps
from semcom.views.views import random_views


def finetune(
    job: FinetuneJob, scenes: Scenes, seed: int, pretrained: Path | None, observer: Observer | None = None
) -> Finetuned:
    """Run stage II for one method, SNR, label fraction and seed, on the device that holds the scenes.

    Each round draws one random view of a batch of labelled scenes, sends its features through eq. (2), and takes an
    SGD step on the cross-entropy, eqs. (16) and (17). In the first `frozen_epochs` the encoders stay as they are, batch
    statistics included, so that no gradient comes down; their warm-up begins afterwards. Evaluation is before the first
    round, then every `evaluate_every_rounds`, and after the last.

    Args:
        pretrained: encoders that `pretrain` wrote; None starts from random weights. Encoders of a diverged run are
            not trained on: the result is one row a split, with status `optimization.PRETRAINING_DIVERGED`.
        observer: what tells where to go on from, and is told of every round, if any.

    Raises:
        InputError: the file is not one of ours, a class keeps no labelled scene, or the device cannot compute as
            configured.
    """
    schedule, device, observer = job.schedule, scenes.device, observer or Unobserved()
    system = System(job, scenes, seed)
    status = load_encoders(system.encoders, pretrained) if pretrained else optimization.OK
    indices = labelled_scenes(scenes, job.label_fraction, seed)
    per_epoch, total = steps_per_epoch(len(indices), schedule), total_steps(len(indices), schedule)
    splits = [split for split in EVALUATED_SPLITS if split in scenes.indices]
    watched = "validation" if "validation" in splits else "test"  # who chooses settings sees no test accuracy
    log = RoundLog(job, splits, seed, per_epoch)
    if status == optimization.DIVERGED:
        log.add({}, optimization.PRETRAINING_DIVERGED)
        log.step(float("nan"), float("nan"), optimization.PRETRAINING_DIVERGED)  # so that every run has a row
        return log.result(optimization.PRETRAINING_DIVERGED, None)

    rates = [(system.encoders, schedule.encoder_learning_rate), (system.decoder, schedule.decoder_learning_rate)]

    def fault_in(state: dict) -> str | None:
        networks = {"system": dict | None, "optimizer": dict | None}
        layout = POSITION | networks | {"accuracy": NUMBER | None, "log": dict}
        wrong = fault(state, layout, "state") or log.fault_in(state["log"])
        if wrong or state["step"] >= total:
            return wrong
        return networks_fault(state, "system", system, rates, schedule)

    saved = observer.start(total, fault_in)
    compute = precision.decide(job.compute, device, saved and saved["arithmetic"])
    precision.placed(system, compute, device)
    optimizer = optimization.make_optimizer(rates, schedule)
    start, accuracy = 0, None
    if saved:
        log.load_state_dict(saved["log"])
        start, status, accuracy = saved["step"], saved["status"], saved["accuracy"]
        if start < total:
            system.load_state_dict(saved["system"])
            optimizer.load_state_dict(saved["optimizer"])

    def state() -> dict:
        position = {"step": log.ledger.rounds, "log": log.state_dict(), "status": status, "accuracy": accuracy}
        networks = {"system": system.state_dict(), "optimizer": optimizer.state_dict()}
        return {**position, "arithmetic": precision.decided(compute), **networks}

    evaluations = {split: Evaluation(scenes, split, job, seed, compute) for split in splits}

    def evaluate() -> None:
        nonlocal accuracy
        scores = {split: evaluation(system) for split, evaluation in evaluations.items()}
        log.add(scores, optimization.OK)
        accuracy = scores[watched].accuracy

    if not saved:
        evaluate()
    thaw, warm_up = schedule.frozen_epochs * per_epoch, schedule.warmup_epochs * per_epoch
    label = f"finetune {job.method} {job.snr_db:g} dB labels {job.label_fraction:g} seed {seed}"
    progress = Progress(label, total, "round", start=start)
    for step, batch in steps(indices, schedule, seed, "finetune", start):
        frozen = step < thaw
        if not system.training or system.encoders.training == frozen:  # after an evaluation, and on thawing
            system.train()
            system.encoders.train(not frozen)
        of_encoders = 0.0 if frozen else learning_rate_factor(step - thaw, total - thaw, warm_up, schedule.decay)
        of_decoder = learning_rate_factor(step, total, warm_up, schedule.decay)
        optimization.set_learning_rates(optimizer, of_encoders, of_decoder)
        torch.manual_seed(stream_seed(seed, "finetune", "dropout", step))
        views = random_views(
            scenes.batch(batch), scenes.modalities, job.views, job.crop_size, [stream(seed, "finetune", "view", step)],
            precision.dtype(compute), job.depth_encoding,
        )  # fmt: skip
        with torch.set_grad_enabled(not frozen):
            z = precision.encode(system.encoders, views, compute)
        noise = {m: stream(seed, "finetune", "channel", m, step, device=device) for m in job.modalities}
        loss = cross_entropy(system.decide(z, job.snr_db, noise), scenes.labels[batch])
        numbers, status = optimization.descend(optimizer, loss, {"system": system}, schedule)
        log.ledger.charge(round_costs(job, system, len(batch), uplink_alone=frozen))
        log.step(numbers["loss"], numbers["gradient_norm"], status)
        if status == optimization.OK and (step + 1 == total or (step + 1) % schedule.evaluate_every_rounds == 0):
            try:
                evaluate()
            except FloatingPointError:
                status = optimization.DIVERGED
        if status == optimization.DIVERGED:
            log.add({}, status)
            break
        progress(step + 1, loss=numbers["loss"], **{f"{watched}_accuracy": accuracy})
        observer.step_done(step + 1, state, accuracy=accuracy, split=watched)
    observer.trained(state() | {"step": total, "system": None, "optimizer": None})
    return log.result(status, precision.decided(compute))


def round_costs(job: FinetuneJob, system: System, batch: int, *, uplink_alone: bool) -> dict[str, Traffic]:
    """What a round of `batch` scenes costs each device; with frozen encoders no gradient comes down."""
    k = job.encoder.features
    both = {m: exchange(batch, k, system.channel_uses, job.bits_per_value) for m in job.modalities}
    return {m: cost.uplink() if uplink_alone else cost for m, cost in both.items()}


def labelled_scenes(scenes: Scenes, label_fraction: float, seed: int) -> Tensor:
    """Indices of the training scenes that keep their label, on the scenes' device; see `label_subset`."""
    train = scenes.indices["train"].cpu()
    kept = label_subset(scenes.labels.cpu()[train].numpy(), label_fraction, seed, scenes.class_names)
    return train[torch.from_numpy(kept)].to(scenes.device)
