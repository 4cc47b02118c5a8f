"""Each device classifies by itself and sends what it thinks of every class as C real numbers; the server adds them up.

A device sends log P(class | its image) - log P(class), mean 0 over the classes, by the analog link of this project, two
numbers to a channel use, as often as the channel uses allow. The server adds what it receives, each device weighed by a
number fitted on validation scenes sent over the same link, and log P(class): a product of experts, in which the weight is
the temperature of the device, the scale that the power constraint took away, and the trust that the noise leaves.

Source: G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation, 2002.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from semcom.baselines.schemes.posterior import Options
from semcom.baselines.task import FITTED_ON, Air, Task, Told, label_bits
from semcom.config.sections import BlockSettings
from semcom.link.blocks import block
from semcom.link.ledger import Traffic
from semcom.link.link import Link


def prepare(task: Task, options: Options) -> dict[str, dict[str, Tensor]]:
    """Log-likelihood ratios that devices send, (N, C) by split and device."""
    log_prior, ratios = task.prior.log(), {}
    for split, of_split in task.posteriors.items():
        free = {m: log_p - log_prior for m, log_p in of_split.items()}
        ratios[split] = {m: (of_device - of_device.mean(dim=1, keepdim=True)).float() for m, of_device in free.items()}
    return ratios


def answer(prepared: dict[str, dict[str, Tensor]], task: Task, air: Air, options: Options) -> dict[str, Told]:
    """What the server answers on each split; see the module."""
    log_prior = task.prior.log()
    received = {split: received_ratios(ratios, air, split) for split, ratios in prepared.items()}
    fitted = fitted_weights(received[FITTED_ON], task.labels[FITTED_ON], log_prior)
    return {split: Told(fused(given, fitted, log_prior).argmax(dim=2), 1.0) for split, given in received.items()}


def training(prepared: dict[str, dict[str, Tensor]], task: Task, options: Options) -> Traffic:
    """Labels of the labelled training scenes go down to every device once; what it sends of validation scenes comes up, for
    its weight."""
    devices, numbers = len(task.modalities), task.classes * task.bits_per_value
    return Traffic(
        uplink_bits=devices * len(task.labels[FITTED_ON]) * numbers,
        downlink_bits=devices * task.labelled * label_bits(task.classes),
    )


def received_ratios(ratios: dict[str, Tensor], air: Air, split: str) -> Tensor:
    """What the server receives of each device's (N, C) ratios, (M, D, N, C)."""
    packed = block("modulation", BlockSettings(name="packed"))
    link = Link(packed, air.link.fading, air.link.estimation, air.link.equalizer)
    devices = []
    for m, values in ratios.items():
        generators = [air.generator(split, m, draw) for draw in range(air.draws)]
        draws = [repeated(link, values, air.channel_uses, air.snr_db[m], generator) for generator in generators]
        devices.append(torch.stack(draws))
    return torch.stack(devices).double()


def repeated(link: Link, values: Tensor, uses: int, snr_db: float, generator: torch.Generator) -> Tensor:
    """(N, C) values sent as often as `uses` channel uses allow, and what the server makes of them: the mean, (N, C)."""
    even = torch.nn.functional.pad(values, (0, values.shape[1] % 2))
    times = uses // (even.shape[1] // 2)
    received = link(even.repeat(1, times), snr_db, generator)
    return received.unflatten(1, (times, even.shape[1])).mean(dim=1)[:, : values.shape[1]]


def fused(received: Tensor, weights: Tensor, log_prior: Tensor) -> Tensor:
    """log P(class | all that was received), up to a constant, (D, N, C)."""
    return log_prior + torch.einsum("m,mdnc->dnc", weights, received)


def fitted_weights(received: Tensor, labels: Tensor, log_prior: Tensor) -> Tensor:
    """(M,) weights from 0 up with the least cross-entropy on (N,) labels: a convex problem.

    Args:
        received: (M, D, N, C).
    """
    devices, draws = received.shape[:2]
    target = labels.repeat(draws)

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.tensor(weights, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(fused(received, free, log_prior).flatten(0, 1), target)
        loss.backward()
        return loss.item(), free.grad.numpy()

    found = minimize(cost, np.ones(devices), jac=True, method="L-BFGS-B", bounds=[(0, None)] * devices)
    return torch.tensor(found.x)
