"""What both stages share: device and arithmetic, batches, learning rates, gradient norms."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

OK = "ok"
DIVERGED = "diverged"
PRETRAINING_DIVERGED = "pretraining_diverged"


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int, decay: str) -> float:
    """Share of the peak learning rate at optimiser step `step`, counted from 0.

    Three cases: linear warm-up from 1/warmup_steps to 1; then constant; or a half cosine from 1 towards 0.
    """
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)
    if decay == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return (1 + math.cos(math.pi * progress)) / 2


class SGD:
    """Stochastic gradient descent with momentum and L2 penalty, as `torch.optim.SGD`, by torch's functional form of it.

    Making an object of any of torch's optimizer classes loads what `torch.compile` needs, which takes about as long as
    importing torch itself.

    Args:
        groups: parameters and their peak learning rate.

    Attributes:
        param_groups: for each group `params`, `peak_lr`, and `lr`, which is used, and is the peak at first.
    """

    def __init__(self, groups: Iterable[tuple[Iterable[nn.Parameter], float]], momentum: float, weight_decay: float):
        self.param_groups = [{"params": list(parameters), "lr": peak, "peak_lr": peak} for parameters, peak in groups]
        self._constants = {"momentum": momentum, "weight_decay": weight_decay}
        self._momenta: list[list[Tensor | None]] = [[None] * len(group["params"]) for group in self.param_groups]

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters of each group that has gradients; a group's parameters have them all, or none."""
        for group, momenta in zip(self.param_groups, self._momenta, strict=True):
            parameters = group["params"]
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                sgd(
                    parameters, gradients, momenta, fused=True, lr=group["lr"], dampening=0.0, nesterov=False,
                    maximize=False, **self._constants,
                )  # fmt: skip

    def state_dict(self) -> dict[str, list]:
        return {"momenta": self._momenta}

    def load_state_dict(self, state: Mapping[str, list]) -> None:
        self._momenta = [
            [saved if saved is None else saved.to(p.device) for p, saved in zip(group["params"], momenta, strict=True)]
            for group, momenta in zip(self.param_groups, state["momenta"], strict=True)
        ]


def set_learning_rates(optimizer: SGD, *factors: float) -> None:
    """Set each group to its factor times its own peak."""
    for group, factor in zip(optimizer.param_groups, factors, strict=True):
        group["lr"] = group["peak_lr"] * factor


def gradient_norm(module: nn.Module) -> Tensor:
    """L2 norm of all gradients of a module, as a scalar tensor on its device; 0 where it has none."""
    return nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


def weight_norm(module: nn.Module) -> Tensor:
    """L2 norm of all parameters of a module, as a scalar tensor on its device."""
    return nn.utils.get_total_norm([p.detach() for p in module.parameters()])


def total_norm(parts: Iterable[Tensor]) -> Tensor:
    """L2 norm of a whole from those of its parts."""
    return torch.linalg.vector_norm(torch.stack(list(parts)))


def clip_gradient(module: nn.Module, norm: Tensor, bound: float | None) -> None:
    """Scale all gradients of a module, of this norm in all, down to `bound`, if there is one."""
    if bound is not None:
        nn.utils.clip_grads_with_norm_(module.parameters(), bound, norm)


def has_diverged(values: Iterable[float], norm: float = 0.0, bound: float = math.inf) -> bool:
    """Whether any of the values is not finite, or a gradient norm passes its bound."""
    return not all(map(math.isfinite, values)) or not norm <= bound
