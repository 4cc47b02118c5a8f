"""The image, compressed to what the channel carries; the classifier is at the server."""

from types import ModuleType
from typing import Annotated

from pydantic import Field

from semcom.common.settings import Settings, ours

LABEL = "Image at capacity"  # in figures
NEEDS = "server"

Side = Annotated[int, Field(gt=0)]
Quality = Annotated[int, Field(ge=1, le=95)]  # beyond 95 Pillow's JPEG grows without gain
Bits = Annotated[int, Field(ge=1, le=8)]


class Options(Settings):
    sides: list[Side] = ours("pixels of a side that an image is brought to for JPEG; its own, too", default=[8, 16, 32])
    qualities: list[Quality] = ours("JPEG's qualities", default=[2, 10, 30, 60, 90], min_length=1)
    grid_sides: list[Side] = ours("pixels of a side of a grid of quantised values", default=[2, 4, 8, 16])
    grid_bits: list[Bits] = ours("bits of a value of such a grid", default=[2, 4, 6])


def channel_uses(given: int, classes: int, options: Options) -> int | None:
    """All that are given."""
    return given


def work() -> ModuleType:
    """See the scheme's docstring there."""
    from semcom.baselines import compressed_image

    return compressed_image
