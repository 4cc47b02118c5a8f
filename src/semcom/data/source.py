"""What a data set's reader must offer.

Adding a data set is one module `semcom/data/readers/<name>.py` with a function

    open_scenes(labeled_mat: Path, splits_mat: Path) -> SceneSource

Everything after it (`scenes.py`, `splits.py`, training) sees only this interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np


@dataclass(frozen=True)
class ModalitySpec:
    """One modality as `SceneSource.read` returns it."""

    channels: int  # 1: images are (H, W); more: (H, W, channels)
    dtype: str  # "uint8", an intensity where 255 is full scale, or "float32", a quantity in `unit`
    unit: str  # of a float32 modality; "intensity" for uint8


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
        files: the original files, named in errors and recorded in what is written.
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

    def read(self, index: int) -> dict[str, np.ndarray]:
        """The images of scene `index`, counted from 0, at their original size: (H, W) or (H, W, channels).

        Memory stays bounded however many scenes are read. The arrays are read-only for the caller.

        Raises:
            InputError: the file cannot be read there.
        """
        ...
