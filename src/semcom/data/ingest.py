"""Raw files to `scenes.h5`: scene by scene, checked, resized, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.common.hdf5 import new_sparse_hdf5
from semcom.common.reporting import logger
from semcom.data.scenes import FORMAT, STRINGS, VERSION
from semcom.data.source import ModalitySpec, SceneSource
from semcom.data.splits import class_counts

SHOWN = ("colour", "depth", "normals")  # kinds of images that show a scene, of which none is all one value

# In NYU Depth V2's 1,449 scenes depth is 0.71 to 9.98 m; a scene's farthest point lies at 1.27 m or more, its mean is
# 1.0 to 6.7 m and that of all scenes 2.8 m.
NEAR_EVERYWHERE_M = 1.0
FAR_ON_AVERAGE_M = 10.0


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
            type, shape or range that its modality has, not finite, or has one value all over; depth that reaches
            nowhere as far as a room does; an original file is damaged or cannot be read; the disk is full.
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
        file, written_here = opened.enter_context(new_sparse_hdf5(temporary))
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["source_files"] = [original.name for original in source.files]
        file.attrs["source_bytes"] = [_bytes(original, source) for original in source.files]
        file.attrs["modalities"] = list(source.modalities)
        file["label"] = np.asarray(source.labels, np.int64)
        file["source_index"] = np.arange(n, dtype=np.int64)
        file.create_dataset("class_names", data=list(source.class_names), dtype=STRINGS)
        file.create_dataset("scene_type", data=list(source.scene_types), dtype=STRINGS)
        file.create_dataset("room", data=list(source.rooms), dtype=STRINGS)
        file.create_dataset("split", data=list(source.split), dtype=STRINGS)
        images, moments = {}, {}
        farthest = {name: 0.0 for name, spec in source.modalities.items() if spec.photometry == "depth"}
        placed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        placed.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        for name, spec in source.modalities.items():
            images[name] = file.create_dataset(name, (n, spec.channels, size, size), spec.dtype, dcpl=placed)
            images[name].attrs["unit"] = spec.unit
            images[name].attrs["photometry"] = spec.photometry
            images[name].attrs["range"] = spec.range
            images[name].attrs["step"] = spec.scale
            moments[name] = np.zeros((2, spec.channels))  # sums of x and of x^2 over the training scenes
            start = images[name].id.get_offset()
            written_here.append((start, start + images[name].nbytes))
        pixels = opened.enter_context(temporary.open("r+b"))
        for index in range(n):
            original = source.read(index)
            for name, spec in source.modalities.items():
                _check_image(original, name, spec, index, source)
                if name in farthest:
                    farthest[name] = max(farthest[name], spec.zero + float(original[name].max()) * _unit(spec))
                resized = _resize(original[name], size)  # (C, S, S)
                pixels.seek(images[name].id.get_offset() + index * resized.nbytes)
                pixels.write(resized)
                if source.split[index] == "train":
                    flat = resized.reshape(spec.channels, -1).astype(np.float64)
                    moments[name] += flat.sum(axis=1), np.einsum("cp,cp->c", flat, flat)
            if progress is not None:
                progress(index + 1, n)
        for name, metres in farthest.items():
            _check_farthest(name, metres, source)
        count = np.count_nonzero(source.split == "train") * size * size
        for name, spec in source.modalities.items():
            mean, square = moments[name] / count
            std = np.sqrt(np.maximum(square - mean**2, 0))
            if spec.dtype == "uint8":
                low, high = spec.range
                mean, std = low + (high - low) * (mean / 255), (high - low) * (std / 255)
            images[name].attrs["mean"], images[name].attrs["std"] = mean, std
            if spec.photometry == "depth" and mean[0] > FAR_ON_AVERAGE_M:
                logger.warning(
                    "%s: the mean of %s over the training scenes is %.1f m, and rooms have 1 to 7 m: is it in metres?",
                    source.files[0],
                    name,
                    mean[0],
                )


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
    least, most = image.min(), image.max()  # NaN if any value is
    if spec.dtype == "float32":  # uint8 spans its range
        low, high = spec.range[0], np.float32(spec.range[1])
        if not (np.isfinite(least) and np.isfinite(most)):
            return f"has NaN or infinite values in {np.count_nonzero(~np.isfinite(image))} of {image.size} pixels"
        if least < low or most > high:
            outside = np.count_nonzero((image < low) | (image > high))
            hint = ", which look like millimetres or another unit than metres" if spec.photometry == "depth" else ""
            return (
                f"has values from {least:g} to {most:g}{hint if 2 * outside > image.size else ''}, expected {low:g} to "
                f"{high:g} {spec.unit}; {outside} of {image.size} pixels lie outside"
            )
    if spec.photometry in SHOWN and (image == image[0, 0]).all():
        return (
            f"has the one value {image[0, 0]} in all of {image.shape[0]} x {image.shape[1]} pixels, as if never written"
        )
    return None


def _unit(spec: ModalitySpec) -> float:
    """What 1 in a reader's array is worth, in the modality's unit."""
    return 1.0 if spec.dtype == "float32" else spec.scale


def _check_farthest(name: str, metres: float, source: SceneSource) -> None:
    """Whether depth, all scenes together, can be of rooms and in metres."""
    high = source.modalities[name].range[1]
    if metres <= NEAR_EVERYWHERE_M < high:
        raise InputError(
            f"{source.files[0]}: {name} reaches {metres:g} m at most in all {len(source)} scenes, so it is not of rooms in "
            f"metres but perhaps scaled to 0 to 1; give metres, or, if it is all so near, state range=(0, "
            f"{NEAR_EVERYWHERE_M:g}) in the reader's ModalitySpec"
        )


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
