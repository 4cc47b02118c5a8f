"""One step of gradient descent, as both stages take it: learning rate, norms, divergence, clipping, optimizer."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from semcom.common.errors import InputError
from semcom.config.sections import ScheduleSettings
from semcom.training.lars import LARS

OK = "ok"
DIVERGED = "diverged"
PRETRAINING_DIVERGED = "pretraining_diverged"

Group = tuple[nn.Module, float]  # networks that share a peak learning rate, and that rate


def make_optimizer(groups: Iterable[Group], schedule: ScheduleSettings) -> torch.optim.Optimizer:
    """The configured optimizer of torch, with a group (or two) for each network and its own peak learning rate.

    Parameters that ask for no gradient are left out. SGD, which the paper names, has momentum and an L2 penalty on every
    parameter. AdamW takes `momentum` as its first beta. AdamW and LARS let biases and normalisation layers decay not at
    all, as their public uses do; LARS does not adapt their step either.

    Returns:
        An optimizer whose `param_groups` have `peak_lr` beside `lr`, which is used, and the number of the `network`
        they are of.
    """
    made = []
    for number, (network, peak) in enumerate(groups):
        parameters = [p for p in network.parameters() if p.requires_grad]
        shared = {"lr": peak, "peak_lr": peak, "network": number}
        if schedule.optimizer == "sgd":
            made.append({"params": parameters, **shared})
            continue
        plain = {"weight_decay": 0.0} | ({"adapt": False} if schedule.optimizer == "lars" else {})
        made.append({"params": [p for p in parameters if not is_vector(p)], **shared})
        made.append({"params": [p for p in parameters if is_vector(p)], **shared, **plain})
    decay, momentum = schedule.weight_decay, schedule.momentum
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(made, betas=(momentum, 0.999), weight_decay=decay, fused=True)
    kind = {"sgd": torch.optim.SGD, "lars": LARS}[schedule.optimizer]
    return kind(made, lr=0.0, momentum=momentum, weight_decay=decay, fused=True)


def is_vector(parameter: Tensor) -> bool:
    """Whether a parameter is a bias or a scale of channels, also one that is laid out for images, such as (C, 1, 1)."""
    return parameter.dim() <= 1 or (parameter.dim() > 2 and parameter.numel() == max(parameter.shape))


def set_learning_rates(optimizer: torch.optim.Optimizer, *factors: float) -> None:
    """Set the rate of each network's groups to its factor times their own peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factors[group["network"]]


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    networks: Mapping[str, nn.Module],
    schedule: ScheduleSettings,
    readings: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, float], str]:
    """Backward pass, norms, and the step, which is not taken where the run has diverged.

    Args:
        loss: scalar.
        networks: by name, all that the loss trains, no parameter in two of them.
        readings: scalars to be read from the device together with the norms.

    Returns:
        Numbers: `loss`, the readings, `gradient_norm` of all networks together, and `gradient_norm_<name>` of each; and
        `OK` or `DIVERGED`: a number is not finite, or the gradient norm is beyond its bound.
    """
    optimizer.zero_grad()
    loss.backward()
    norms = {name: gradient_norm(network).to(loss.device) for name, network in networks.items()}
    norm = torch.linalg.vector_norm(torch.stack(list(norms.values())))
    found = {"loss": loss, **(readings or {}), "gradient_norm": norm}
    found |= {f"gradient_norm_{name}": each for name, each in norms.items()}
    numbers = dict(zip(found, torch.stack([value.detach() for value in found.values()]).tolist(), strict=True))
    if has_diverged(numbers.values(), numbers["gradient_norm"], schedule.diverged_gradient_norm):
        return numbers, DIVERGED
    # Fused optimizers divide gradients by this as they read them, which spares a pass over all of them.
    optimizer.grad_scale = clipping_divisor(norm, schedule.clip_gradient_norm)
    optimizer.step()
    return numbers, OK


def check_gradients(loss: Tensor, networks: Mapping[str, nn.Module], where: str) -> None:
    """Refuse a loss that does not depend on every parameter that it is to train: an optimizer wants all from the start.

    Args:
        loss: scalar, before its backward pass.
        networks: by name, as for `descend`; one without parameters to train is left out.
        where: begins the message.

    Raises:
        InputError: names the networks, or a parameter of one that is reached in part.
    """
    reached = parameters_behind(loss)
    missing = []
    for name, network in networks.items():
        trained = {own: p for own, p in network.named_parameters() if p.requires_grad}
        unreached = [own for own, p in trained.items() if p not in reached]
        if unreached:
            missing.append(name if len(unreached) == len(trained) else f"{name}.{unreached[0]}")
    if missing:
        raise InputError(
            f"{where} gives no gradient to {', '.join(missing)}; each must take part in a term that is not detached, or be "
            "left out"
        )


def parameters_behind(value: Tensor) -> set[Tensor]:
    """The leaves of autograd's graph that a value depends on."""
    found, seen, waiting = set(), set(), [getattr(value, "grad_fn", None)]  # a sum of no terms is the number 0
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        waiting += [before for before, _ in node.next_functions]
    return found


def clipping_divisor(norm: Tensor, bound: float | None) -> Tensor | None:
    """What gradients of this norm are to be divided by, so that it is `bound` at the most; None without a bound."""
    return None if bound is None else (norm / bound).clamp(min=1)


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm of all gradients of a network, as a scalar tensor on its device; 0 where it has none."""
    return nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])


def weight_norm(network: nn.Module) -> Tensor:
    """L2 norm of all parameters of a network, as a scalar tensor on its device."""
    return nn.utils.get_total_norm([p.detach() for p in network.parameters()])


def has_diverged(values: Iterable[float], norm: float = 0.0, bound: float = math.inf) -> bool:
    """Whether any of the values is not finite, or a gradient norm passes its bound."""
    return not all(map(math.isfinite, values)) or not norm <= bound
