"""The semantic encoder of one modality, z = f(x; alpha) of eq. (1): a backbone, a signed last layer, a normalisation."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.common.structure import fault
from semcom.config.sections import EncoderSettings
from semcom.models import backbones
from semcom.models.weights import load_backbone, load_saved
from semcom.rng import stream_seed


class SemanticEncoder(nn.Module):
    """From an image of one modality to K signed features.

    The last layer is linear, so that features take both signs: averaged ReLU features are all positive, and their
    uncentred correlations, eqs. (8) and (11), would all be near 1.

    Args:
        channels: channels of the modality (RGB 3, depth 1).
        settings: the backbone with its width and stem, K, hidden layers (see `make_head`) between the pooled features
            and the K, and `feature_normalization`: with `batch` every feature has mean 0 and deviation 1 over the
            batch, in evaluation by running statistics; without scale and shift of its own, which the next layer would
            learn.
    """

    def __init__(self, channels: int, settings: EncoderSettings):
        super().__init__()
        self.backbone = backbones.make(channels, settings)
        self.head = make_head(self.backbone.outputs, [*settings.hidden, settings.features])
        normalised = settings.feature_normalization == "batch"
        self.feature_norm = nn.BatchNorm1d(settings.features, affine=False) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, side, side) normalised images to (B, K) features."""
        return self.feature_norm(self.head(self.backbone(x)))


def make_head(inputs: int, widths: Sequence[int]) -> nn.Sequential:
    """An MLP (linear, batch norm, ReLU, ..., linear) from (B, inputs) to (B, widths[-1]); the identity if there are none.

    As a projector of stage I or as an encoder's last layers.
    """
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise([inputs, *widths])):
        if i:
            layers += [nn.BatchNorm1d(fan_in), nn.ReLU()]
        layers.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*layers)


def make_encoders(settings: EncoderSettings, channels: Mapping[str, int], seed: int) -> nn.ModuleDict:
    """One encoder a modality, none sharing a parameter with another; random weights by seed and modality.

    Args:
        channels: image channels of each modality.

    Raises:
        InputError: a file in `settings.weights` does not fit, see `load_backbone`.
    """
    encoders = nn.ModuleDict()
    for modality, count in channels.items():
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", modality))
            encoders[modality] = SemanticEncoder(count, settings)
        if modality in settings.weights:
            load_backbone(encoders[modality].backbone, settings, Path(settings.weights[modality]))
    return encoders


FORMAT = "semcom-encoders-2"
STATUSES = frozenset({"ok", "diverged"})  # of a run of stage I, see training.optimization


def save_encoders(encoders: nn.ModuleDict, path: Path, status: str) -> None:
    """Write encoders and the status of the run that trained them; whole or not at all."""
    state = {name: value.cpu().contiguous() for name, value in encoders.state_dict().items()}
    buffer = io.BytesIO()  # torch.save to a file hides why writing failed
    torch.save({"format": FORMAT, "status": status, "encoders": state}, buffer)
    with written_atomically(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_encoders(encoders: nn.ModuleDict, path: Path) -> str:
    """Read what `save_encoders` wrote into encoders of the same shape and return its status.

    The file may hold encoders of further modalities, which are not looked at: a device can be left alone after stage I.

    Raises:
        InputError: the file is missing, damaged, not ours, or of other encoders; the message names what differs.
    """
    remedy = f"pre-train again: snakemake --forcerun {path}"
    saved = load_saved(path, remedy)
    if saved.get("format") != FORMAT:
        raise InputError(f"{path}: not written by this program (format {saved.get('format')!r}); {remedy}")
    own, state = encoders.state_dict(), saved.get("encoders")
    if not isinstance(state, dict) or "status" not in saved or not all(map(torch.is_tensor, state.values())):
        raise InputError(f"{path}: lacks the encoders or the status that this program writes; {remedy}")
    if wrong := fault(saved, {"format": str, "status": STATUSES, "encoders": dict}, "its content"):
        raise InputError(f"{path}: is of another version: {wrong}; {remedy}")
    state = {name: value for name, value in state.items() if str(name).partition(".")[0] in encoders}
    for name in sorted(own.keys() | state.keys(), key=str):
        shapes = [tuple(s[name].shape) if name in s else None for s in (own, state)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path}: '{name}' has shape {shapes[1]}, the configuration asks for {shapes[0]}; {remedy}"
            )
        if state[name].dtype != own[name].dtype or state[name].layout is not torch.strided:
            raise InputError(f"{path}: '{name}' is a tensor of {state[name].dtype}, not {own[name].dtype}; {remedy}")
    encoders.load_state_dict(state)
    return saved["status"]
