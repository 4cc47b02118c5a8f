"""Reader of NYU Depth V2's labelled set: `nyu_depth_v2_labeled.mat` and `splits.mat`, as downloaded.

Source: https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html (Silberman et al., ECCV 2012). The labelled file
is MATLAB v7.3, which is HDF5 with the axes reversed: MATLAB's (480, 640, 3, N) is h5py's (N, 3, 640, 480).
A cell array of strings is a (1, N) array of references, each to an (n, 1) array of UTF-16 codes.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from semcom.common.errors import InputError
from semcom.data.nyud2_layout import CLASS_OF_SCENE_TYPE, CLASSES, PUBLISHED_COUNTS
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, RawFile

FILES = {
    "labeled_mat": RawFile("nyu_depth_v2_labeled.mat"),
    "splits_mat": RawFile("splits.mat, with 1-based trainNdxs and testNdxs"),
}
MODALITIES = {"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH}

# The scenes of one chunk are read together, up to this many bytes: a chunk that spans scenes is unpacked once.
SLAB_BYTES = 64 * 2**20


class NYUD2Scenes:
    """The labelled scenes of one `.mat` file with its official split; a `SceneSource`."""

    class_names = CLASSES
    modalities = MODALITIES

    def __init__(
        self,
        file: h5py.File,
        files: tuple[Path, ...],
        scene_types: list[str],
        rooms: list[str],
        split: np.ndarray,
        published_counts: Mapping[str, tuple[int, int]] | None,
    ) -> None:
        self.files = files
        self.scene_types = scene_types
        self.rooms = rooms
        self.split = split
        self.labels = np.array([CLASSES.index(CLASS_OF_SCENE_TYPE[name]) for name in scene_types], np.int64)
        self.published_counts = published_counts
        self._file = file
        self._images = _Slabs(file["images"])
        self._depths = _Slabs(file["depths"])

    def __len__(self) -> int:
        return len(self.labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def origin(self, index: int, modality: str) -> Path:
        """`nyu_depth_v2_labeled.mat`, which holds all images."""
        return self.files[0]

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Images of one scene: `rgb` (H, W, 3) uint8 and `depth` (H, W) float32 in metres, both views.

        Raises:
            InputError: the file is damaged at this scene.
        """
        try:
            return {"rgb": self._images.read(index).transpose(2, 1, 0), "depth": self._depths.read(index).T}
        except (OSError, zlib.error) as error:
            raise InputError(
                f"{self.files[0]}: scene {index} (from 0) of keys images, depths cannot be read "
                f"({_one_line(error)}); the file is damaged: download it again"
            ) from error


class _Slabs:
    """Reads items of a dataset along its first axis, a chunk's worth at a time.

    Where each item is one chunk that is packed by deflate and nothing else, zlib unpacks it to its known size. HDF5,
    which reads every other layout, does not know that size, and grows and copies its buffer on the way.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        chunk = dataset.chunks[0] if dataset.chunks else 1
        self._item_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))
        self._dataset = dataset
        self._length = max(1, min(chunk, SLAB_BYTES // self._item_bytes))
        self._start = -1
        self._slab = np.empty(0)
        self._packed_alone = (
            dataset.chunks == (1, *dataset.shape[1:])
            and _filters(dataset) == [h5py.h5z.FILTER_DEFLATE]
            and dataset.id.get_num_chunks() == len(dataset)  # none was left out for being all zeros
        )

    def read(self, index: int) -> np.ndarray:
        if self._packed_alone:
            return self._unpack(index)
        start = index - index % self._length
        if start != self._start:
            self._slab = self._dataset[start : start + self._length]
            self._start = start
        return self._slab[index - start]

    def _unpack(self, index: int) -> np.ndarray:
        data = self._dataset
        skipped, stored = data.id.read_direct_chunk((index,) + (0,) * (data.ndim - 1))
        plain = stored if skipped else zlib.decompress(stored, bufsize=self._item_bytes)  # skipped: could not be packed
        if len(plain) != self._item_bytes:
            raise OSError(f"a chunk holds {len(plain)} bytes instead of {self._item_bytes}")
        return np.frombuffer(plain, data.dtype).reshape(data.shape[1:])


def _filters(dataset: h5py.Dataset) -> list[int]:
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(position)[0] for position in range(properties.get_nfilters())]


def open_scenes(
    files: Mapping[str, Path],
    *,
    published_counts: Mapping[str, tuple[int, int]] | None = PUBLISHED_COUNTS,
) -> NYUD2Scenes:
    """Open the two files and check their structure; no pixel is read.

    Args:
        files: `labeled_mat` and `splits_mat`, the original files or others in their layout.
        published_counts: scenes per class as (train, test) that whoever ingests the scenes must find;
            None for a data set in the same layout that is not NYU Depth V2.

    Raises:
        InputError: a file is missing, truncated or of another kind, a key is missing or of another shape or
            type, a scene type is unknown, or the split is not a partition of the scenes.
    """
    labeled_mat, splits_mat = files["labeled_mat"], files["splits_mat"]
    file = _open_hdf5(labeled_mat)
    try:
        n = _check_images(file, labeled_mat)
        scene_types = _read_strings(file, "sceneTypes", n, labeled_mat)
        for index, name in enumerate(scene_types):
            if name not in CLASS_OF_SCENE_TYPE:
                raise InputError(
                    f"{labeled_mat}: key sceneTypes: unknown scene type {name!r} at scene {index} (from 0); "
                    "add it to semcom/data/nyud2_layout.py or use the original file"
                )
        rooms = _read_strings(file, "scenes", n, labeled_mat)
        split = _read_split(splits_mat, n)
        return NYUD2Scenes(file, (labeled_mat, splits_mat), scene_types, rooms, split, published_counts)
    except BaseException:
        file.close()
        raise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _head(path: Path, key: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); correct {key} in the config, or remove it to download the file"
        ) from error


def _kind(head: bytes) -> str:
    """What a file that is not the expected one seems to be, from its first bytes."""
    if not head.strip(b"\0"):
        return "empty or all zeros"
    if head.startswith(b"MATLAB 5.0"):
        return "a MATLAB 5.0 file"
    if head.startswith(b"MATLAB 7.3"):
        return "a damaged MATLAB 7.3 file"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, perhaps an error page saved by a download"
    return "of an unknown kind"


def _open_hdf5(path: Path) -> h5py.File:
    head = _head(path, "data.files.labeled_mat")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = str(error)
        if "truncated" in reason:
            raise InputError(
                f"{path}: the HDF5 file is truncated at {path.stat().st_size} bytes; download it again, or set "
                "data.files.labeled_mat in the config to a whole copy"
            ) from error
        if "signature not found" in reason:
            raise InputError(
                f"{path}: not a MATLAB 7.3 (HDF5) file, but {_kind(head)}; set data.files.labeled_mat in the config to "
                "nyu_depth_v2_labeled.mat, or remove the file to download it"
            ) from error
        raise InputError(
            f"{path}: cannot be opened as HDF5 ({_one_line(error)}); download it again, or set data.files.labeled_mat in "
            "the config to a whole copy"
        ) from error


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    try:
        item = file[key]
    except (KeyError, OSError, RuntimeError) as error:
        present = ", ".join(sorted(name for name in file if name != "#refs#")) or "none"
        raise InputError(
            f"{path}: key {key} is missing or unreadable (keys present: {present}); use the original "
            "nyu_depth_v2_labeled.mat"
        ) from error
    if not isinstance(item, h5py.Dataset):
        raise InputError(f"{path}: key {key} is a group, not an array; use the original nyu_depth_v2_labeled.mat")
    return item


def _check_images(file: h5py.File, path: Path) -> int:
    """Number of scenes, after checking the shapes (N, 3, W, H) and (N, W, H) and the types of the images."""
    images, depths = _dataset(file, "images", path), _dataset(file, "depths", path)
    for key, data, dtype, layout, fits in (
        ("images", images, np.uint8, "(N, 3, W, H)", images.ndim == 4 and images.shape[1] == 3),
        ("depths", depths, np.float32, "(N, W, H)", depths.ndim == 3),
    ):
        if data.dtype != dtype:
            raise InputError(
                f"{path}: key {key} has type {data.dtype}, expected {np.dtype(dtype)}; use the original "
                "nyu_depth_v2_labeled.mat"
            )
        if not fits or 0 in data.shape:
            raise InputError(
                f"{path}: key {key} has shape {data.shape}, expected {layout}; use the original "
                "nyu_depth_v2_labeled.mat"
            )
    if len(images) != len(depths):
        raise InputError(
            f"{path}: keys images and depths hold {len(images)} and {len(depths)} scenes; use the original "
            "nyu_depth_v2_labeled.mat"
        )
    if images.shape[2:] != depths.shape[1:]:
        raise InputError(
            f"{path}: keys images and depths are {images.shape[2:]} and {depths.shape[1:]} pixels; use the original "
            "nyu_depth_v2_labeled.mat"
        )
    return len(images)


def _read_strings(file: h5py.File, key: str, n: int, path: Path) -> list[str]:
    """Decode a MATLAB cell array of n strings."""
    cells = _dataset(file, key, path)
    if h5py.check_ref_dtype(cells.dtype) is not h5py.Reference:
        raise InputError(
            f"{path}: key {key} has type {cells.dtype}, expected object references; use the original "
            "nyu_depth_v2_labeled.mat"
        )
    if cells.shape not in {(1, n), (n, 1)}:
        raise InputError(
            f"{path}: key {key} has shape {cells.shape}, but images holds {n} scenes; use the original "
            "nyu_depth_v2_labeled.mat"
        )
    strings = []
    for index, reference in enumerate(cells[:].ravel()):
        try:
            strings.append(file[reference][:].astype("<u2").tobytes().decode("utf-16-le"))
        except (ValueError, KeyError, TypeError, OSError, RuntimeError) as error:
            raise InputError(
                f"{path}: key {key}: the string of scene {index} (from 0) is missing or unreadable; use the original "
                "nyu_depth_v2_labeled.mat"
            ) from error
    return strings


def _read_split(path: Path, n: int) -> np.ndarray:
    """(n,) of "train" and "test", after checking that the two index lists are a partition of the n scenes."""
    import scipy.io  # the workflow imports every reader on its start

    head = _head(path, "data.files.splits_mat")
    remedy = "use the original splits.mat that belongs to the labelled file"
    try:
        content = scipy.io.loadmat(path, variable_names=("trainNdxs", "testNdxs"))
    except NotImplementedError as error:  # scipy's answer to MATLAB 7.3
        raise InputError(f"{path}: a MATLAB 7.3 file, expected MATLAB 5.0; {remedy}") from error
    except Exception as error:  # scipy lets struct, zlib, type and key errors through on damaged files
        kind = "a damaged MATLAB 5.0 file" if head.startswith(b"MATLAB 5.0") else _kind(head)
        raise InputError(
            f"{path}: not a readable MATLAB 5.0 file, but {kind}; set data.files.splits_mat in the config to splits.mat, "
            "or remove the file to download it"
        ) from error

    split = np.full(n, "", dtype="<U5")
    for key, name in (("trainNdxs", "train"), ("testNdxs", "test")):
        if key not in content:
            raise InputError(f"{path}: key {key} is missing; {remedy}")
        values = np.asarray(content[key])
        if values.dtype.kind not in "iuf" or values.size == 0 or (values != np.floor(values)).any():
            raise InputError(f"{path}: key {key} is not a list of scene numbers; {remedy}")
        numbers = values.ravel().astype(np.int64)
        outside = numbers[(numbers < 1) | (numbers > n)]
        if outside.size:
            raise InputError(f"{path}: key {key} has scene number {outside[0]}, outside 1 to {n}; {remedy}")
        repeated = np.flatnonzero(np.bincount(numbers) > 1)
        if repeated.size:
            raise InputError(f"{path}: key {key} has scene number {repeated[0]} twice; {remedy}")
        taken = numbers[split[numbers - 1] != ""]
        if taken.size:
            raise InputError(f"{path}: scene number {taken[0]} is in both trainNdxs and testNdxs; {remedy}")
        split[numbers - 1] = name
    uncovered = np.flatnonzero(split == "")
    if uncovered.size:
        raise InputError(
            f"{path}: keys trainNdxs and testNdxs leave out {uncovered.size} of {n} scenes, the first is scene number "
            f"{uncovered[0] + 1}; {remedy}"
        )
    return split
