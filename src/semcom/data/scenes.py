"""`scenes.h5`, the one format that training reads: how it is laid out, and how it becomes tensors.

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

`data/ingest.py` writes it, without torch; only `load_scenes` needs torch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from semcom.common.errors import InputError
from semcom.common.hdf5 import open_hdf5
from semcom.common.reading import fault_of_surroundings
from semcom.common.reporting import logger
from semcom.data.source import ModalitySpec
from semcom.data.splits import BECOMES, SPLITS, WITHHELD

if TYPE_CHECKING:
    import torch

FORMAT = "semcom-scenes"
VERSION = 2
REMEDY = "make it again from the original files: snakemake --forcerun ingest"

_SLAB_SCENES = 64  # scenes converted at a time on loading, which bounds the float copy
STRINGS = h5py.string_dtype()


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
                f"{path}: {dataset.name[1:]} does not lie in one piece, so that it cannot be memory-mapped; raise "
                f"compute.data_in_memory_mb in the config, or {REMEDY}"
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
    with opened_scenes(path) as file:
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
        InputError: a file is missing, truncated, of another format or version, the split belongs to others or lets an
            official test scene train, there is no such modality, or the images must stay on disk and cannot be mapped.
    """
    import torch  # not needed to write scenes, and seconds to import

    path = Path(path)
    images, meanings = {}, {}
    with opened_scenes(path) as file:
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
def opened_scenes(path: Path) -> Iterator[h5py.File]:
    """`scenes.h5`, checked to be one; what fails while it is read is told in terms of the file.

    Raises:
        InputError: the file is missing, cannot be read, is truncated, damaged, or of another format or version.
    """
    path = Path(path)
    try:
        with open_hdf5(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(
                    f"{path}: attribute format is not {FORMAT!r}, so this is another kind of file; {REMEDY}"
                )
            if file.attrs.get("version") != VERSION:
                raise InputError(
                    f"{path}: attribute version is {file.attrs.get('version')}, this program reads {VERSION}; {REMEDY}"
                )
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: not found; ingest the data set first") from None
    except (KeyError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        kind = "not an HDF5 file" if "signature not found" in reason else f"damaged or truncated ({reason})"
        raise fault_of_surroundings(path, error) or InputError(f"{path}: {kind}; {REMEDY}") from error


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
            raise fault_of_surroundings(where, error) or InputError(
                f"{where}: not a table of scenes ({reason}); make the split again"
            ) from error
    for column in scenes:
        if column not in table:
            raise InputError(f"{where}: column {column} is missing; make the split again")
        if column != "split" and table[column].tolist() != scenes[column].tolist():
            raise InputError(f"{where}: column {column} does not fit the scenes in {path}; make the split again")
    split = table["split"].to_numpy(dtype=object)
    unknown = sorted({str(name) for name in split} - {*SPLITS, WITHHELD})
    if unknown:
        raise InputError(f"{where}: column split has {unknown[0]!r}, expected one of {', '.join(SPLITS)}")
    for official, allowed in BECOMES.items():
        wrong = np.flatnonzero((scenes["split"] == official).to_numpy() & ~np.isin(split, allowed))
        if len(wrong):
            raise InputError(
                f"{where}: scene {wrong[0]} is an official {official} scene and reads '{split[wrong[0]]}', where only "
                f"{' or '.join(allowed)} may stand; make the split again"
            )
    return split
