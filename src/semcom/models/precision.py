"""The arithmetic of the encoders: decided when a job starts, by what its device computes natively; and eq. (1) run in it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semcom.common import processor
from semcom.common.errors import InputError
from semcom.common.reporting import logger
from semcom.config.sections import ComputeSettings

DECIDED = ("precision", "channels_last")  # the settings that may be `auto`
BFLOAT16 = ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16")  # instructions that multiply in it, as torch calls them


def decide(compute: ComputeSettings, device: torch.device, begun: Mapping | None = None) -> ComputeSettings:
    """The settings with each `auto` replaced, and one line about it in the log.

    The rule, as the benchmarks support it (docs/benchmarks.md): bfloat16 where the device computes it natively, else
    float32; channels-last on a CPU in both, and on other devices with bfloat16.

    Args:
        begun: of a run that goes on, what was decided when it began (`decided`): it stays, wherever the run goes on.

    Raises:
        InputError: the device cannot compute in the precision that the run has.
    """
    native = has_bfloat16(device)
    chosen = compute.precision
    if chosen == "auto":
        chosen = "bfloat16" if native else "float32"
    layout = compute.channels_last
    if layout == "auto":
        layout = device.type == "cpu" or chosen == "bfloat16"
    here = compute.model_copy(update={"precision": chosen, "channels_last": layout})
    taken = here if begun is None else compute.model_copy(update=dict(begun))
    if taken.precision == "bfloat16" and not native:
        _check_emulated(device, begun=begun is not None)
    logger.info("arithmetic: %s on %s", in_words(taken), _device_in_words(device))
    if decided(taken) != decided(here):
        logger.info("in it the run began, and goes on; begun here, it would take %s", in_words(here))
    return taken


def decided(compute: ComputeSettings) -> dict[str, object]:
    """What `decide` decided, as plain data for a checkpoint and for provenance."""
    return {name: getattr(compute, name) for name in DECIDED}


def in_words(compute: ComputeSettings) -> str:
    """Precision and memory format, for a person."""
    return compute.precision + ", channels-last" * bool(compute.channels_last)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 natively, not by emulation; on others than CPUs and CUDA it counts as not."""
    if device.type == "cpu":
        multiplies = any(processor.capabilities().get(name) for name in BFLOAT16)
        return multiplies and processor.limit() is None and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def _check_emulated(device: torch.device, *, begun: bool) -> None:
    """Warn of emulated bfloat16.

    Args:
        begun: whether an earlier attempt has chosen it, elsewhere.

    Raises:
        InputError: the device has not even that.
    """
    where = _device_in_words(device)
    remedy = "set it to auto or float32"
    if begun:  # other settings would be another run, which begins anew
        remedy = "the run began in it elsewhere; let it go on where bfloat16 is native, or set float32, with which it begins anew"
    try:
        (torch.ones(2, 2, dtype=torch.bfloat16, device=device) @ torch.ones(2, 2, dtype=torch.bfloat16, device=device))
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"compute.precision: {where} cannot compute in bfloat16 ({reason}); {remedy}") from None
    logger.warning(
        "compute.precision: bfloat16 is emulated on %s, where it was measured to take 1.7 (AVX-512) to 10 times (AVX2) as "
        "long as float32; %s",
        where,
        remedy,
    )


def _device_in_words(device: torch.device) -> str:
    return processor.name() if device.type == "cpu" else str(device)


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
    features = {m: in_precision(encoder, laid_out(views[m], compute), compute) for m, encoder in encoders.items()}
    return {modality: z.float() for modality, z in features.items()}


def in_precision(network: nn.Module, x: Tensor, compute: ComputeSettings) -> Tensor:
    """A network's output for x, computed in the configured precision and left in it."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype(compute) == torch.bfloat16):
        return network(x)


def laid_out(images: Tensor, compute: ComputeSettings) -> Tensor:
    """Images in the type and memory format that encoders want."""
    # One after the other: both in one call take more than twice as long on a CPU.
    return images.to(dtype(compute)).contiguous(memory_format=_memory_format(compute))


def dtype(compute: ComputeSettings) -> torch.dtype:
    """What encoders compute in, and what their images are resampled in, once it is decided."""
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[compute.precision]


def _memory_format(compute: ComputeSettings) -> torch.memory_format:
    if not isinstance(compute.channels_last, bool):
        raise ValueError(f"channels_last: {compute.channels_last!r} is not decided yet; see `decide`")
    return torch.channels_last if compute.channels_last else torch.contiguous_format
