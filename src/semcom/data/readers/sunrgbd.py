"""Reader of SUN RGB-D as downloaded: the folder `SUNRGBD` of its archive, and the toolbox's `allsplit.mat`.

Source: https://rgbd.cs.princeton.edu (Song, Lichtenberg, Xiao, CVPR 2015): 10,335 scenes of four sensors. A scene is a
folder, such as `kv1/NYUdata/NYU0001` or `xtion/sun3ddata/<space>/<sequence>/<frame>`, with

    image/<one file>.jpg       8-bit RGB
    depth_bfx/<one file>.png   16-bit grey, holes filled: millimetres, rotated to the left by three bits
    scene.txt                  the scene's type, such as "dining_room"

among others that are not read. `SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat` lists the folders of the official split
as `alltrain` and `alltest`, cells of paths on its authors' machine, of which all after the last "SUNRGBD/" counts here.
A text file does as well, a line a scene: "train kv1/NYUdata/NYU0001".

Scene classification on this data set takes the 19 types of more than 80 scenes; the others are left out here.

What was written from public descriptions and not checked on the data itself: the 19 names as `scene.txt` spells them, the
numbers that the literature gives for them (4,845 training and 4,659 test scenes, no count a class), and which scenes show
one room. Here all of a space of sun3ddata are one room, and all frames of a capture of kinect2data; every other scene is
a room of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.data.readers._images import read_image, read_sixteen_bit
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, RawFile

FILES = {
    "scenes": RawFile("the folder SUNRGBD, as unpacked", folder=True),
    "split": RawFile("allsplit.mat, or a text file of lines 'train <scene folder>' and 'test <scene folder>'"),
}
MODALITIES = {"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH}
CLASSES = (
    *("bathroom", "bedroom", "classroom", "computer_room", "conference_room", "corridor", "dining_area"),
    *("dining_room", "discussion_area", "furniture_store", "home_office", "kitchen", "lab", "lecture_theatre"),
    *("library", "living_room", "office", "rest_space", "study_space"),
)
MILLIMETRES = 1000  # in a metre
FARTHEST_M = 8  # the toolbox counts what is farther as 8 m
LISTS = {"train": "alltrain", "test": "alltest"}


@dataclass(frozen=True)
class _Scene:
    folder: Path
    name: str  # the folder within SUNRGBD
    split: str
    scene_type: str


class SunScenes:
    """Scenes of SUN RGB-D that are of one of the 19 types; a `SceneSource`."""

    class_names = CLASSES
    modalities = MODALITIES
    published_counts = None

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._scenes = [scene for scene in _listed(files) if scene.scene_type in CLASSES]
        if not self._scenes:
            raise InputError(f"{files['split']}: lists no scene of the types {', '.join(CLASSES)}; use allsplit.mat")
        self._images = [{name: _image(scene, name) for name in MODALITIES} for scene in self._scenes]
        self.files = tuple(files.values())
        self.split = np.array([scene.split for scene in self._scenes])
        self.scene_types = [scene.scene_type for scene in self._scenes]
        self.labels = np.array([CLASSES.index(name) for name in self.scene_types], np.int64)
        self.rooms = [_room(scene.name) for scene in self._scenes]

    def __len__(self) -> int:
        return len(self._scenes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def origin(self, index: int, modality: str) -> Path:
        """The image file of a modality."""
        return self._images[index][modality]

    def read(self, index: int) -> dict[str, np.ndarray]:
        """`rgb` (H, W, 3) uint8 and `depth` (H, W) float32 in metres.

        Raises:
            InputError: a file is damaged, or depth is not a 16-bit image.
        """
        files = self._images[index]
        return {"rgb": read_image(files["rgb"]), "depth": metres(read_sixteen_bit(files["depth"]))}


def open_scenes(files: Mapping[str, Path]) -> SunScenes:
    """Find the scenes that the split lists; no image is opened.

    Args:
        files: `scenes`, the folder SUNRGBD, and `split`, `allsplit.mat` or a text file.

    Raises:
        InputError: the split is not readable, lists a folder that is not there or a scene twice, or a scene lacks a file.
    """
    return SunScenes(files)


def files_read(files: Mapping[str, Path]) -> list[Path]:
    """The split, every listed scene's type, and the images of those of the 19 types.

    Raises:
        InputError: as `open_scenes`.
    """
    listed = _listed(files)
    images = [_image(scene, name) for scene in listed if scene.scene_type in CLASSES for name in MODALITIES]
    return [files["split"], *(scene.folder / "scene.txt" for scene in listed), *images]


def metres(stored: np.ndarray) -> np.ndarray:
    """Metres, float32, of depth as SUN RGB-D stores it: 16-bit millimetres whose bits are rotated left by three."""
    millimetres = (stored >> 3) | (stored << 13)  # uint16: what is shifted out is lost
    return np.minimum(millimetres.astype(np.float32) / MILLIMETRES, FARTHEST_M)


def _listed(files: Mapping[str, Path]) -> list[_Scene]:
    """Every scene of the split, in its order."""
    root, path = files["scenes"], files["split"]
    names = _from_mat(path) if path.suffix == ".mat" else _from_text(path)
    scenes, seen = [], set()
    for split, name in names:
        if name in seen:
            raise InputError(f"{path}: lists {name} twice; use the original allsplit.mat")
        seen.add(name)
        kind = root / name / "scene.txt"
        try:
            scenes.append(_Scene(root / name, name, split, kind.read_text(encoding="utf-8").strip()))
        except (OSError, UnicodeDecodeError) as error:
            if not isinstance(error, FileNotFoundError) and (fault := fault_of_surroundings(kind, error)):
                raise fault from error
            reason = getattr(error, "strerror", None) or "not text"
            raise InputError(
                f"{kind}: cannot be read ({reason}), but {path} lists the scene; set data.files.scenes in the config to "
                "the folder SUNRGBD, whole"
            ) from error
    return scenes


def _from_mat(path: Path) -> list[tuple[str, str]]:
    import scipy.io  # the workflow imports every reader on its start

    remedy = "set data.files.split in the config to allsplit.mat of SUNRGBDtoolbox"
    try:
        content = scipy.io.loadmat(path, variable_names=tuple(LISTS.values()))
        cells = {split: [str(cell.item()) for cell in content[key].ravel()] for split, key in LISTS.items()}
    except KeyError as error:
        raise InputError(f"{path}: key {error.args[0]} is missing; {remedy}") from None
    except Exception as error:  # scipy lets struct, zlib, type and key errors through on damaged files
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a list of scene folders in MATLAB 5.0 ({_one_line(error)}); {remedy}"
        ) from error
    return [(split, _within(name)) for split, names in cells.items() for name in names]


def _from_text(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: cannot be read as text ({_one_line(error)}); correct data.files.split"
        ) from error
    listed = []
    for number, line in enumerate(lines, 1):
        split, _, name = line.strip().partition(" ")
        if line.strip() and (split not in LISTS or not name):
            raise InputError(
                f"{path}: line {number} is {line!r}, expected 'train <scene folder>' or 'test <scene folder>'"
            )
        if name:
            listed.append((split, _within(name)))
    return listed


def _within(name: str) -> str:
    """The part of a scene's path that lies in the folder SUNRGBD."""
    return name.strip().rpartition("SUNRGBD/")[2].strip("/")


def _image(scene: _Scene, modality: str) -> Path:
    folder, suffix = {"rgb": ("image", ".jpg"), "depth": ("depth_bfx", ".png")}[modality]
    try:
        found = sorted(path for path in (scene.folder / folder).iterdir() if path.suffix == suffix)
    except (FileNotFoundError, NotADirectoryError):
        found = []
    except OSError as error:
        raise fault_of_surroundings(scene.folder / folder, error) or error from None
    if len(found) != 1:
        raise InputError(
            f"{scene.folder / folder}: holds {len(found)} {suffix} files, expected one; unpack the scene again"
        )
    return found[0]


def _room(name: str) -> str:
    parts = name.split("/")
    if parts[:2] == ["xtion", "sun3ddata"] and len(parts) > 3:
        return "/".join(parts[:3])
    capture = re.search(
        r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+(?=_rgbf)", parts[-1]
    )  # date, time, sensor, before the frame
    return "/".join([*parts[:-1], capture[0]]) if capture else name


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
