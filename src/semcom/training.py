"""What both stages share: device and arithmetic, batches, learning rates, gradient norms."""

import contextlib
import ctypes
import math
import os
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from semcom import devices
from semcom.errors import InputError
from semcom.rng import stream
from semcom.sections import ComputeSettings, ScheduleSettings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
OK = "ok"
DIVERGED = "diverged"
PRETRAINING_DIVERGED = "pretraining_diverged"


def set_up(compute: ComputeSettings) -> torch.device:
    """Apply threads, determinism and TF32 to this process and return the device to train on.

    Raises:
        InputError: as `devices.choose`.
    """
    torch.set_num_threads(compute.threads)
    keep_freed_memory()
    if compute.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA refuses matrix products
    if compute.deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(compute.deterministic)  # which loads what `torch.compile` needs
    torch.backends.cudnn.benchmark = not compute.deterministic
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = compute.tf32
    return devices.choose(compute)


def keep_freed_memory(keep: bool = True) -> None:
    """Whether the process keeps memory that it has freed; where the C library is not glibc, nothing changes.

    By default glibc gives a step's activations back to the kernel and then asks for them again, which zeroes them page by
    page. Peak memory is the same.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1 if keep else 2**17)
        library.mallopt(M_MMAP_THRESHOLD, 2**25 if keep else 2**17)  # the most that it takes, and its default


def placed(network: nn.Module, compute: ComputeSettings, device: torch.device) -> nn.Module:
    """Put a network and its encoders, `network.encoders`, where and how they are to run; compiled if so configured."""
    network.to(device, memory_format=_memory_format(compute))
    if compute.compile != "none":
        for encoder in network.encoders.values():
            encoder.compile(mode=compute.compile)  # in place: the names of its parameters stay
    return network


def encode(encoders: nn.ModuleDict, views: Mapping[str, Tensor], compute: ComputeSettings) -> dict[str, Tensor]:
    """Eq. (1) for every modality: (B, C, side, side) views to (B, K) features.

    The encoders run in the configured precision; what leaves them is float32, as is all that follows.
    """
    features = {}
    for modality, encoder in encoders.items():
        images = laid_out(views[modality], compute)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.dtype == torch.bfloat16):
            features[modality] = encoder(images)
    return {modality: z.float() for modality, z in features.items()}


def laid_out(images: Tensor, compute: ComputeSettings) -> Tensor:
    """Images in the type and memory format that encoders want."""
    # One after the other: both in one call take more than twice as long on a CPU.
    return images.to(precision(compute)).contiguous(memory_format=_memory_format(compute))


def precision(compute: ComputeSettings) -> torch.dtype:
    """What encoders compute in, and what their images are resampled in."""
    return torch.bfloat16 if compute.precision == "bfloat16" else torch.float32


def _memory_format(compute: ComputeSettings) -> torch.memory_format:
    return torch.channels_last if compute.channels_last else torch.contiguous_format


def steps_per_epoch(scenes: int, schedule: ScheduleSettings) -> int:
    """Batches in `scenes`: whole ones, and with `drop_last: false` what remains, if that is two scenes or more.

    By default it is dropped. Correlation losses have a floor that rises as the batch shrinks, and batch statistics of
    13 or 27 scenes, what remains of NYUD2's 397 and 795, are no match for those of 64.
    """
    whole, rest = divmod(scenes, schedule.batch_size)
    return whole + (not schedule.drop_last and rest > 1)  # batch normalisation takes two


def total_steps(scenes: int, schedule: ScheduleSettings) -> int:
    """Optimiser steps of a whole schedule.

    Raises:
        InputError: the scenes do not fill one batch.
    """
    if scenes < schedule.batch_size:
        raise InputError(
            f"batch_size: {schedule.batch_size} exceeds the {scenes} scenes it is drawn from; lower it in the config"
        )
    return steps_per_epoch(scenes, schedule) * schedule.epochs


def epoch_batches(indices: Tensor, schedule: ScheduleSettings, seed: int, stage: str, epoch: int) -> list[Tensor]:
    """The batches of one epoch: `indices` shuffled by (seed, stage, epoch), cut into batches."""
    order = torch.randperm(len(indices), generator=stream(seed, stage, "order", epoch))
    order = indices[order.to(indices.device)]
    return list(order.split(schedule.batch_size)[: steps_per_epoch(len(indices), schedule)])


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
