"""Reader of NYU Depth V2's labelled set: `nyu_depth_v2_labeled.mat` and `splits.mat`, as downloaded.

Source: https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html (Silberman et al., ECCV 2012). The labelled file
is MATLAB v7.3, which is HDF5 with the axes reversed: MATLAB's (480, 640, 3, N) is h5py's (N, 3, 640, 480).
A cell array of strings is a (1, N) array of references, each to an (n, 1) array of UTF-16 codes.
"""

import math
import zlib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from semcom.common.errors import InputError
from semcom.common.hdf5 import open_hdf5
from semcom.common.reading import fault_of_surroundings
from semcom.data.nyud2_layout import CLASS_OF_SCENE_TYPE, CLASSES, PUBLISHED_COUNTS
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, RawFile

FILES = {
    "labeled_mat": RawFile("nyu_depth_v2_labeled.mat"),
    "splits_mat": RawFile("splits.mat, with 1-based trainNdxs and testNdxs"),
}
MODALITIES = {"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH}

# The scenes of one chunk are read together, up to this many bytes: a chunk that spans scenes is unpacked once.
SLAB_BYTES = 64 * 2**20

CHUNK_BYTES = 256 * 2**20  # HDF5 unpacks a chunk whole, into memory
STRING_LENGTH = 1000  # of a scene type or room
_MEASURED_BYTES = 2**20  # unpacked at a time, to learn how much there is


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
        except (OSError, RuntimeError, MemoryError, zlib.error) as error:
            raise fault_of_surroundings(self.files[0], error) or InputError(
                f"{self.files[0]}: scene {index} (from 0) of keys images, depths is damaged ({_one_line(error)}); "
                f"{_whole('labeled_mat')}"
            ) from error


class _Slabs:
    """Reads items of a dataset along its first axis, a chunk's worth at a time.

    Where each item is one chunk that is packed by deflate and nothing else, zlib unpacks it to its known size. HDF5,
    which reads every other layout, does not know that size, and grows and copies its buffer on the way, to whatever the
    chunk holds; so a chunk is measured before HDF5 reads it.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        chunk = dataset.chunks[0] if dataset.chunks else 1
        self._measured: set[tuple[int, ...]] = set()
        self._chunk_bytes = dataset.dtype.itemsize * math.prod(dataset.chunks or ())
        self._filters = _filters(dataset)
        self._item_bytes = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
        self._dataset = dataset
        self._length = max(1, min(chunk, SLAB_BYTES // self._item_bytes))
        self._start = -1
        self._slab = np.empty(0)
        self._packed_alone = dataset.chunks == (1, *dataset.shape[1:]) and self._filters == [h5py.h5z.FILTER_DEFLATE]

    def read(self, index: int) -> np.ndarray:
        if self._packed_alone:
            return self._unpack(index)
        start = index - index % self._length
        if start != self._start:
            self._measure(start, min(start + self._length, len(self._dataset)))
            self._slab = self._dataset[start : start + self._length]
            self._start = start
        return self._slab[index - start]

    def _unpack(self, index: int) -> np.ndarray:
        data = self._dataset
        skipped, stored = self._stored((index,) + (0,) * (data.ndim - 1))
        plain = stored
        if not skipped:  # else it could not be packed
            unpacking = zlib.decompressobj()
            plain = unpacking.decompress(stored, self._item_bytes + 1)
            if len(plain) <= self._item_bytes and not unpacking.eof:
                raise OSError("a chunk ends early")
        if len(plain) != self._item_bytes:
            held = f"more than {self._item_bytes}" if len(plain) > self._item_bytes else f"{len(plain)}"
            raise OSError(f"a chunk holds {held} bytes instead of {self._item_bytes}")
        return np.frombuffer(plain, data.dtype).reshape(data.shape[1:])

    def _measure(self, start: int, stop: int) -> None:
        """Whether the chunks of items `start` to `stop` unpack to their size; else HDF5 would find out in memory."""
        data = self._dataset
        if data.chunks is None:
            return
        first = start - start % data.chunks[0]
        steps = [range(first, stop, data.chunks[0])]
        steps += [range(0, extent, step) for extent, step in zip(data.shape[1:], data.chunks[1:], strict=True)]
        for corner in product(*steps):
            if corner in self._measured:
                continue
            skipped, stored = self._stored(corner)
            if h5py.h5z.FILTER_DEFLATE in self._filters and not skipped:
                unpacking, held = zlib.decompressobj(), 0
                while stored and not unpacking.eof and held <= self._chunk_bytes:
                    held += len(unpacking.decompress(stored, _MEASURED_BYTES))
                    stored = unpacking.unconsumed_tail
                if held != self._chunk_bytes:
                    raise OSError(f"a chunk holds {held} bytes or more instead of {self._chunk_bytes}")
            self._measured.add(corner)

    def _stored(self, corner: tuple[int, ...]) -> tuple[int, bytes]:
        """The filters that a chunk skips, as bits, and its bytes as they lie in the file."""
        size = self._dataset.id.get_chunk_info_by_coord(corner).size
        if size > 2 * self._chunk_bytes + 1024:  # no packing makes so much more of it
            raise OSError(f"a chunk of {self._chunk_bytes} bytes takes {size} in the file")
        return self._dataset.id.read_direct_chunk(corner)


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


def _whole(file: str) -> str:
    """The remedy for a file that is not whole, in which nothing is to be deleted."""
    key = f"data.files.{file}"
    return f"set {key} in the config to a whole copy, or leave {key} out to have one downloaded"


def _head(path: Path, file: str) -> bytes:
    try:
        with path.open("rb") as opened:
            return opened.read(512)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; {_whole(file)}") from None
    except OSError as error:
        raise fault_of_surroundings(path, error) or error from None


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
    head = _head(path, "labeled_mat")
    try:
        return open_hdf5(path)
    except (OSError, RuntimeError) as error:
        if fault := fault_of_surroundings(path, error):
            raise fault from error
        reason = _one_line(error)
        fault = f"a damaged HDF5 file ({reason})"
        if "truncated" in reason:
            fault = f"the HDF5 file is truncated at {path.stat().st_size} bytes, or still being copied"
        elif "signature not found" in reason:
            fault = f"not a MATLAB 7.3 (HDF5) file, but {_kind(head)}"
        raise InputError(f"{path}: {fault}; {_whole('labeled_mat')}") from error


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    try:
        item = file[key]
    except (KeyError, OSError, RuntimeError) as error:
        if fault := fault_of_surroundings(path, error):
            raise fault from error
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
    _check_written(images, path)
    _check_written(depths, path)
    return len(images)


def _check_written(data: h5py.Dataset, path: Path) -> None:
    """Whether all of an array was written, and in chunks of a size that memory holds; HDF5 reads the rest as zeros."""
    key = data.name.lstrip("/")
    if data.chunks is None:
        if data.id.get_storage_size() < data.nbytes:
            raise InputError(f"{path}: key {key} was never written; {_whole('labeled_mat')}")
        return
    if math.prod(data.chunks) * data.dtype.itemsize > CHUNK_BYTES or _filters(data).count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise InputError(
            f"{path}: key {key} has chunks of shape {data.chunks}, or packed twice; rewrite the file by h5repack -l "
            f"{key}:CHUNK={'x'.join(map(str, (1, *data.shape[1:])))}"
        )
    expected = math.prod(math.ceil(extent / step) for extent, step in zip(data.shape, data.chunks, strict=True))
    written = data.id.get_num_chunks()
    if written < expected:
        raise InputError(
            f"{path}: key {key}: {expected - written} of its {expected} chunks were never written, the first "
            f"{_first_unwritten(data)}; {_whole('labeled_mat')}"
        )


def _first_unwritten(data: h5py.Dataset) -> str:
    """Which scene the first missing chunk begins with."""
    steps = (range(0, extent, step) for extent, step in zip(data.shape, data.chunks, strict=True))
    written = set()
    data.id.chunk_iter(lambda chunk: written.add(chunk.chunk_offset))
    return f"with scene {next(corner for corner in product(*steps) if corner not in written)[0]} (from 0)"


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
            codes = file[reference]
            if codes.size > STRING_LENGTH:
                raise ValueError(f"a string of {codes.size} characters")
            strings.append(codes[:].astype("<u2").tobytes().decode("utf-16-le"))
        except (AttributeError, ValueError, KeyError, TypeError, OSError, RuntimeError) as error:
            raise fault_of_surroundings(path, error) or InputError(
                f"{path}: key {key}: the string of scene {index} (from 0) is missing or unreadable; use the original "
                "nyu_depth_v2_labeled.mat"
            ) from error
    return strings


def _read_split(path: Path, n: int) -> np.ndarray:
    """(n,) of "train" and "test", after checking that the two index lists are a partition of the n scenes."""
    import scipy.io  # the workflow imports every reader on its start

    head = _head(path, "splits_mat")
    remedy = "use the original splits.mat that belongs to the labelled file"
    try:
        content = scipy.io.loadmat(path, variable_names=("trainNdxs", "testNdxs"))
    except NotImplementedError as error:  # scipy's answer to MATLAB 7.3
        raise InputError(f"{path}: a MATLAB 7.3 file, expected MATLAB 5.0; {remedy}") from error
    except Exception as error:  # scipy lets struct, zlib, type and key errors through on damaged files
        kind = "a damaged MATLAB 5.0 file" if head.startswith(b"MATLAB 5.0") else _kind(head)
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a readable MATLAB 5.0 file, but {kind}; {_whole('splits_mat')}"
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
