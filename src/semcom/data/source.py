"""What a data set's reader must offer.

Adding a data set is one module `semcom/data/readers/<name>.py` with

    FILES: dict[str, RawFile]             what it reads; `data.files` in the configuration gives their paths
    MODALITIES: dict[str, ModalitySpec]   all that it may give; `modalities` in the configuration takes from these
    open_scenes(files: Mapping[str, Path]) -> SceneSource
    files_read(files: Mapping[str, Path]) -> list[Path]    where a `RawFile` is a folder: every file that it reads there

`files` holds the paths by the names of FILES, without those that are not required and were not given. The workflow
imports a reader on every start, so what takes long to import (scipy, torch) is imported where it is used.

Everything after a reader (`scenes.py`, `splits.py`, training) sees only this interface. `readers/nyud2.py` reads two
files, `readers/png_folder.py` a folder with three modalities, `readers/sunrgbd.py` a folder and a file of splits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from semcom.common.errors import InputError

PHOTOMETRY = {  # kind: channels that it needs, or None for any number
    "colour": 3,
    "depth": 1,
    "normals": 3,
    "plain": None,
}
INT16_MAX = 32767


@dataclass(frozen=True)
class RawFile:
    """A file or folder that a reader reads."""

    description: str
    folder: bool = False
    required: bool = True


@dataclass(frozen=True)
class ModalitySpec:
    """One modality as `SceneSource.read` returns it. Ingest checks every array against it.

    Attributes:
        channels: 1: images are (H, W); more: (H, W, channels).
        dtype: "uint8", or "float32".
        unit: of the values, such as "m"; "intensity" for an image.
        photometry: what random views may change besides position and sharpness. "colour": brightness, contrast,
            saturation and hue of R, G, B. "depth": one gain a scene, and `augmentation.depth_encoding`; in metres.
            "normals": a flip negates x, the first channel; x points to the right of the image. "plain": nothing.
        range: smallest and largest value, in `unit`. A uint8 modality spans it: 0 is the smallest, 255 the largest.
        step: of a float32 modality, in `unit`: training holds its values as int16 multiples of this.

    Raises:
        InputError: the attributes do not fit together.
    """

    channels: int
    dtype: str
    unit: str
    photometry: str
    range: tuple[float, float]
    step: float | None = None

    def __post_init__(self) -> None:
        low, high = self.range
        needed = PHOTOMETRY.get(self.photometry)
        if self.photometry not in PHOTOMETRY:
            fault = f"photometry is one of {', '.join(PHOTOMETRY)}"
        elif needed not in (None, self.channels) or self.channels < 1:
            fault = f"photometry {self.photometry} has {needed or 'one or more'} channels"
        elif self.photometry == "depth" and self.unit != "m":
            fault = "photometry depth is in metres, unit m"
        elif self.dtype not in ("uint8", "float32"):
            fault = "dtype is uint8 or float32"
        elif not low < high:
            fault = "range is two numbers in ascending order"
        elif (self.dtype == "float32") != (self.step is not None):
            fault = "a float32 modality has a step, and a uint8 one has none"
        elif self.step is not None and not max(-low, high) <= INT16_MAX * self.step * (1 + 1e-9):
            fault = f"range reaches beyond {INT16_MAX} steps, which int16 does not hold"
        else:
            return
        raise InputError(f"{self}: {fault}; correct the reader that says so")

    @property
    def scale(self) -> float:
        """What one stored integer more is worth, in `unit`."""
        low, high = self.range
        return (high - low) / 255 if self.step is None else self.step

    @property
    def zero(self) -> float:
        """The value of the stored integer 0, in `unit`."""
        return self.range[0] if self.step is None else 0.0


COLOUR_IMAGE = ModalitySpec(channels=3, dtype="uint8", unit="intensity", photometry="colour", range=(0.0, 1.0))

# 1 mm: the Kinect's own step is 3 mm at 1 m and grows with the square of the distance (Khoshelham and Elberink, Sensors
# 2012).
METRIC_DEPTH = ModalitySpec(
    channels=1, dtype="float32", unit="m", photometry="depth", range=(0.0, INT16_MAX / 1000), step=0.001
)

# Components x (to the right), y (up), z (towards the camera) of a unit vector, as 8-bit (n + 1) / 2 * 255.
SURFACE_NORMALS = ModalitySpec(channels=3, dtype="uint8", unit="1", photometry="normals", range=(-1.0, 1.0))


class SceneSource(Protocol):
    """N labelled scenes in their original files; a context manager that closes them.

    Whoever opens one checks the files' structure first, so that only `read` can still meet bad input.

    Attributes:
        class_names: the classes; a label is a position in it.
        labels: (N,) int64.
        scene_types: N names, finer than the classes.
        rooms: N names; scenes of one room look alike, so no room may be in training and validation.
        split: (N,) of "train" or "test", the official split.
        modalities: by name, the key of `read`'s result.
        files: the original files and folders, recorded in what is written.
        published_counts: scenes per class as (train, test), if the data set has published ones.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    scene_types: list[str]
    rooms: list[str]
    split: np.ndarray
    modalities: dict[str, ModalitySpec]
    files: tuple[Path, ...]
    published_counts: Mapping[str, tuple[int, int]] | None

    def __len__(self) -> int: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def origin(self, index: int, modality: str) -> Path:
        """The file that holds a modality of scene `index`, named in errors."""
        ...

    def read(self, index: int) -> dict[str, np.ndarray]:
        """The images of scene `index`, counted from 0, at their original size: (H, W) or (H, W, channels).

        Memory stays bounded however many scenes are read. The arrays are read-only for the caller.

        Raises:
            InputError: the file cannot be read there.
        """
        ...
