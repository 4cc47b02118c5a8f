"""Stage II, Algorithm 1's second half: encoders and decoder trained by cross-entropy through the channel.

`supervised` is the same from random encoders. A round is one optimiser step. Nothing is chosen on any evaluated split:
the run lasts as long as its schedule, and every evaluation is reported.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from semcom.common.reporting import Progress
from semcom.common.spelling import spelled_number
from semcom.common.structure import NUMBER, fault
from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.data.splits import label_subset
from semcom.link.ledger import Traffic, exchange
from semcom.link.trace import check_length, read_trace
from semcom.models import precision
from semcom.models.encoders import load_encoders
from semcom.models.system import System
from semcom.rng import stream, stream_seed
from semcom.training import optimization
from semcom.training.answers import Answers, make_answers
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
    round, then every `evaluate_every_rounds`, and after the last, whose answers are kept.

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
    trace = read_trace(job.channel.snr_trace, job.modalities) if job.channel.snr_trace else None
    if trace:
        check_length(trace, total, job.channel.snr_trace, f"stage II of {job.method}")
    splits = [split for split in EVALUATED_SPLITS if split in scenes.indices]
    watched = "validation" if "validation" in splits else "test"  # who chooses settings sees no test accuracy
    log, answers = RoundLog(job, splits, seed, per_epoch), {}
    if status == optimization.DIVERGED:
        log.add({}, optimization.PRETRAINING_DIVERGED)
        log.step(float("nan"), float("nan"), optimization.PRETRAINING_DIVERGED)  # so that every run has a row
        return log.result(optimization.PRETRAINING_DIVERGED, None)

    rates = [(system.encoders, schedule.encoder_learning_rate), (system.decoder, schedule.decoder_learning_rate)]

    def fault_in(state: dict) -> str | None:
        networks = {"system": dict | None, "optimizer": dict | None}
        layout = POSITION | networks | {"accuracy": NUMBER | None, "log": dict, "answers": dict}
        wrong = fault(state, layout, "state") or log.fault_in(state["log"]) or _answers_fault(state["answers"], scenes)
        if wrong or state["step"] < total:
            return wrong or networks_fault(state, "system", system, rates, schedule)
        if state["status"] == optimization.OK and state["answers"].keys() != set(splits):
            return "state.answers are not those of a finished run"
        return fault(state["system"], system.state_dict(), "system") if state["status"] == optimization.OK else None

    saved = observer.start(total, fault_in)
    compute = precision.decide(job.compute, device, saved and saved["arithmetic"])
    precision.placed(system, compute, device)
    optimizer = optimization.make_optimizer(rates, schedule)
    start, accuracy = 0, None
    if saved:
        log.load_state_dict(saved["log"])
        start, status, accuracy = saved["step"], saved["status"], saved["accuracy"]
        answers = {split: Answers(**of_split) for split, of_split in _arrays(saved["answers"]).items()}
        if saved["system"]:
            system.load_state_dict(saved["system"])
        if start < total:
            optimizer.load_state_dict(saved["optimizer"])

    def state() -> dict:
        ended = log.ledger.rounds == total  # before, another evaluation follows
        kept_answers = {split: _tensors(vars(answer)) for split, answer in answers.items() if ended}
        position = {"step": log.ledger.rounds, "log": log.state_dict(), "status": status, "accuracy": accuracy}
        networks = {"system": system.state_dict(), "optimizer": optimizer.state_dict()}
        return {**position, "arithmetic": precision.decided(compute), "answers": kept_answers, **networks}

    evaluations = {split: Evaluation(scenes, split, job, seed, compute) for split in splits}

    def evaluate() -> None:
        nonlocal accuracy
        scores = {}
        for split, evaluation in evaluations.items():
            logits = evaluation.logits(system, evaluation.features(system))
            scores[split] = evaluation.score(logits)
            told = (logits, evaluation.labels, evaluation.indices)
            answers[split] = make_answers(*(tensor.cpu().numpy() for tensor in told))
        log.add(scores, optimization.OK)
        accuracy = scores[watched].accuracy

    if not saved:
        evaluate()
    thaw, warm_up = schedule.frozen_epochs * per_epoch, schedule.warmup_epochs * per_epoch
    cell = f"{spelled_number(job.snr_db)} dB labels {spelled_number(job.label_fraction)}"
    label = f"finetune {job.method} {cell} seed {seed}"
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
        sent_at, heard = training_snr(job, seed, step, batch, trace), devices_heard(job, seed, step, batch)
        loss = cross_entropy(system.decide(z, sent_at, noise, heard), scenes.labels[batch])
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
    final = state() | {"step": total, "optimizer": None}
    if status != optimization.OK:
        observer.trained(final | {"system": None})
        return log.result(status, precision.decided(compute))
    observer.trained(final)
    return log.result(status, precision.decided(compute), system, answers)


def training_snr(
    job: FinetuneJob, seed: int, step: int, batch: Tensor, trace: Mapping[str, np.ndarray] | None = None
) -> float | Tensor | dict[str, Tensor]:
    """The nominal SNR of a round in dB: the run's own; one for each of the B scenes, drawn evenly from the range; or (B,)
    of each device, from the trace's row of this round."""
    if trace is not None:
        return {m: torch.full((len(batch),), trace[m][step], device=batch.device) for m in job.modalities}
    if job.schedule.snr_range_db is None:
        return job.snr_db
    low, high = job.schedule.snr_range_db
    drawn = torch.rand(len(batch), generator=stream(seed, "finetune", "snr", step))
    return (low + (high - low) * drawn).to(batch.device)


def devices_heard(job: FinetuneJob, seed: int, step: int, batch: Tensor) -> dict[str, Tensor] | None:
    """Which devices the server hears in a round, (B,) booleans each; None: all.

    Each is silent with probability `modality_dropout`, scene by scene; where that leaves none, all are heard.
    """
    if not job.schedule.modality_dropout:
        return None
    generator = stream(seed, "finetune", "heard", step)
    heard = torch.rand(len(batch), len(job.modalities), generator=generator) >= job.schedule.modality_dropout
    heard |= ~heard.any(dim=1, keepdim=True)
    return dict(zip(job.modalities, heard.to(batch.device).unbind(dim=1), strict=True))


def round_costs(job: FinetuneJob, system: System, batch: int, *, uplink_alone: bool) -> dict[str, Traffic]:
    """What a round of `batch` scenes costs each device; with frozen encoders no gradient comes down."""
    k = job.encoder.features
    both = {m: exchange(batch, k, system.channel_uses, job.bits_per_value, system.pilots) for m in job.modalities}
    return {m: cost.uplink() if uplink_alone else cost for m, cost in both.items()}


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Arrays as a checkpoint can hold them."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _arrays(saved: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, np.ndarray]]:
    return {split: {name: tensor.numpy() for name, tensor in tensors.items()} for split, tensors in saved.items()}


def _answers_fault(saved: Mapping[str, object], scenes: Scenes) -> str | None:
    """In what saved answers are not those of some of the splits: tensors of as many scenes as a split has."""
    for split, tensors in saved.items():
        name = f"answers.{split}"
        if split not in scenes.indices:
            return f"state has {name!r}, which this version does not know"
        if wrong := fault(tensors, {field.name: Tensor for field in fields(Answers)}, name):
            return wrong
        count = len(scenes.indices[split])
        shapes = [tuple(tensors[key].shape) for key in ("logits", "predicted", "labels", "scenes")]
        draws = shapes[1][:1]
        if shapes != [(*draws, count, len(scenes.class_names)), (*draws, count), (count,), (count,)]:
            return f"{name} has other shapes"
    return None


def labelled_scenes(scenes: Scenes, label_fraction: float, seed: int) -> Tensor:
    """Indices of the training scenes that keep their label, on the scenes' device; see `label_subset`."""
    train = scenes.indices["train"].cpu()
    kept = label_subset(scenes.labels.cpu()[train].numpy(), label_fraction, seed, scenes.class_names)
    return train[torch.from_numpy(kept)].to(scenes.device)
