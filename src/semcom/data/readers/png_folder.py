"""Reader of a folder of PNG files, a folder a scene:

    <scenes>/<split>/<class>/<scene>/rgb.png      8-bit RGB
                                     depth.png    16-bit grey: millimetres along the optical axis, 0 where unknown
                                     normals.png  8-bit RGB: (n + 1) / 2 * 255 of the unit normal's x (to the right), y
                                                  (up) and z (towards the camera)

`<split>` is "train" or "test". The names of the class folders, sorted, are the classes. Every scene has the same of the
three files, at least one; images may differ in size. Hidden folders are passed over. Depth that is unknown counts as 0 m
when the image is resized: fill it beforehand.

A table of rooms may stand beside, CSV with the columns `scene` ("<split>/<class>/<scene>") and `room`: scenes of one room
never are in both training and validation. Without it every scene is a room of its own, which is right only if no two
scenes show the same place.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.data.readers._images import read_image, read_sixteen_bit
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, SURFACE_NORMALS, RawFile

FILES = {
    "scenes": RawFile("folder of <split>/<class>/<scene>/{rgb,depth,normals}.png", folder=True),
    "rooms": RawFile("CSV with the columns scene and room", required=False),
}
MODALITIES = {"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH, "normals": SURFACE_NORMALS}
MILLIMETRES = 1000  # in a metre


class PngScenes:
    """Scenes of a folder of PNG files; a `SceneSource`."""

    published_counts = None

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._scenes = _scene_folders(files["scenes"])
        self.files = tuple(files.values())
        self.split = np.array([folder.parts[-3] for folder in self._scenes])
        self.scene_types = [folder.parts[-2] for folder in self._scenes]
        self.class_names = tuple(sorted(set(self.scene_types)))
        self.labels = np.array([self.class_names.index(name) for name in self.scene_types], np.int64)
        names = ["/".join(folder.parts[-3:]) for folder in self._scenes]
        self.rooms = _rooms(files["rooms"], names) if "rooms" in files else names
        self.modalities = {name: MODALITIES[name] for name in _modalities(self._scenes[0])}

    def __len__(self) -> int:
        return len(self._scenes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def origin(self, index: int, modality: str) -> Path:
        """The modality's PNG file."""
        return self._scenes[index] / f"{modality}.png"

    def read(self, index: int) -> dict[str, np.ndarray]:
        """`rgb` and `normals` (H, W, 3) uint8, `depth` (H, W) float32 in metres; those that the folder has.

        Raises:
            InputError: a file is missing or damaged, or depth is not a 16-bit image.
        """
        images = {}
        for name in self.modalities:
            path = self.origin(index, name)
            if name == "depth":
                images[name] = read_sixteen_bit(path).astype(np.float32) / MILLIMETRES
            else:
                images[name] = read_image(path)
        return images


def open_scenes(files: Mapping[str, Path]) -> PngScenes:
    """Find the scenes of the folder; no image is opened.

    Args:
        files: `scenes`, the folder, and perhaps `rooms`, the table.

    Raises:
        InputError: the folder holds no scene, or one of another layout; the table of rooms leaves a scene out.
    """
    return PngScenes(files)


def files_read(files: Mapping[str, Path]) -> list[Path]:
    """The table of rooms and every image of the folder.

    Raises:
        InputError: as `open_scenes`.
    """
    folders = _scene_folders(files["scenes"])
    names = _modalities(folders[0])
    images = [folder / f"{name}.png" for folder in folders for name in names]
    return [path for name, path in files.items() if not FILES[name].folder] + images


def _scene_folders(root: Path) -> list[Path]:
    """Folders of the scenes, training first, by class and name."""
    scenes = [
        scene for split in ("train", "test") for kind in _folders(root / split) for scene in _folders(kind)
    ]  # fmt: skip
    if not scenes:
        raise InputError(
            f"{root}: holds no folder train/<class>/<scene> or test/<class>/<scene>; correct data.files.scenes"
        )
    first = _modalities(scenes[0])
    if not first:
        known = ", ".join(f"{name}.png" for name in MODALITIES)
        raise InputError(f"{scenes[0]}: holds none of {known}; correct data.files.scenes")
    for scene in scenes:
        if _modalities(scene) != first:
            raise InputError(
                f"{scene}: holds {', '.join(_modalities(scene)) or 'no image'}, but {scenes[0]} holds "
                f"{', '.join(first)}; every scene needs the same files"
            )
    return scenes


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise fault_of_surroundings(parent, error) or error from None


def _modalities(scene: Path) -> list[str]:
    return [name for name in MODALITIES if (scene / f"{name}.png").is_file()]


def _rooms(path: Path, names: list[str]) -> list[str]:
    import pandas as pd  # the workflow imports every reader on its start

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        rooms = dict(zip(table["scene"], table["room"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a CSV table with the columns scene and room ({reason}); correct data.files.rooms"
        ) from error
    missing = [name for name in names if name not in rooms]
    if missing:
        raise InputError(f"{path}: has no row for scene {missing[0]}; add it, or leave data.files.rooms out")
    return [rooms[name] for name in names]
