"""ConvNeXt of any width and depth, made of torchvision's; `width: 96` and `depths: [3, 3, 9, 3]` is ConvNeXt-Tiny.

Source: Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from semcom.common.settings import Settings, ours
from semcom.config.sections import Positive  # noqa: TC001, read by pydantic

if TYPE_CHECKING:
    from torch import nn

    from semcom.config.sections import EncoderSettings

FIRST_LAYER = "features.0.0"
CLASSIFIER = "classifier.2"
STEMS = ("imagenet",)  # a 4x4 convolution of stride 4, which reduces an image as ResNet's stem does


class Options(Settings):
    depths: list[Positive] = ours("blocks in each stage", min_length=2)


def least_side(options: Options) -> int:
    """The stem divides the side by 4, and each stage after the first by 2."""
    return 4 * 2 ** (len(options.depths) - 1)


def extractor(channels: int, settings: EncoderSettings, options: Options) -> nn.Module:
    """(B, channels, side, side) to (B, outputs), the last stage's width; layers behind the pooling but the last remain.

    No stochastic depth, which would draw in the forward pass.
    """
    from torch import nn

    from semcom.models.torchvision_import import import_torchvision

    convnext = import_torchvision().models.convnext
    widths = [settings.width * 2**i for i in range(len(options.depths))]
    stages = [
        convnext.CNBlockConfig(inputs, outputs, depth)
        for (inputs, outputs), depth in zip(pairwise([*widths, None]), options.depths, strict=True)
    ]
    network = convnext.ConvNeXt(stages, stochastic_depth_prob=0.0, num_classes=1)
    first = nn.Conv2d(channels, settings.width, kernel_size=4, stride=4)
    nn.init.trunc_normal_(first.weight, std=0.02)
    nn.init.zeros_(first.bias)
    network.features[0][0] = first
    network.classifier[2] = nn.Identity()
    network.outputs = widths[-1]
    return network
