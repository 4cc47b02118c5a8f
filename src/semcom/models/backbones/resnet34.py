"""ResNet-34 as torchvision has it; its standard width is 64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from semcom.config.sections import EncoderSettings

FIRST_LAYER = "conv1"
CLASSIFIER = "fc"


class Options(Settings):
    """None: `width` and `stem` say all."""


def extractor(channels: int, settings: EncoderSettings, options: Options) -> nn.Module:
    """(B, channels, side, side) to (B, 8 * width)."""
    from semcom.models.backbones._resnet import resnet

    return resnet("BasicBlock", [3, 4, 6, 3], channels, settings)
