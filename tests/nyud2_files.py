"""Small files in the layout of NYU Depth V2's, with what a test wants in them."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io

WIDTH, HEIGHT = 20, 12
TYPES = ("bedroom", "kitchen", "office", "cafe", "bedroom", "kitchen", "office", "study")


def write_cells(file: h5py.File, key: str, values: Sequence[str]) -> None:
    """A MATLAB cell array of strings: (1, N) references to (n, 1) uint16 codes."""
    cells = file.create_dataset(key, (1, len(values)), h5py.ref_dtype)
    for index, value in enumerate(values):
        codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)[:, None]
        cells[0, index] = file.create_dataset(f"#refs#/{key}{index}", data=codes).ref


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, HEIGHT, WIDTH, 3) uint8 and (n, HEIGHT, WIDTH) float32 in metres."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (n, HEIGHT, WIDTH, 3), np.uint8)
    return rgb, rng.uniform(0.5, 9, (n, HEIGHT, WIDTH)).astype(np.float32)


def write_labeled(
    path: Path,
    *,
    types: Sequence[str] = TYPES,
    rooms: Sequence[str] | None = None,
    rgb: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    chunk: int = 1,
) -> Path:
    """A labelled file as MATLAB v7.3 writes it: 512 bytes of header, then HDF5 with the axes reversed.

    Args:
        rgb, depth: as `pictures` gives them, which is the default.
        chunk: scenes in one HDF5 chunk.
    """
    default_rgb, default_depth = pictures(len(types))
    rgb = default_rgb if rgb is None else rgb
    depth = default_depth if depth is None else depth
    images, depths = rgb.transpose(0, 3, 2, 1), depth.transpose(0, 2, 1)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("images", data=images, chunks=(chunk, *images.shape[1:]), compression="gzip")
        file.create_dataset("depths", data=depths, chunks=(chunk, *depths.shape[1:]), compression="gzip")
        write_cells(file, "sceneTypes", types)
        write_cells(file, "scenes", rooms or [f"{name}_{index:04d}" for index, name in enumerate(types)])
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def write_splits(path: Path, train: Sequence[int], test: Sequence[int]) -> Path:
    """A splits file, MATLAB 5.0; scene numbers count from 1."""
    columns = {"trainNdxs": train, "testNdxs": test}
    scipy.io.savemat(path, {key: np.array(numbers, np.uint16)[:, None] for key, numbers in columns.items()})
    return path


def named(labeled: Path, splits: Path) -> dict[str, Path]:
    """The two files by the names that the reader gives them."""
    return {"labeled_mat": labeled, "splits_mat": splits}


def write_both(folder: Path, **options) -> tuple[Path, Path]:
    """The two files, the first half of the scenes for training."""
    n = len(options.get("types", TYPES))
    labeled = write_labeled(folder / "labeled.mat", **options)
    return labeled, write_splits(folder / "splits.mat", range(1, n // 2 + 1), range(n // 2 + 1, n + 1))
