"""Stage I, Algorithm 1's first half: encoders trained without labels, by the self-supervised loss of a method.

Nothing crosses the air here if the devices' scenes were recorded and stored together. If the devices were apart, a loss
that correlates modalities would need their features to meet: `link.pretraining_overhead` states that cost.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import nn

from semcom.common import plugins
from semcom.common.reporting import Progress
from semcom.common.structure import NUMBER, fault
from semcom.config.jobs import PretrainJob
from semcom.data.scenes import Scenes
from semcom.models import precision
from semcom.models.two_views import make_network
from semcom.rng import stream
from semcom.training import optimization
from semcom.training.batches import steps
from semcom.training.observer import Observer, Unobserved
from semcom.training.saved_state import POSITION, networks_fault
from semcom.training.schedule import learning_rate_factor, steps_per_epoch, total_steps
from semcom.views.views import random_views


@dataclass(frozen=True)
class Pretrained:
    """What stage I leaves: encoders, one row a step, `optimization.OK` or `DIVERGED`, and the arithmetic it ran in."""

    encoders: nn.ModuleDict
    steps: pd.DataFrame
    status: str
    arithmetic: dict[str, object]


def pretrain(job: PretrainJob, scenes: Scenes, seed: int, observer: Observer | None = None) -> Pretrained:
    """Run stage I on the training scenes, on the device that holds them.

    Each step draws two views of a batch of scenes, encodes them, and takes an SGD step on the method's loss, eq. (15). The
    network is the loss file's own, or `TwoViews`; its state is all that is carried from one step to the next.
    The run stops at the first step whose loss or gradient norm is not finite, or whose gradient norm passes its bound;
    that step is logged, and not taken.

    Args:
        observer: what tells where to go on from, and is told of every step, if any.

    Returns:
        The encoders as they are then; `steps` with each loss term, gradient and feature norms, the norm of each
        encoder's weights before the last step of each epoch and before one that diverges (empty in between), and the
        learning rate.

    Raises:
        InputError: the scenes do not fill one batch, the device cannot compute as configured, the loss file's network
            lacks what stage I needs, or the loss gives a network no gradient.
    """
    schedule, indices = job.schedule, scenes.indices["train"]
    observer = observer or Unobserved()
    loss = plugins.load("semcom.losses", job.loss)
    options = loss.Options(**job.options)
    per_epoch, total = steps_per_epoch(len(indices), schedule), total_steps(len(indices), schedule)
    network = make_network(loss, job, scenes, seed)
    rates = [(network, schedule.learning_rate)]

    def fault_in(state: dict) -> str | None:
        layout = POSITION | {"rows": [dict], "network": dict, "optimizer": dict | None}
        wrong = fault(state, layout, "state") or _rows_fault(state["rows"], job)
        if wrong or state["step"] >= total:
            return wrong or fault(state["network"], network.state_dict(), "network")
        return networks_fault(state, "network", network, rates, schedule)

    saved = observer.start(schedule.epochs, fault_in)
    compute = precision.decide(job.compute, scenes.device, saved and saved["arithmetic"])
    precision.placed(network, compute, scenes.device).train()
    optimizer = optimization.make_optimizer(rates, schedule)
    rows, status, start = [], optimization.OK, 0
    if saved:
        rows, status, start = saved["rows"], saved["status"], saved["step"]
        network.load_state_dict(saved["network"])
        if start < total:
            optimizer.load_state_dict(saved["optimizer"])

    def state() -> dict:
        position = {"step": len(rows), "rows": rows, "status": status}
        networks = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        return {**position, "arithmetic": precision.decided(compute), **networks}

    def weight_norms() -> dict[str, float]:  # a pass over all weights, which not every step need pay for
        return {f"weight_norm_{m}": optimization.weight_norm(e).item() for m, e in network.encoders.items()}

    progress = Progress(f"pretrain {job.method} seed {seed}", schedule.epochs, "epoch", start=start / per_epoch)
    for step, batch in steps(indices, schedule, seed, "pretrain", start):
        factor = learning_rate_factor(step, total, schedule.warmup_epochs * per_epoch, schedule.decay)
        optimization.set_learning_rates(optimizer, factor)
        streams = [stream(seed, "pretrain", "view", which, step) for which in (0, 1)]
        views = random_views(
            scenes.batch(batch), scenes.modalities, job.views, job.crop_size, streams, precision.dtype(compute),
            job.depth_encoding,
        )  # fmt: skip
        seen = network.features(views, compute)
        terms = loss.terms(*seen, options)
        first = zip(job.modalities, seen[0], strict=True)
        readings = terms | {f"feature_norm_{m}": z.norm(dim=1).mean() for m, z in first}
        total_loss, parts = sum(terms.values()), network.parts
        if step == 0:
            optimization.check_gradients(total_loss, parts, f"methods.{job.method}: loss '{job.loss}'")
        epoch_ends = (step + 1) % per_epoch == 0
        weights = weight_norms() if epoch_ends else {}
        numbers, status = optimization.descend(optimizer, total_loss, parts, schedule, readings)
        numbers |= weight_norms() if status == optimization.DIVERGED else weights
        rows.append(
            {
                "experiment": job.experiment,
                "method": job.method,
                "seed": seed,
                "step": step + 1,
                "epoch": (step + 1) / per_epoch,
                "scenes": len(batch),
                **{name: numbers.get(name, math.nan) for name in logged(terms, job.modalities)},
                "learning_rate": optimizer.param_groups[0]["lr"],
                "status": status,
            }
        )
        if status == optimization.DIVERGED:
            break
        network.after_step(step, total)
        if epoch_ends:
            progress((step + 1) // per_epoch, loss=numbers["loss"], gradient_norm=numbers["gradient_norm"])
        observer.step_done((step + 1) // per_epoch, state)
    observer.trained(state() | {"step": total, "optimizer": None})
    return Pretrained(network.encoders, pd.DataFrame(rows), status, precision.decided(compute))


def _rows_fault(rows: list[dict], job: PretrainJob) -> str | None:
    """In what saved rows are not those of `steps.csv`; which terms a loss has, only its first step tells."""
    text = dict.fromkeys(("experiment", "method", "status"), str)
    numbers = [
        *("seed", "step", "epoch", "scenes", "learning_rate"),
        *logged([], job.modalities),
        *(rows[0] if rows else ()),
    ]
    return fault(rows, [dict.fromkeys(numbers, NUMBER) | text], "state.rows")


def logged(terms: Iterable[str], modalities: Sequence[str]) -> list[str]:
    """Names of what a step is read for, in the order of `steps.csv`: up to `gradient_norm`, the loss and its terms.

    Norms of projectors and other networks that stage I throws away are not kept.
    """
    norms = [f"{what}_norm_{m}" for what in ("gradient", "weight", "feature") for m in modalities]
    return ["loss", *terms, "gradient_norm", *norms]
