"""Weights of the user's own that a backbone starts from: read without running code, named for what they are, fitted."""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.common.reporting import logger
from semcom.config.experiment import Config
from semcom.config.sections import EncoderSettings
from semcom.models import backbones

REMEDY = "give a state dict of this backbone, or remove the entry from encoder.weights"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training programs keep a state dict
PARALLEL = "module."  # what DataParallel puts before each name
UNPACKED_AT_MOST = 10  # times the size of the file; torch.save packs nothing, and weights hardly shrink
COUNTER = "num_batches_tracked"  # of batch norm, read by nothing here; weights saved before torch 0.4.1 lack it


def check_weights(config: Config) -> None:
    """Whether every file of weights that the grid starts from fits its backbone: to know before the grid starts.

    Raises:
        InputError: one does not, see `load_backbone`; the message names its key, too.
    """
    for key, (method, path) in config.weights().items():
        settings = config.encoder_settings(method)
        with torch.device("meta"):  # shapes without values: nothing is drawn
            backbone = backbones.make(3, settings)  # whatever the channels, the first layer is fitted to them
        try:
            fitted(backbone, settings, Path(path))
        except InputError as error:
            raise InputError(f"{key}: {error}") from None


def load_backbone(backbone: nn.Module, settings: EncoderSettings, path: Path) -> None:
    """Start a backbone from a file of weights, all of its layers or none.

    Raises:
        InputError: see `fitted`.
    """
    state, remarks = fitted(backbone, settings, path)
    backbone.load_state_dict(state)
    logger.info("%s: taken for %s%s", path, settings.backbone, "".join(f"; {remark}" for remark in remarks))


def fitted(backbone: nn.Module, settings: EncoderSettings, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """What a file holds for a backbone, by the backbone's own names and in its types, and what was done to it.

    A state dict that a training program wrapped is unwrapped, and `module.` before each name is dropped. The classifier
    is not taken, whatever it classifies. A first layer for another number of channels is averaged over them and
    rescaled, so that a grey image gives the same response.

    Args:
        backbone: from `backbones.make` with the same settings; its values are not read.

    Raises:
        InputError: the file is missing, damaged, no state dict, of another network, width or stem, or not of finite
            numbers; the message names what it is.
    """
    plugin = plugins.load(backbones.__name__, settings.backbone)
    state, remarks = _unwrapped(load_saved(path, REMEDY), path)
    if state and all(name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
        remarks.append(f"'{PARALLEL}' before each name dropped")
    classifier = f"{plugin.CLASSIFIER}."
    if any(name.startswith(classifier) for name in state):
        state = {name: value for name, value in state.items() if not name.startswith(classifier)}
        remarks.append(f"its classifier '{plugin.CLASSIFIER}' not taken")
    own = backbone.state_dict()
    _check_names(own, state, plugin, settings, path)
    for name, value in state.items():
        state[name] = _usable(name, value, own[name].dtype, path)
    first = f"{plugin.FIRST_LAYER}.weight"
    channels, theirs = own[first].shape[1], state[first].shape[1] if state[first].dim() == 4 else 0
    if theirs not in (0, channels):
        state[first] = state[first].mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * theirs / channels
        remarks.append(f"its first layer averaged over {theirs} channels, for {channels}")
    _check_shapes(own, state, first, settings, path)
    counters = {name: torch.zeros(()).to(value.dtype) for name, value in own.items() if name.endswith(COUNTER)}
    return counters | state, remarks


def _unwrapped(saved: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """The state dict in what was saved, perhaps under one of the usual keys."""
    if not all(isinstance(name, str) for name in saved):
        raise InputError(f"{path}: its keys are not names of layers; {REMEDY}")
    if str(saved.get("format", "")).startswith("semcom-encoders"):
        raise InputError(
            f"{path}: is what this program's stage I leaves, encoders of all modalities; to start stage II from another "
            "method's stage I, set methods.<method>.pretrained_by"
        )
    for key in WRAPPERS:
        if isinstance(saved.get(key), Mapping):
            return _unwrapped(saved[key], path)[0], [f"its entry '{key}' taken"]
    nested = next((key for key, value in saved.items() if isinstance(value, Mapping)), None)
    if nested is not None:
        raise InputError(
            f"{path}: is a checkpoint with entries {', '.join(list(saved)[:5])}, not a state dict; save the one under "
            f"its key by itself, as torch.save(checkpoint['{nested}'], ...)"
        )
    return dict(saved), []


def _check_names(own: Mapping, state: Mapping, plugin: Any, settings: EncoderSettings, path: Path) -> None:
    """Refuse surplus and missing names, and say whose they are."""
    surplus = next((name for name in state if name not in own), None)
    missing = next((name for name in own if name not in state and not name.endswith(COUNTER)), None)
    if surplus is None and missing is None:
        return
    found = f"'{surplus}' is surplus" if missing is None else f"'{missing}' is missing"
    first = f"{plugin.FIRST_LAYER}.weight"
    prefixed = next((name for name in state if name.endswith(f".{first}")), None)
    if prefixed and first not in state:
        prefix = prefixed.removesuffix(first)
        raise InputError(
            f"{path}: its names begin with '{prefix}' ('{prefixed}' for '{first}'); save a state dict without that prefix"
        )
    other = _recognised(state, settings)
    if other:
        raise InputError(
            f"{path}: these are {other}'s weights, but encoder.backbone is {settings.backbone} ({found}); set "
            f"encoder.backbone: {other}, or {REMEDY}"
        )
    raise InputError(f"{path}: these are not {settings.backbone}'s weights ({found}); {REMEDY}")


def _recognised(state: Mapping, settings: EncoderSettings) -> str | None:
    """The backbone that has just these layers, as far as its options need not be known."""
    names = {name for name in state if not name.endswith(COUNTER)}
    for other in plugins.names(backbones.__name__):
        plugin = plugins.load(backbones.__name__, other)
        try:
            options = plugin.Options()
        except ValidationError:
            continue
        with torch.device("meta"):
            network = plugin.extractor(3, settings, options)
        theirs = {name for name in network.state_dict() if not name.endswith(COUNTER)}
        if theirs == {name for name in names if not name.startswith(f"{plugin.CLASSIFIER}.")}:
            return other
    return None


def _usable(name: str, value: Any, dtype: torch.dtype, path: Path) -> Tensor:
    """A tensor of finite numbers in the type that the backbone has it in."""
    if not torch.is_tensor(value):
        raise InputError(f"{path}: '{name}' is a {type(value).__name__}, not a tensor; {REMEDY}")
    dense = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
    if not dense or value.is_floating_point() != dtype.is_floating_point:
        raise InputError(
            f"{path}: '{name}' is a {'' if dense else 'sparse, quantized or empty '}tensor of {value.dtype}, the backbone "
            f"has {dtype}; {REMEDY}"
        )
    value = value.detach().to(dtype)
    if not value.isfinite().all():
        raise InputError(f"{path}: '{name}' holds NaN or infinite numbers, as of a run that diverged; {REMEDY}")
    return value


def _check_shapes(own: Mapping, state: Mapping, first: str, settings: EncoderSettings, path: Path) -> None:
    """Refuse another width, stem or shape."""
    ours, theirs = own[first].shape, state[first].shape
    if len(theirs) == 4 and theirs[0] != ours[0]:
        raise InputError(
            f"{path}: these are weights of width {theirs[0]}, but encoder.width is {settings.width}; set encoder.width: "
            f"{theirs[0]}, or {REMEDY}"
        )
    if len(theirs) == 4 and theirs[2:] != ours[2:]:
        kernels = ["x".join(map(str, shape[2:])) for shape in (theirs, ours)]
        raise InputError(
            f"{path}: its first layer '{first}' is {kernels[0]}, but encoder.stem {settings.stem} has {kernels[1]}; set "
            f"the other encoder.stem, or {REMEDY}"
        )
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise InputError(f"{path}: '{name}' should be {tuple(own[name].shape)}, is {tuple(value.shape)}; {REMEDY}")


def load_saved(path: Path, remedy: str) -> dict:
    """Read a dict saved by `torch.save` without unpickling code, or by safetensors.

    Raises:
        InputError: the file is missing, damaged, or holds anything else than plain data; the message names which.
    """
    try:
        content = path.read_bytes()  # torch would hide why reading failed
    except FileNotFoundError:
        raise InputError(f"{path}: model file is missing; {remedy}") from None
    except (OSError, MemoryError) as error:
        raise fault_of_surroundings(path, error) or error from None
    try:
        # Eight bytes of length, then JSON: no pickle and no zip archive begins so.
        state = safetensors.torch.load(content) if content[8:9] == b"{" else _torch(content)
    except InputError:
        raise
    except Exception as error:  # both libraries raise many kinds here, by where in the file the damage lies
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: {_unreadable(content, error)}; {remedy}"
        ) from None
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds a {type(state).__name__}, not a state dict; {remedy}")
    return state


def _torch(content: bytes) -> Any:
    """What `torch.save` made `content` of.

    Raises:
        ValueError: it is packed, and would take many times its size.
        Exception: of many kinds, where it is damaged.
    """
    file = io.BytesIO(content)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > UNPACKED_AT_MOST * len(content):
            raise ValueError(f"unpacks to {unpacked / 1e6:.0f} MB, which no weights do; save them by torch.save")
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def _unreadable(content: bytes, error: Exception) -> str:
    """What a file is that could not be read as plain data."""
    try:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except Exception:  # saved before torch 1.6, by another program, or damaged
        needed = re.findall(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error))
    if any(name.startswith(("torch.nn.modules.", "torchvision.models.")) for name in needed):
        return "holds a whole network, not its state dict; save it by torch.save(network.state_dict(), file)"
    if needed:
        return f"needs code to be read ({', '.join(sorted(needed)[:3])}), which is not run; save tensors alone"
    detail = "" if isinstance(error, pickle.UnpicklingError) else ": " + " ".join(str(error).splitlines()[:1])
    return f"not a readable model file ({type(error).__name__}{detail})"
