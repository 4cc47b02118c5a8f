"""Backbones, one a file: the network of an encoder up to its pooled features; `encoder.backbone` names the file.

A backbone file offers four names:

    class Options(Settings)                                what `encoder.options` may set
    def extractor(channels, settings, options) -> Module   (B, channels, side, side) images to (B, outputs) features
    FIRST_LAYER                                            the layer that reads the image, as a state dict names it
    CLASSIFIER                                             the layers of a published state dict that are not taken

`settings` is the whole section `encoder:`; `width`, the channels of the first stage, and `stem` are for the backbone to
follow. The module says its number of pooled features by an attribute `outputs`, and names its parameters as published
weights do, so that `encoder.weights` fits. It draws nothing at random in its forward pass: a resumed run could not
draw the same again.

A backbone that has not all stems names its own by a constant, STEMS; one that needs an image of some size says so by a
function, `least_side(options)`, in pixels.

The files import torch only where a network is made: the workflow reads `Options` while it builds the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom.common import plugins

if TYPE_CHECKING:
    from torch import nn

    from semcom.config.sections import EncoderSettings


def make(channels: int, settings: EncoderSettings) -> nn.Module:
    """The configured backbone for images of so many channels, with random weights from torch's global stream."""
    backbone = plugins.load(__name__, settings.backbone)
    return backbone.extractor(channels, settings, backbone.Options(**settings.options))
