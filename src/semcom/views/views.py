"""Random views of a whole batch, on the device: every scene of the batch has its own crop, flip, colour and blur.

Crop, flip, zoom and blur treat rows and columns apart, so a scene has one matrix for each and its view is a product of
three matrices. Brightness, contrast, saturation, hue, loss of colour and the normalisation are all affine in RGB, so they
are multiplied together before any pixel is touched. Parameters are drawn on the CPU, a few numbers a scene, so that a
run's views do not depend on the device.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from semcom.config.sections import ViewSettings
from semcom.data.scenes import Modality

LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601 weights of R, G, B
NEAREST_M = 0.25  # metres; nearer depth counts as this, so that a missing one (0) has an inverse and a logarithm
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


@torch.no_grad()
def random_views(
    images: Mapping[str, Tensor],
    modalities: Mapping[str, Modality],
    settings: ViewSettings,
    crop_size: int,
    generators: Sequence[torch.Generator],
    dtype: torch.dtype = torch.float32,
    depth_encoding: str = "metres",
) -> dict[str, Tensor]:
    """A random view of each scene in every modality from each of V random streams.

    Args:
        images: modality to (B, C, S, S) stored integers, see `semcom.data.scenes`.
        modalities: what those integers mean.
        settings: ranges to draw from.
        crop_size: side of the view in pixels.
        generators: V CPU random streams.
        dtype: arithmetic of the resampling. Encoders that run in bfloat16 round their images no less than it does.
        depth_encoding: what encoders see of depth: "metres", "inverse" (1/m) or "log".

    Returns:
        Modality to (V * B, C, crop_size, crop_size) float32, all scenes' views from the first stream before those from
        the next; normalised to the training scenes' mean 0 and deviation 1 (encoded depth: to first order about the
        mean depth).
    """
    batch = len(next(iter(images.values())))
    scenes = {name: stored.to(dtype) for name, stored in images.items()}
    views = {name: _empty_views(stored, len(generators), crop_size) for name, stored in scenes.items()}
    for number, generator in enumerate(generators):
        for position, (name, stored) in enumerate(scenes.items()):
            if position == 0 or not settings.aligned:
                crop = random_crops(batch, settings, generator)
                flipped = crop[:, 0, 0] < 0
                sampling = sampling_matrices(crop.to(stored.device), stored.shape[-1], crop_size)
            change = _random_change(batch, modalities[name], settings, generator, depth_encoding, flipped)
            blurred, sigma = _random_blur(batch, settings, generator)
            rows, columns = sampling
            if len(blurred):
                blur = blur_matrices(sigma.to(stored.device), crop_size, math.ceil(3 * settings.blur_sigma[1]))
                blurred = blurred.to(stored.device)
                rows, columns = (each.index_copy(0, blurred, blur @ each[blurred]) for each in sampling)
            change.write(resample(stored, rows, columns), views[name][number])
    return {name: view.flatten(0, 1) for name, view in views.items()}


@torch.no_grad()
def centre_views(
    images: Mapping[str, Tensor],
    modalities: Mapping[str, Modality],
    crop_scale: float,
    crop_size: int,
    dtype: torch.dtype = torch.float32,
    depth_encoding: str = "metres",
) -> dict[str, Tensor]:
    """The view that evaluation takes: a centre crop of `crop_scale` of the area, normalised, nothing random."""
    side = math.sqrt(crop_scale)
    crop = torch.tensor([[[side, 0, 0], [0, side, 0]]], dtype=torch.float32)
    views = {}
    for name, stored in images.items():
        matrices = sampling_matrices(crop.to(stored.device), stored.shape[-1], crop_size)  # one for all scenes
        view = _empty_views(stored, 1, crop_size)[0]
        _normalisation(modalities[name], len(stored), depth_encoding).write(resample(stored.to(dtype), *matrices), view)
        views[name] = view
    return views


def _empty_views(stored: Tensor, number: int, crop_size: int) -> Tensor:
    """(V, B, C, crop_size, crop_size) float32."""
    return torch.empty(number, *stored.shape[:2], crop_size, crop_size, device=stored.device)


def random_crops(batch: int, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Affine maps (B, 2, 3) from a view to its scene, both spanning [-1, 1]: scale, position and flip of a crop."""
    area, log_ratio, x, y, flip = torch.rand(5, batch, generator=generator)
    area = settings.crop_scale[0] + area * (settings.crop_scale[1] - settings.crop_scale[0])
    low, high = (math.log(ratio) for ratio in settings.crop_ratio)
    ratio = (low + log_ratio * (high - low)).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    crop = torch.zeros(batch, 2, 3)
    crop[:, 0, 0] = torch.where(flip < settings.flip, -width, width)
    crop[:, 1, 1] = height
    crop[:, 0, 2] = (2 * x - 1) * (1 - width)
    crop[:, 1, 2] = (2 * y - 1) * (1 - height)
    return crop


def sampling_matrices(crop: Tensor, size: int, crop_size: int) -> tuple[Tensor, Tensor]:
    """Bilinear interpolation along a crop, as the matrices that take a scene's rows and columns to those of its view.

    Args:
        crop: (B, 2, 3) axis-parallel affine maps from a view to its scene, both spanning [-1, 1].
        size: S, side of the scene in pixels; beyond its border its outermost pixels go on.

    Returns:
        Rows and columns, (B, crop_size, S) each: a view is rows @ scene @ columns^T.
    """
    centres = (2 * torch.arange(crop_size, device=crop.device) + 1) / crop_size - 1  # of the view's pixels
    pixels = torch.arange(size, device=crop.device)
    matrices = []
    for axis in (1, 0):
        at = crop[:, axis, axis, None] * centres + crop[:, axis, 2, None]
        at = (((at + 1) * size - 1) / 2).clamp(0, size - 1)  # in the scene's pixels, counted from their centres
        matrices.append((1 - (at[:, :, None] - pixels).abs()).clamp_(min=0))
    return tuple(matrices)


def blur_matrices(sigma: Tensor, side: int, radius: int) -> Tensor:
    """Gaussian blur along one axis of `side` pixels, which is reflected at its ends.

    Args:
        sigma: (n,) standard deviations in pixels.
        radius: pixels beyond which the kernel is cut off.

    Returns:
        (n, side, side), each row of which sums to 1.
    """
    taps = (-(torch.arange(-radius, radius + 1, device=sigma.device) ** 2) / (2 * sigma[:, None] ** 2)).exp()
    # Row i holds the taps around pixel i: windows of one padded kernel, the last pixel's first.
    kernel = pad(taps, (side - 1, side - 1)).unfold(1, side + 2 * radius, 1).flip(1)
    reached = torch.arange(-radius, side + radius, device=sigma.device)
    period = max(1, 2 * (side - 1))
    mirrored = reached % period
    mirrored = torch.minimum(mirrored, period - mirrored)
    blur = torch.zeros(len(sigma), side, side, device=sigma.device).index_add_(2, mirrored, kernel)
    return blur / blur.sum(dim=2, keepdim=True)


def resample(scenes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ scene @ columns^T for each channel, in the arithmetic of `scenes`.

    Args:
        scenes: (B, C, S, S).
        rows, columns: (B, crop_size, S) each, or (1, crop_size, S) where all scenes are cut alike.

    Returns:
        (B, C, crop_size, crop_size) float32.
    """
    batch, channels, size, _ = scenes.shape
    rows, columns = rows.to(scenes.dtype), columns.to(scenes.dtype)
    if len(rows) == 1:  # one large product each in place of many small ones
        narrowed, rows = scenes.flatten(0, 2) @ columns[0].T, rows[0]
    else:
        narrowed, rows = scenes.flatten(1, 2) @ columns.mT, rows.repeat_interleave(channels, dim=0)
    view = rows @ narrowed.view(batch * channels, size, -1)
    return view.view(batch, channels, *view.shape[1:]).float()


@dataclass(frozen=True)
class _Change:
    """Photometric change and normalisation of each scene: x -> matrix (x + grey_bias * its mean grey) + offset.

    Attributes:
        matrix: (B, C, C).
        offset: (B, C).
        grey_bias: (B,), or None for 0.
        curve: applied to each pixel first, or None for x as it is stored.
    """

    matrix: Tensor
    offset: Tensor
    grey_bias: Tensor | None = None
    curve: Callable[[Tensor], Tensor] | None = None

    def write(self, view: Tensor, out: Tensor) -> None:
        """Apply it to every pixel of a view, (B, C, H, W), and put the result into `out`, of the same shape."""
        matrix, offset = self.matrix.to(view.device), self.offset.to(view.device)
        if self.curve is not None:
            view = self.curve(view)
        if self.grey_bias is not None:
            bias = self.grey_bias.to(view.device) * (view.mean(dim=(2, 3)) @ LUMA.to(view.device))
            offset = offset + matrix.sum(dim=2) * bias[:, None]
        torch.baddbmm(offset[:, :, None], matrix, view.flatten(2), out=out.flatten(2))


def _normalisation(modality: Modality, batch: int, depth_encoding: str) -> _Change:
    """From stored integers to mean 0, deviation 1."""
    mean, std = torch.tensor(modality.mean), torch.tensor(modality.std)
    if modality.photometry != "depth" or depth_encoding == "metres":
        matrix = torch.diag(modality.scale / std).expand(batch, -1, -1)
        return _Change(matrix, ((modality.zero - mean) / std).expand(batch, -1))
    encode, slope = {"inverse": (torch.reciprocal, mean**-2), "log": (torch.log, 1 / mean)}[depth_encoding]
    std = slope * std
    matrix = torch.diag(1 / std).expand(batch, -1, -1)
    curve = partial(_encoded_depth, scale=modality.scale, encode=encode)
    return _Change(matrix, (-encode(mean) / std).expand(batch, -1), curve=curve)


def _encoded_depth(stored: Tensor, scale: float, encode: Callable[[Tensor], Tensor]) -> Tensor:
    return encode((stored * scale).clamp_(min=NEAREST_M))


def _random_change(
    batch: int,
    modality: Modality,
    settings: ViewSettings,
    generator: torch.Generator,
    depth_encoding: str,
    flipped: Tensor,
) -> _Change:
    """Photometric change and normalisation of each scene; `flipped`, (B,), says which were mirrored left to right."""
    plain = _normalisation(modality, batch, depth_encoding)
    if modality.photometry == "plain":
        return plain
    if modality.photometry == "normals":
        return _mirrored(plain, modality, flipped)
    if modality.photometry == "depth":
        gain = 1 + settings.depth_gain * _symmetric(batch, generator)
        if depth_encoding == "log":  # log(gain * d) = log d + log gain
            shift = gain.log()[:, None] * plain.matrix.diagonal(dim1=1, dim2=2)
            return replace(plain, offset=plain.offset + shift)
        if depth_encoding == "inverse":
            gain = 1 / gain
        return replace(plain, matrix=plain.matrix * gain[:, None, None])
    colour, grey_bias = _random_colour(batch, settings, generator)
    return _Change(plain.matrix @ colour, plain.offset, grey_bias)


def _mirrored(plain: _Change, modality: Modality, flipped: Tensor) -> _Change:
    """x to -x of surface normals, before mean and deviation are taken out, where the scene is flipped.

    Normals are not brought back to length 1 after resampling: that would not be affine, and the normalisation takes the
    unit length away in any case. Nor does a crop's aspect ratio turn them, as its zoom does not change depth.
    """
    sign = torch.where(flipped, -1.0, 1.0)
    matrix, offset = plain.matrix.clone(), plain.offset.clone()
    matrix[:, 0] *= sign[:, None]
    offset[:, 0] += (sign - 1) * modality.zero / modality.std[0]
    return _Change(matrix, offset)


def _random_colour(batch: int, settings: ViewSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Brightness, contrast, saturation, hue and loss of colour as x -> M (x + b g), with g the mean grey of the view.

    The order is fixed, where torchvision's ColorJitter draws it; values are not clipped between the steps.

    Returns:
        M (B, 3, 3) and b (B,).
    """
    brightness, contrast, saturation, turn = (_symmetric(batch, generator) for _ in range(4))
    grey = torch.rand(batch, generator=generator) < settings.grayscale
    brightness = 1 + settings.brightness * brightness
    contrast = 1 + settings.contrast * contrast
    saturation = torch.where(grey, 0.0, 1 + settings.saturation * saturation)
    to_grey = LUMA.expand(3, 3)  # every row weighs R, G, B into the same grey
    tint = saturation[:, None, None] * torch.eye(3) + (1 - saturation)[:, None, None] * to_grey
    tint = _hue_rotation(2 * math.pi * settings.hue * turn) @ tint
    # Contrast pulls towards the view's mean grey, a grey that neither saturation nor hue changes.
    return tint * (brightness * contrast)[:, None, None], (1 - contrast) / contrast


def _hue_rotation(angle: Tensor) -> Tensor:
    """(B,) angles in radians to (B, 3, 3) rotations of RGB about the grey axis, in the YIQ colour space."""
    rotation = torch.zeros(len(angle), 3, 3)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
    rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
    return torch.linalg.inv(RGB_TO_YIQ) @ rotation @ RGB_TO_YIQ


def _symmetric(batch: int, generator: torch.Generator) -> Tensor:
    """(B,) uniform in [-1, 1)."""
    return 2 * torch.rand(batch, generator=generator) - 1


def _random_blur(batch: int, settings: ViewSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which scenes of the batch are blurred, as positions (n,), and by which standard deviation in pixels, (n,)."""
    chosen = (torch.rand(batch, generator=generator) < settings.blur).nonzero().squeeze(1)
    low, high = settings.blur_sigma
    return chosen, low + torch.rand(batch, generator=generator)[chosen] * (high - low)
