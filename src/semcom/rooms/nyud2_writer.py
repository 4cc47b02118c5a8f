"""Write scenes in the layout of NYU Depth V2's two files, key by key as `nyud2_layout.py` describes it.

Both files appear whole or not at all.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from semcom.common.files import written_atomically
from semcom.common.hdf5 import new_hdf5

# MATLAB 7.3 is HDF5 behind a user block: 116 bytes of text, 8 of subsystem offset, version 0x0200, byte order.
USER_BLOCK = 512
_MAT73_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM"
_MAT5_TEXT = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(116)


@dataclass(frozen=True)
class Scene:
    """One scene: `rgb` (H, W, 3) uint8; `depth` and `raw_depth` (H, W) float32 metres, raw 0 where not measured."""

    rgb: np.ndarray
    depth: np.ndarray
    raw_depth: np.ndarray
    scene_type: str  # one of the 27, such as "student_lounge"
    scene: str  # the room's name, shared by its frames, such as "student_lounge_0001"
    focal: float  # of the camera, in pixels


def _array(file: h5py.File, key: str, shape: tuple[int, ...], dtype: type, matlab_class: str) -> h5py.Dataset:
    """An empty array with one chunk a scene, lightly compressed."""
    chunks = (1, *shape[1:])
    data = file.create_dataset(key, shape, dtype, chunks=chunks, compression="gzip", compression_opts=1)
    data.attrs["MATLAB_class"] = np.bytes_(matlab_class)
    return data


def _cell_of_strings(file: h5py.File, key: str, values: Sequence[str]) -> None:
    """A MATLAB cell array of strings: (1, N) references to (n, 1) uint16 character codes."""
    refs = file.require_group("#refs#")
    cells = file.create_dataset(key, (1, len(values)), h5py.ref_dtype)
    cells.attrs["MATLAB_class"] = np.bytes_("cell")
    for i, value in enumerate(values):
        codes = np.frombuffer(value.encode("utf-16-le"), np.uint16).reshape(-1, 1)
        target = refs.create_dataset(f"{key}_{i}", data=codes)
        target.attrs["MATLAB_class"] = np.bytes_("char")
        target.attrs["MATLAB_int_decode"] = np.int32(2)
        cells[0, i] = target.ref


def write_labeled_mat(path: Path, *, n: int, width: int, height: int, scenes: Iterable[Scene]) -> None:
    """Write `n` scenes of `width` x `height` pixels as `nyu_depth_v2_labeled.mat`; in memory, until it is whole.

    Raises:
        ValueError: `scenes` does not hold exactly `n` scenes of that size.
    """
    keys = ("sceneTypes", "scenes", "rawRgbFilenames", "rawDepthFilenames")
    strings: dict[str, list[str]] = {key: [] for key in keys}
    with written_atomically(path) as temporary:
        with new_hdf5(temporary, userblock_size=USER_BLOCK) as file:
            images = _array(file, "images", (n, 3, width, height), np.uint8, "uint8")
            depths = _array(file, "depths", (n, width, height), np.float32, "single")
            raw_depths = _array(file, "rawDepths", (n, width, height), np.float32, "single")
            count = 0
            for i, scene in enumerate(scenes):
                if i >= n or scene.rgb.shape != (height, width, 3):
                    raise ValueError(f"{path}: scene {i} of {n} has shape {scene.rgb.shape}, not {(height, width, 3)}")
                images[i] = scene.rgb.transpose(2, 1, 0)  # MATLAB's axes are reversed
                depths[i] = scene.depth.T
                raw_depths[i] = scene.raw_depth.T
                strings["sceneTypes"].append(scene.scene_type)
                strings["scenes"].append(scene.scene)
                strings["rawRgbFilenames"].append(f"{scene.scene}/r-{i + 1:06d}.ppm")
                strings["rawDepthFilenames"].append(f"{scene.scene}/d-{i + 1:06d}.pgm")
                count = i + 1
            if count != n:
                raise ValueError(f"{path}: {count} scenes were given, {n} announced")
            for key, values in strings.items():
                _cell_of_strings(file, key, values)
        with temporary.open("r+b") as raw:
            raw.write(_MAT73_HEADER)


def write_splits_mat(path: Path, train: Sequence[int], test: Sequence[int]) -> None:
    """Write 1-based scene indices as `splits.mat`: `trainNdxs` and `testNdxs`, (n, 1) uint16."""
    buffer = io.BytesIO()
    columns = {"trainNdxs": train, "testNdxs": test}
    scipy.io.savemat(buffer, {key: np.asarray(values, np.uint16).reshape(-1, 1) for key, values in columns.items()})
    with written_atomically(path) as temporary:
        # savemat's text holds the time of day; a fixed text makes the file reproducible
        temporary.write_bytes(_MAT5_TEXT + buffer.getvalue()[len(_MAT5_TEXT) :])
