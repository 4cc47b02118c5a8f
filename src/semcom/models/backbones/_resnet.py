"""Residual networks of any width, made of torchvision's blocks.

Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; names and blocks are torchvision's.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from semcom.config.sections import EncoderSettings
from semcom.models.torchvision_import import import_torchvision


def resnet(block_name: str, depths: Sequence[int], channels: int, settings: EncoderSettings) -> nn.Sequential:
    """Stem, stages and average pooling: (B, channels, side, side) to (B, outputs).

    With `width: 64` and `stem: imagenet` it computes what torchvision's network of these depths does, but for the
    classifier. The random start of the stages is torchvision's own: with one seed, they are those of its constructor
    with `num_classes = settings.features`.

    Args:
        block_name: `BasicBlock` or `Bottleneck`, classes of torchvision.models.resnet.
        depths: blocks in each stage; a stage after the first halves the side and doubles the width.
    """
    block = getattr(import_torchvision().models.resnet, block_name)
    width, small = settings.width, settings.stem == "small"
    network = nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 64, 7, bias=False), bn1=nn.BatchNorm2d(width)))
    network.add_module("relu", nn.ReLU(inplace=True))
    network.add_module("maxpool", nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1))
    inputs = width
    for i, depth in enumerate(depths):
        planes = width * 2**i
        network.add_module(f"layer{i + 1}", _stage(block, inputs, planes, depth, stride=1 if i == 0 else 2))
        inputs = planes * block.expansion
    network.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten(1))
    # torchvision's constructor draws its classifier and its standard first layer before and with the stages. Both are
    # drawn here too, and dropped, or the stages would start from other numbers than torchvision's.
    nn.Linear(512 * block.expansion, settings.features)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _draw(module)
    kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
    network.conv1 = _draw(nn.Conv2d(channels, width, kernel, stride, padding, bias=False))
    network.outputs = inputs
    return network


def _stage(block: type[nn.Module], inputs: int, planes: int, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks, of which the first takes the stride and the change of width."""
    outputs = planes * block.expansion
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(block(inputs, planes, stride, shortcut), *(block(outputs, planes) for _ in range(depth - 1)))


def _draw(convolution: nn.Conv2d) -> nn.Conv2d:
    """Kaiming's normal distribution by fan-out: deviation sqrt(2 / (k * k * outputs))."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
