"""Random views of a whole batch, on the device: every scene of the batch has its own crop, flip, colour and blur.

A view costs one resampling and one matrix product a pixel: brightness, contrast, saturation, hue, loss of colour and
the normalisation are all affine in RGB, so they are multiplied together before any pixel is touched. Parameters are
drawn on the CPU, a few numbers a scene, so that a run's views do not depend on the device.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from semcom.data.scenes import Modality
from semcom.sections import ViewSettings

LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601 weights of R, G, B
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def random_views(
    images: Mapping[str, Tensor],
    modalities: Mapping[str, Modality],
    settings: ViewSettings,
    crop_size: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """One random view of each scene in every modality.

    Args:
        images: modality to (B, C, S, S) stored integers, see `semcom.data.scenes`.
        modalities: what those integers mean.
        settings: ranges to draw from.
        crop_size: side of the view in pixels.
        generator: CPU random stream.

    Returns:
        Modality to (B, C, crop_size, crop_size) float32, normalised to the training scenes' mean 0 and deviation 1.
    """
    batch = len(next(iter(images.values())))
    crop = random_crops(batch, settings, generator)
    views = {}
    for name, stored in images.items():
        if not settings.aligned and views:
            crop = random_crops(batch, settings, generator)
        view = resample(stored, crop, crop_size)
        matrix, offset = _random_affine(view, modalities[name], settings, generator)
        views[name] = _random_blur(_apply_affine(view, matrix, offset), settings, generator)
    return views


def centre_views(
    images: Mapping[str, Tensor], modalities: Mapping[str, Modality], crop_scale: float, crop_size: int
) -> dict[str, Tensor]:
    """The view that evaluation takes: a centre crop of `crop_scale` of the area, normalised, nothing random."""
    batch = len(next(iter(images.values())))
    side = math.sqrt(crop_scale)
    crop = torch.tensor([[side, 0, 0], [0, side, 0]], dtype=torch.float32).expand(batch, 2, 3)
    return {
        name: _apply_affine(resample(stored, crop, crop_size), *_normalisation(modalities[name], batch))
        for name, stored in images.items()
    }


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


def resample(stored: Tensor, crop: Tensor, crop_size: int) -> Tensor:
    """Cut (B, C, S, S) stored integers along (B, 2, 3) affine maps into (B, C, crop_size, crop_size) float32."""
    grid = affine_grid(crop.to(stored.device), [len(crop), 1, crop_size, crop_size], align_corners=False)
    return grid_sample(stored.float(), grid, padding_mode="border", align_corners=False)


def _normalisation(modality: Modality, batch: int) -> tuple[Tensor, Tensor]:
    """Per scene (C, C) matrix and (C,) offset from stored integers to mean 0, deviation 1."""
    mean, std = torch.tensor(modality.mean), torch.tensor(modality.std)
    matrix = torch.diag(modality.scale / std).expand(batch, -1, -1)
    return matrix, (-mean / std).expand(batch, -1)


def _random_affine(
    view: Tensor, modality: Modality, settings: ViewSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Photometric change and normalisation of each scene, as one (B, C, C) matrix and (B, C) offset."""
    matrix, offset = _normalisation(modality, len(view))
    if modality.unit == "m":
        gain = 1 + settings.depth_gain * _symmetric(len(view), generator)
        return matrix * gain[:, None, None], offset
    if len(modality.mean) != 3:
        return matrix, offset
    colour, bias = _random_colour(view, settings, generator)
    return matrix @ colour, offset + (matrix @ bias[:, :, None]).squeeze(2)


def _random_colour(view: Tensor, settings: ViewSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Brightness, contrast, saturation, hue and loss of colour as x -> M x + b: (B, 3, 3) and (B, 3).

    The order is fixed, where torchvision's ColorJitter draws it; values are not clipped between the steps.
    """
    batch = len(view)
    brightness, contrast, saturation, turn = (_symmetric(batch, generator) for _ in range(4))
    grey = torch.rand(batch, generator=generator) < settings.grayscale
    brightness = 1 + settings.brightness * brightness
    contrast = 1 + settings.contrast * contrast
    saturation = torch.where(grey, 0.0, 1 + settings.saturation * saturation)
    to_grey = LUMA.expand(3, 3)  # every row weighs R, G, B into the same grey
    mean_grey = view.mean(dim=(2, 3)).cpu() @ LUMA
    tint = saturation[:, None, None] * torch.eye(3) + (1 - saturation)[:, None, None] * to_grey
    tint = _hue_rotation(2 * math.pi * settings.hue * turn) @ tint
    # Contrast pulls towards the view's mean grey, a grey that neither saturation nor hue changes.
    bias = ((1 - contrast) * brightness * mean_grey)[:, None].expand(batch, 3)
    return tint * (brightness * contrast)[:, None, None], bias


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


def _apply_affine(view: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """x -> matrix x + offset at every pixel of (B, C, H, W)."""
    matrix, offset = matrix.to(view.device), offset.to(view.device)
    return torch.baddbmm(offset[:, :, None], matrix, view.flatten(2)).view_as(view)


def _random_blur(view: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Gaussian blur of a random part of the batch, each scene with its own standard deviation in pixels."""
    chosen = (torch.rand(len(view), generator=generator) < settings.blur).nonzero().squeeze(1)
    low, high = settings.blur_sigma
    sigma = low + torch.rand(len(view), generator=generator)[chosen] * (high - low)
    if not len(chosen):
        return view
    radius = math.ceil(3 * high)
    offsets = torch.arange(-radius, radius + 1)
    kernel = (-(offsets**2) / (2 * sigma[:, None] ** 2)).exp()
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(view.device)
    part = view[chosen]
    n, channels, height, width = part.shape
    flat = part.reshape(1, n * channels, height, width)  # one group an image: each has its own kernel
    kernel = kernel.repeat_interleave(channels, dim=0)[:, None]  # (n * channels, 1, taps)
    mode = "reflect" if radius < min(height, width) else "replicate"
    flat = conv2d(pad(flat, (radius, radius, 0, 0), mode), kernel[:, :, None, :], groups=n * channels)
    flat = conv2d(pad(flat, (0, 0, radius, radius), mode), kernel[:, :, :, None], groups=n * channels)
    view = view.clone()
    view[chosen] = flat.view_as(part)
    return view
