"""The semantic encoder of one modality, z = f(x; alpha) of eq. (1): torchvision's ResNet-18 with a signed last layer."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.config.sections import EncoderSettings
from semcom.models import torchvision_import
from semcom.rng import stream_seed

_resnet = torchvision_import.resnet()


class SemanticEncoder(_resnet.ResNet):
    """ResNet-18 from an image of one modality to K signed features.

    The last layer is linear, so that features take both signs: averaged ReLU features are all positive, and their
    uncentred correlations, eqs. (8) and (11), would all be near 1.

    Args:
        channels: channels of the modality (RGB 3, depth 1).
        features: K.
        width: channels of the first stage; 64 is the standard network.
        stem: `imagenet` (7x7 stride 2, max-pool) or `small` (3x3 stride 1, no pool).
        hidden: widths of layers between the pooled features and the K, see `make_head`; none in ResNet-18.
        feature_normalization: `none`, or `batch`: every feature has mean 0 and deviation 1 over the batch, in
            evaluation by running statistics; without scale and shift of its own, which the next layer would learn.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        width: int = 64,
        stem: str = "imagenet",
        hidden: Sequence[int] = (),
        feature_normalization: str = "none",
    ):
        self._width = width
        super().__init__(_resnet.BasicBlock, [2, 2, 2, 2], num_classes=features)
        kernel, stride, padding = {"imagenet": (7, 2, 3), "small": (3, 1, 1)}[stem]
        self.conv1 = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = nn.BatchNorm2d(width)
        if stem == "small":
            self.maxpool = nn.Identity()
        # A single layer keeps torchvision's names, `fc.weight` and `fc.bias`.
        self.fc = make_head(8 * width, [*hidden, features]) if hidden else nn.Linear(8 * width, features)
        # The identity has no state, so that encoders saved without normalisation stay readable.
        self.feature_norm = (
            nn.BatchNorm1d(features, affine=False) if feature_normalization == "batch" else nn.Identity()
        )

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        # torchvision fixes the widths 64 to 512 in its constructor; this is the one place they all pass through.
        if planes == 64:
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // 64, blocks, stride, dilate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, side, side) normalised images to (B, K) features."""
        return self.feature_norm(super().forward(x))


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
            encoders[modality] = SemanticEncoder(
                count,
                settings.features,
                width=settings.width,
                stem=settings.stem,
                hidden=settings.hidden,
                feature_normalization=settings.feature_normalization,
            )
        if modality in settings.weights:
            load_backbone(encoders[modality], Path(settings.weights[modality]))
    return encoders


FORMAT = "semcom-encoders-1"


def save_encoders(encoders: nn.ModuleDict, path: Path, status: str) -> None:
    """Write encoders and the status of the run that trained them; whole or not at all."""
    state = {name: value.cpu().contiguous() for name, value in encoders.state_dict().items()}
    buffer = io.BytesIO()  # torch.save to a file hides why writing failed
    torch.save({"format": FORMAT, "status": status, "encoders": state}, buffer)
    with written_atomically(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_encoders(encoders: nn.ModuleDict, path: Path) -> str:
    """Read what `save_encoders` wrote into encoders of the same shape and return its status.

    Raises:
        InputError: the file is missing, damaged, not ours, or of other encoders; the message names what differs.
    """
    remedy = "remove the file and let the workflow pre-train again"
    saved = load_state(path, remedy)
    if saved.get("format") != FORMAT:
        raise InputError(f"{path}: not written by this program (format {saved.get('format')!r}); {remedy}")
    own, state = encoders.state_dict(), saved.get("encoders")
    if not isinstance(state, dict) or "status" not in saved or not all(map(torch.is_tensor, state.values())):
        raise InputError(f"{path}: lacks the encoders or the status that this program writes; {remedy}")
    for name in own.keys() | state.keys():
        shapes = [tuple(s[name].shape) if name in s else None for s in (own, state)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path}: '{name}' has shape {shapes[1]}, the configuration asks for {shapes[0]}; {remedy}"
            )
    encoders.load_state_dict(state)
    return saved["status"]


def load_backbone(encoder: SemanticEncoder, path: Path) -> None:
    """Start an encoder from a local ResNet-18 state dict (torchvision's names), all but the last layer and what follows.

    A first layer for another number of channels is averaged over them and rescaled, so that a grey image gives the
    same response. The file is read without running any code that it may hold.

    Raises:
        InputError: the file is missing, is no state dict, or its shapes are another network's.
    """
    remedy = "give a ResNet-18 state dict saved by torch.save, or remove the entry from encoder.weights"
    state = load_state(path, remedy)
    state = {name: value for name, value in state.items() if torch.is_tensor(value) and not str(name).startswith("fc.")}
    own = encoder.state_dict()
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):  # a mere counter, which older state dicts lack
            state.setdefault(name, value)
    first = state.get("conv1.weight")
    if first is not None and first.dim() == 4 and 0 < first.shape[1] != own["conv1.weight"].shape[1]:
        channels = own["conv1.weight"].shape[1]
        state["conv1.weight"] = first.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * first.shape[1] / channels
    ours = {name: value for name, value in own.items() if name.startswith(("fc.", "feature_norm."))}
    for name, value in own.items():
        if name not in ours and (name not in state or state[name].shape != value.shape):
            found = tuple(state[name].shape) if name in state else "nothing"
            raise InputError(f"{path}: '{name}' should be {tuple(value.shape)}, found {found}; {remedy}")
    encoder.load_state_dict(state | ours, strict=False)


def load_state(path: Path, remedy: str) -> dict:
    """Read a dict saved by `torch.save` without unpickling code.

    Raises:
        InputError: the file is missing, damaged, or holds anything else than plain data.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: model file is missing; {remedy}") from None
    except Exception as error:  # torch raises many kinds here, by where in the archive the damage lies
        reason = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise InputError(f"{path}: not a readable model file ({reason}); {remedy}") from None
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds a {type(state).__name__}, not a state dict; {remedy}")
    return state
