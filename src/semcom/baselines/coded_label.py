"""Each device classifies by itself and sends the label, coded over n channel uses; the server fuses by Bayes.

A label is one of C codewords of equal energy, n complex channel uses long: the simplex code where 2n >= C - 1, which is
the best that is known for equal energy, else points spread over the sphere numerically. The server keeps the likelihood
of each codeword instead of deciding, and weighs it with how often the device says each label when each class is shown,
counted on validation scenes. Where it hears but noise, the prior decides.

Sources: J. G. Proakis, M. Salehi, "Digital Communications", 5th ed., 2008, Section 4.4 (simplex signalling); R. R.
Tenney, N. R. Sandell, "Detection with distributed sensors", IEEE Trans. Aerosp. Electron. Syst., 1981 (fusion).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from semcom.baselines.schemes.label import Options
from semcom.baselines.task import FITTED_ON, Air, Task, Told, label_bits, receive_words
from semcom.link.ledger import Traffic
from semcom.rng import stream

SPREAD_STARTS = 8
SHARPNESSES = (1.0, 10.0, 100.0, 1000.0)  # per squared distance on the unit sphere


@dataclass(frozen=True)
class Prepared:
    """Labels that devices give, (N,) by split and device, and P(label | class), (C, C), of each device."""

    said: dict[str, dict[str, Tensor]]
    confusions: dict[str, Tensor]


def prepare(task: Task, options: Options) -> Prepared:
    """Each device's labels, and its confusions on validation scenes."""
    said = {
        split: {m: log_p.argmax(dim=1) for m, log_p in of_split.items()} for split, of_split in task.posteriors.items()
    }
    shown = task.labels[FITTED_ON]
    counted = {}
    for m, labels in said[FITTED_ON].items():
        told = [told_of_left_out(labels, shown, task.classes, count) for count in options.pseudo_counts]
        counted[m] = confusion(labels, shown, task.classes, options.pseudo_counts[int(np.argmax(told))])
    return Prepared(said, counted)


def answer(prepared: Prepared, task: Task, air: Air, options: Options) -> dict[str, Told]:
    """What the server answers on each split; see the module."""
    code, told = spherical_code(task.classes, air.channel_uses), {}
    for split, of_split in prepared.said.items():
        predicted, right = [], []
        for draw in range(air.draws):
            evidence = []
            for m, labels in of_split.items():
                h, generator = air.fading(len(labels), split, m, draw)
                received = receive_words(code[labels], h, air.noise_power(m), generator)
                likelihood = log_likelihoods(received, h, code, air.noise_power(m))
                right.append((likelihood.argmax(dim=1) == labels).double().mean())
                evidence.append(class_evidence(likelihood, prepared.confusions[m]))
            predicted.append(fused(evidence, task.prior).argmax(dim=1))
        told[split] = Told(torch.stack(predicted), torch.stack(right).mean().item())
    return told


def training(prepared: Prepared, task: Task, options: Options) -> Traffic:
    """Labels of the labelled training scenes go down to every device once; those that devices give validation scenes come
    up, for the confusions."""
    bits, devices = label_bits(task.classes), len(task.modalities)
    return Traffic(
        uplink_bits=devices * len(task.labels[FITTED_ON]) * bits, downlink_bits=devices * task.labelled * bits
    )


def confusion(said: Tensor, shown: Tensor, classes: int, pseudo_count: float) -> Tensor:
    """P(label said | class shown), (C shown, C said), from (N,) pairs, smoothed towards how often each label is said."""
    counts = counted(said, shown, classes)
    overall = (counts.sum(dim=0) + 1 / classes) / (len(said) + 1)
    return (counts + pseudo_count * overall) / (counts.sum(dim=1, keepdim=True) + pseudo_count)


def told_of_left_out(said: Tensor, shown: Tensor, classes: int, pseudo_count: float) -> float:
    """Mean log P(label said | class shown) of each of (N,) pairs by the `confusion` of all others."""
    counts = counted(said, shown, classes)
    overall = (counts.sum(dim=0)[said] - 1 + 1 / classes) / len(said)
    others = counts[shown, said] - 1, counts.sum(dim=1)[shown] - 1
    return ((others[0] + pseudo_count * overall) / (others[1] + pseudo_count)).log().mean().item()


def counted(said: Tensor, shown: Tensor, classes: int) -> Tensor:
    """How often each label is said of each class, (C shown, C said)."""
    return torch.bincount(shown * classes + said, minlength=classes**2).view(classes, classes).double()


def log_likelihoods(received: Tensor, h: Tensor, code: Tensor, n0: float) -> Tensor:
    """log p(r | codeword), (N, C), up to a constant: -|r - h x|^2 / N0; without noise 0 for the nearest, else -inf.

    Args:
        received: (N, n); h: (N, 1); code: (C, n), all complex.
    """
    r, a, x = (tensor.to(torch.complex128) for tensor in (received, h, code))
    nearness = 2 * ((a.conj() * r) @ x.mH).real - a.abs().square() * x.abs().square().sum(dim=1)  # |r|^2 left out
    if n0 == 0:
        return torch.where(nearness == nearness.max(dim=1, keepdim=True).values, 0.0, -math.inf)
    return nearness / n0


def class_evidence(likelihood: Tensor, confused: Tensor) -> Tensor:
    """log p(r | class), (N, C): the sum over labels of p(r | label) P(label | class)."""
    return torch.logsumexp(likelihood[:, None] + confused.log(), dim=2)


def fused(evidence: list[Tensor], prior: Tensor) -> Tensor:
    """log P(class | all that was received), up to a constant, (N, C): devices err independently, given the class."""
    return prior.log() + torch.stack(evidence).sum(dim=0)


@lru_cache
def spherical_code(words: int, uses: int) -> Tensor:
    """`words` codewords of `uses` complex channel uses, (words, uses) complex64, each of mean power 1.

    The simplex where it fits into the 2 x `uses` real dimensions, turned at random so that power is spread over the
    channel uses; else `spread_points`.
    """
    dimensions = 2 * uses
    if dimensions >= words - 1:
        centred = torch.eye(words, dtype=torch.float64) - 1 / words
        corners = torch.linalg.svd(centred)[0][:, : words - 1]  # rows: corners of a regular simplex, of equal length
        points = torch.nn.functional.normalize(corners, dim=1)
        turned = torch.linalg.qr(
            torch.randn(dimensions, words - 1, dtype=torch.float64, generator=stream(0, "simplex code", words, uses))
        )[0]
        points = points @ turned.T
    else:
        points = spread_points(words, dimensions)
    return (math.sqrt(uses) * torch.complex(points[:, :uses], points[:, uses:])).to(torch.complex64)


def spread_points(number: int, dimensions: int) -> Tensor:
    """Points on the unit sphere, (number, dimensions) float64, whose smallest distance is large.

    Descent on sum exp(-sharpness |a - b|^2), from soft to sharp and from several seeded starts, of which the best is kept.
    """

    def energy(flat: np.ndarray, sharpness: float) -> tuple[float, np.ndarray]:
        free = torch.tensor(flat, requires_grad=True)
        apart = torch.pdist(on_sphere(free)).square()
        value = torch.logsumexp(-sharpness * apart, dim=0) / sharpness
        value.backward()
        return value.item(), free.grad.numpy()

    def on_sphere(flat: Tensor) -> Tensor:
        return torch.nn.functional.normalize(flat.view(number, dimensions), dim=1)

    found = []
    for start in range(SPREAD_STARTS):
        generator = stream(start, "spread points", number, dimensions)
        flat = torch.randn(number * dimensions, dtype=torch.float64, generator=generator).numpy()
        for sharpness in SHARPNESSES:
            flat = minimize(energy, flat, args=(sharpness,), jac=True, method="L-BFGS-B").x
        found.append(on_sphere(torch.from_numpy(flat)))
    return max(found, key=lambda points: torch.pdist(points).min().item())
