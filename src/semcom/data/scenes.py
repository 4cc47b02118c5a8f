"""`scenes.h5`, the one format that training reads, and the way from a data set's original files to it.

Layout (HDF5), N scenes of S x S pixels:

    <modality>    (N, C, S, S)  uint8 or float32; attributes `unit`, `photometry`, `range` and `step` as in
                                `source.ModalitySpec`, and per channel `mean` and `std` over the training scenes, in
                                `unit`; contiguous in the file and neither packed nor filtered, so that it can be mapped
                                into memory. A uint8 value is range[0] + integer * (range[1] - range[0]) / 255
    label         (N,) int64    position in class_names
    class_names   strings
    scene_type, room, split     (N,) strings; split is the official one, "train" or "test"
    source_index  (N,) int64    position in the original file, from 0
    attributes                  format, version, source_files, source_bytes, modalities

`ingest` writes it with numpy, h5py and Pillow alone; only `load_scenes` needs torch.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.common.reporting import logger
from semcom.data.source import ModalitySpec, SceneSource
from semcom.data.splits import SPLITS, WITHHELD, class_counts

if TYPE_CHECKING:
    import torch

FORMAT = "semcom-scenes"
VERSION = 2

_SLAB_SCENES = 64  # scenes converted at a time on loading, which bounds the float copy
_STRINGS = h5py.string_dtype()


# Writing


def ingest(
    reader: str,
    files: Mapping[str, Path],
    path: Path,
    *,
    size: int,
    counts_csv: Path,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Write `scenes.h5` and the class counts from the original files.

    Args:
        reader: module of `semcom.data.readers`, such as "nyud2".
        files: the original files and folders, by the names of the reader's FILES.
        size: S, the side of the square images in pixels.

    Returns:
        `class_counts` of what was written.

    Raises:
        InputError: the reader is unknown, a file does not fit it, or as `write_scenes`.
    """
    module = plugins.load("semcom.data.readers", reader)
    with module.open_scenes({name: Path(file) for name, file in files.items()}) as source:
        counts = class_counts(source.labels, source.split, source.class_names)
        write_scenes(source, path, size=size, progress=progress)
    with written_atomically(Path(counts_csv)) as temporary:
        counts.to_csv(temporary, index=False)
    return counts


def write_scenes(
    source: SceneSource, path: Path, *, size: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Resize every scene to size x size, check it and write it; scene by scene, in bounded memory.

    Images are resized by Pillow, bilinear with antialiasing; the aspect ratio is not kept. `path` appears only when
    it is whole, and an older one stays untouched until then.

    Args:
        progress: called with (scenes done, N) after each scene.

    Raises:
        InputError: the class counts differ from the published ones (before any pixel is read); an image is not of the
            type, shape or range that its modality has, not finite, or of depth that is zero all over; an original
            file is damaged; the disk is full.
    """
    path = Path(path)
    if size < 1:
        raise InputError(f"data.image_size is {size}; set it in the config to a positive number of pixels")
    _check_published_counts(source)
    n = len(source)
    pixels = {name: spec.channels * size * size for name, spec in source.modalities.items()}
    needed = n * sum(count * np.dtype(source.modalities[name].dtype).itemsize for name, count in pixels.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise InputError(
            f"{path}: needs {needed / 1e6:.0f} MB, but {free / 1e6:.0f} MB are free in {path.parent}; make room, or "
            "choose another results folder or a smaller data.image_size"
        )

    with written_atomically(path) as temporary, contextlib.ExitStack() as opened:
        file = opened.enter_context(h5py.File(temporary, "w"))
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["source_files"] = [original.name for original in source.files]
        file.attrs["source_bytes"] = [_bytes(original, source) for original in source.files]
        file.attrs["modalities"] = list(source.modalities)
        file["label"] = np.asarray(source.labels, np.int64)
        file["source_index"] = np.arange(n, dtype=np.int64)
        file.create_dataset("class_names", data=list(source.class_names), dtype=_STRINGS)
        file.create_dataset("scene_type", data=list(source.scene_types), dtype=_STRINGS)
        file.create_dataset("room", data=list(source.rooms), dtype=_STRINGS)
        file.create_dataset("split", data=list(source.split), dtype=_STRINGS)
        images, moments = {}, {}
        placed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        placed.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        for name, spec in source.modalities.items():
            images[name] = file.create_dataset(name, (n, spec.channels, size, size), spec.dtype, dcpl=placed)
            images[name].attrs["unit"] = spec.unit
            images[name].attrs["photometry"] = spec.photometry
            images[name].attrs["range"] = spec.range
            images[name].attrs["step"] = spec.scale
            moments[name] = np.zeros((2, spec.channels))  # sums of x and of x^2 over the training scenes
        # HDF5 gives the images their place, and this fills it: writing them itself, HDF5 2.0 crashes on a full disk.
        pixels = opened.enter_context(temporary.open("r+b"))
        for index in range(n):
            original = source.read(index)
            for name, spec in source.modalities.items():
                _check_image(original, name, spec, index, source)
                resized = _resize(original[name], size)  # (C, S, S)
                pixels.seek(images[name].id.get_offset() + index * resized.nbytes)
                pixels.write(resized)
                if source.split[index] == "train":
                    flat = resized.reshape(spec.channels, -1).astype(np.float64)
                    moments[name] += flat.sum(axis=1), np.einsum("cp,cp->c", flat, flat)
            if progress is not None:
                progress(index + 1, n)
        count = np.count_nonzero(source.split == "train") * size * size
        for name, spec in source.modalities.items():
            mean, square = moments[name] / count
            std = np.sqrt(np.maximum(square - mean**2, 0))
            if spec.dtype == "uint8":
                low, high = spec.range
                mean, std = low + (high - low) * (mean / 255), (high - low) * (std / 255)
            images[name].attrs["mean"], images[name].attrs["std"] = mean, std


def _check_published_counts(source: SceneSource) -> None:
    if source.published_counts is None:
        return
    files = " and ".join(str(file) for file in source.files)
    for row in class_counts(source.labels, source.split, source.class_names).itertuples(index=False):
        name, train, test = row[:3]
        expected = source.published_counts[name]
        if (train, test) != tuple(expected):
            raise InputError(
                f"{files}: class {name} has {train} training and {test} test scenes, published are {expected[0]} and "
                f"{expected[1]}; use the original files, which belong together"
            )


def _bytes(original: Path, source: SceneSource) -> int:
    """Size of an original file, or of what was read of an original folder."""
    if original.is_file():
        return original.stat().st_size
    held = {source.origin(index, name) for index in range(len(source)) for name in source.modalities}
    return sum(file.stat().st_size for file in held if original in file.parents and file.is_file())


def _check_image(
    images: Mapping[str, np.ndarray], name: str, spec: ModalitySpec, index: int, source: SceneSource
) -> None:
    """Whether a reader's array is what the modality's `ModalitySpec` says."""
    shape = "(H, W)" if spec.channels == 1 else f"(H, W, {spec.channels})"
    image = images.get(name)
    if image is None:
        fault = "is missing"
    elif image.dtype != spec.dtype:
        fault = f"has type {image.dtype}, expected {spec.dtype}"
    elif image.ndim != (2 if spec.channels == 1 else 3) or image.shape[2:] not in ((), (spec.channels,)):
        fault = f"has shape {image.shape}, expected {shape}"
    elif not image.size:
        fault = f"has shape {image.shape}, which holds no pixel; expected {shape}"
    else:
        fault = _fault_in_values(image, spec)
    if fault:
        where = source.origin(index, name)
        raise InputError(
            f"{where}: {name} of scene {index} (from 0) {fault}; use the original file, or mend the reader"
        )


def _fault_in_values(image: np.ndarray, spec: ModalitySpec) -> str | None:
    if spec.dtype == "uint8":  # spans its range
        return None
    (low, high), least, most = spec.range, image.min(), image.max()  # NaN if any value is
    if not (np.isfinite(least) and np.isfinite(most)):
        return "has NaN or infinite values"
    if least < low or most > np.float32(high):
        return f"has values from {least:g} to {most:g}, expected {low:g} to {high:g} {spec.unit}"
    if spec.photometry == "depth" and most == 0:
        return f"has only zeros, expected up to {high:g} {spec.unit}"
    return None


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    """(H, W) or (H, W, C) -> (C, size, size), each channel by itself."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    resized = np.empty((len(planes), size, size), image.dtype)
    for plane, out in zip(planes, resized, strict=True):
        # MATLAB's axis order gives transposed views. Resizing does not mind, and the small result is cheaper to turn.
        transposed = plane.flags.f_contiguous
        pillow = Image.fromarray(plane.T if transposed else plane)
        small = np.asarray(pillow.resize((size, size), Image.Resampling.BILINEAR))
        out[:] = small.T if transposed else small
    return resized


# Reading


@dataclass(frozen=True)
class Modality:
    """What the stored integers of one modality mean: a value in `unit` is zero + integer x scale.

    Attributes:
        unit: "m" for depth; "intensity" for an image, whose full scale is 1.
        scale: 0.001 for depth, 1/255 for an image, 2/255 for normals.
        mean, std: per channel, of the values of the official training scenes.
        photometry: what random views may change, see `source.ModalitySpec`.
        zero: 0 for depth and images, -1 for normals.
    """

    unit: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    photometry: str
    zero: float = 0.0

    @property
    def channels(self) -> int:
        return len(self.mean)


class MappedImages:
    """One modality's images, left in `scenes.h5` and read as they are asked for; what `Scenes.images` else holds whole.

    Raises:
        InputError: the images are not contiguous in the file.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset, step: float, device: torch.device | str) -> None:
        offset = dataset.id.get_offset()
        if offset is None:  # chunked, as older versions of this program wrote them
            raise InputError(
                f"{path}: {dataset.name[1:]} does not lie in one piece, so that it cannot be memory-mapped; remove the "
                "file and ingest the data set again, or raise compute.data_in_memory_mb in the config"
            )
        self._values = np.memmap(path, dataset.dtype, mode="r", offset=offset, shape=dataset.shape)
        self._step = step
        self._device = device

    def index_select(self, dim: int, indices: torch.LongTensor) -> torch.Tensor:
        """(B, C, S, S) integers of the scenes at `indices`, (B,), on the device; `dim` is 0, as a tensor would have it."""
        import torch

        chosen = np.asarray(self._values[indices.cpu().numpy()])
        return torch.from_numpy(_as_integers(chosen, self._step)).to(self._device)


@dataclass(frozen=True)
class Scenes:
    """All scenes on one device, as integers; images that do not fit stay on disk and come there batch by batch.

    Attributes:
        images: modality to (N, C, S, S), uint8 as stored, float32 as int16 multiples of its step (depth: millimetres).
            What both kinds offer is `index_select`, as `batch` uses it.
        modalities: modality to what its integers mean.
        labels: (N,) int64, positions in `class_names`.
        indices: "train", "validation" (if there is one), "test" (unless withheld) to sorted (n,) int64 positions.
    """

    images: dict[str, torch.Tensor | MappedImages]
    modalities: dict[str, Modality]
    labels: torch.LongTensor
    class_names: tuple[str, ...]
    indices: dict[str, torch.LongTensor]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        return self.labels.device

    def batch(self, indices: torch.LongTensor) -> dict[str, torch.Tensor]:
        """Modality to (B, C, S, S) integers of the scenes at `indices`, (B,) on the same device."""
        return {name: images.index_select(0, indices) for name, images in self.images.items()}


def scene_table(path: Path) -> pd.DataFrame:
    """The scenes of `scenes.h5` without their images: columns scene (from 0), class, scene_type, room, split.

    `split` is the official one. Needs no torch.

    Raises:
        InputError: as `load_scenes`.
    """
    path = Path(path)
    with _open_ours(path) as file, _damage_reported(path):
        class_names = file["class_names"].asstr()[:]
        return pd.DataFrame(
            {
                "scene": np.arange(len(file["label"])),
                "class": class_names[file["label"][:]],
                **{key: file[key].asstr()[:] for key in ("scene_type", "room", "split")},
            }
        )


def load_scenes(
    path: Path,
    splits: Path | pd.DataFrame,
    *,
    device: torch.device | str,
    modalities: Sequence[str] | None = None,
    in_memory_mb: float = math.inf,
) -> Scenes:
    """Read `scenes.h5` as integers: whole, or through a memory map. The batches are the same, bit for bit.

    Args:
        splits: `splits.split_table`'s result, or the CSV file of it.
        device: where every tensor lies.
        modalities: which to read, in this order; None reads all.
        in_memory_mb: images that are more than this, in MB of 10^6 bytes, stay on disk.

    Raises:
        InputError: a file is missing, truncated, of another format or version, the split belongs to others, there
            is no such modality, or the images must stay on disk and cannot be mapped.
    """
    import torch  # not needed to write scenes, and seconds to import

    path = Path(path)
    images, meanings = {}, {}
    with _open_ours(path) as file, _damage_reported(path):
        labels = file["label"][:]
        class_names = tuple(file["class_names"].asstr()[:])
        present = list(file.attrs["modalities"])
        datasets = {}
        for name in present if modalities is None else modalities:
            if name not in present:
                raise InputError(f"{path}: has no modality '{name}', only {', '.join(present)}; correct `modalities`")
            datasets[name] = file[name]
        size_mb = sum(data.size * _integer_type(data.dtype).itemsize for data in datasets.values()) / 1e6
        mapped = size_mb > in_memory_mb
        if mapped:
            logger.info("%s: %.0f MB of images stay on disk, memory-mapped and read batch by batch", path, size_mb)
        for name, data in datasets.items():
            spec = stored_spec(data)
            if mapped:
                images[name] = MappedImages(path, data, spec.scale, device)
            else:
                images[name] = torch.from_numpy(_read(data, spec.scale)).to(device)
            mean, std = (tuple(data.attrs[key].tolist()) for key in ("mean", "std"))
            meanings[name] = Modality(spec.unit, spec.scale, mean, std, spec.photometry, spec.zero)
    split = _check_split(splits, path)
    return Scenes(
        images=images,
        modalities=meanings,
        labels=torch.from_numpy(labels).to(device),
        class_names=class_names,
        indices={
            name: torch.from_numpy(np.flatnonzero(split == name)).to(device) for name in SPLITS if (split == name).any()
        },
    )


def stored_spec(dataset: h5py.Dataset) -> ModalitySpec:
    """What the values of a modality's images in `scenes.h5` are."""
    low, high = dataset.attrs["range"].tolist()
    return ModalitySpec(
        channels=dataset.shape[1],
        dtype=str(dataset.dtype),
        unit=dataset.attrs["unit"],
        photometry=dataset.attrs["photometry"],
        range=(low, high),
        step=None if dataset.dtype == np.uint8 else float(dataset.attrs["step"]),
    )


def _read(dataset: h5py.Dataset, step: float) -> np.ndarray:
    """All images as integers."""
    values = np.empty(dataset.shape, _integer_type(dataset.dtype))
    for start in range(0, len(dataset), _SLAB_SCENES):
        values[start : start + _SLAB_SCENES] = _as_integers(dataset[start : start + _SLAB_SCENES], step)
    return values


def _integer_type(stored: np.dtype) -> np.dtype:
    return np.dtype(np.uint8 if stored == np.uint8 else np.int16)


def _as_integers(stored: np.ndarray, step: float) -> np.ndarray:
    if stored.dtype == np.uint8:
        return stored
    return np.rint(stored / np.float32(step)).astype(np.int16)  # ingest let through what int16 holds


@contextlib.contextmanager
def _open_ours(path: Path) -> Iterator[h5py.File]:
    remedy = "remove it and ingest the data set again"
    if not path.is_file():
        raise InputError(f"{path}: not found; ingest the data set first")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        fault = "truncated" if "truncated" in str(error) else "not an HDF5 file"
        raise InputError(f"{path}: {fault}; {remedy}") from error
    with file:
        if file.attrs.get("format") != FORMAT:
            raise InputError(f"{path}: attribute format is not {FORMAT!r}, so this is another kind of file; {remedy}")
        if file.attrs.get("version") != VERSION:
            raise InputError(
                f"{path}: attribute version is {file.attrs.get('version')}, this program reads {VERSION}; {remedy}"
            )
        yield file


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, OSError) as error:
        raise InputError(
            f"{path}: damaged ({' '.join(str(error).split())}); remove it and ingest the data set again"
        ) from error


def _check_split(splits: Path | pd.DataFrame, path: Path) -> np.ndarray:
    """(N,) names of the splits, after checking that the table is of the scenes in `path`."""
    scenes = scene_table(path)
    if isinstance(splits, pd.DataFrame):
        table, where = splits, "the split table"
    else:
        where = str(splits)
        try:
            table = pd.read_csv(splits, dtype={"room": str}, keep_default_na=False)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{where}: cannot be read ({reason}); make the split again") from error
    for column in scenes:
        if column not in table:
            raise InputError(f"{where}: column {column} is missing; make the split again")
        if column != "split" and table[column].tolist() != scenes[column].tolist():
            raise InputError(f"{where}: column {column} does not fit the scenes in {path}; make the split again")
    split = table["split"].to_numpy(dtype=object)
    unknown = sorted({str(name) for name in split} - {*SPLITS, WITHHELD})
    if unknown:
        raise InputError(f"{where}: column split has {unknown[0]!r}, expected one of {', '.join(SPLITS)}")
    return split
