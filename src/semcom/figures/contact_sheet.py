"""A sheet of scenes: what was read, RGB and depth side by side."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from semcom.common.errors import InputError
from semcom.data.scenes import scene_table
from semcom.figures import style

DEPTH_COLORS = "viridis_r"  # near is bright


SHEET_GAP = 0.06  # of an image's side, between scenes


def contact_sheet(scenes_h5: str | Path, *, per_class: int = 4, seed: int = 0, split: str = "train") -> Figure:
    """RGB and depth of a few scenes of each class, side by side, a row a class, one depth scale for all.

    Scenes are drawn by `seed`, each from another room as long as the class has one.

    Raises:
        InputError: the file is not a `scenes.h5` with RGB and depth, or has no scene in `split`.
    """
    path = Path(scenes_h5)
    table = scene_table(path)
    table = table[table["split"] == split]
    if table.empty:
        raise InputError(f"{path}: no scene is in split {split!r}; name another one")
    chosen = {name: _choose(scenes, per_class, seed) for name, scenes in table.groupby("class", sort=False)}
    with h5py.File(path, "r") as file:
        for modality in ("rgb", "depth"):
            if modality not in file:
                raise InputError(f"{path}: has no modality {modality}; the contact sheet shows RGB and depth")
        names = [name for name in file["class_names"].asstr()[:] if name in chosen]
        images = {scene: (file["rgb"][scene], file["depth"][scene]) for name in names for scene in chosen[name]}
    depths = np.stack([depth for _, depth in images.values()])
    # The farthest few hundredths are mostly windows and sensor faults, and would flatten the scale of the rest.
    norm = Normalize(np.floor(depths.min()), np.ceil(np.quantile(depths, 0.97)))

    # One axes with a unit square an image: RGB and depth of a scene touch, scenes and classes stand apart.
    left = np.arange(per_class) * (2 + 2 * SHEET_GAP)
    top = np.arange(len(names)) * (1 + SHEET_GAP)
    right, bottom = left[-1] + 2, top[-1] + 1
    plain = {"interpolation": "none"}  # a PDF or SVG then holds the stored pixels, not resampled ones
    with style.applied():
        height = (style.DOUBLE_COLUMN - 1.5) * bottom / right + 0.3  # class names and colour bar take 1.5 inches
        figure = Figure(figsize=(style.DOUBLE_COLUMN, height), layout="constrained")
        axes = figure.subplots()
        for y, name in zip(top, names, strict=True):
            for x, scene in zip(left, chosen[name], strict=False):
                rgb, depth = images[scene]
                axes.imshow(np.moveaxis(rgb, 0, -1), extent=(x, x + 1, y + 1, y), **plain)
                axes.imshow(depth[0], extent=(x + 1, x + 2, y + 1, y), cmap=DEPTH_COLORS, norm=norm, **plain)
        axes.set(xlim=(0, right), ylim=(bottom, 0), aspect="equal")
        axes.set_yticks(top + 0.5, [name.replace("_", " ") for name in names])
        axes.set_xticks((left[:, None] + [0.5, 1.5]).ravel(), ["RGB", "Depth"] * per_class)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        scale = ScalarMappable(norm, DEPTH_COLORS)
        figure.colorbar(scale, ax=axes, label="Depth (m)", extend="max", aspect=40, shrink=0.6, pad=0.02)
    return figure


def _choose(scenes: pd.DataFrame, count: int, seed: int) -> list[int]:
    """Positions of `count` scenes, in random order; a room comes again only when all have had their turn."""
    shuffled = scenes.sort_values("scene").sample(frac=1, random_state=seed)
    turn = shuffled.groupby("room").cumcount()
    return shuffled["scene"].iloc[np.argsort(turn.to_numpy(), kind="stable")[:count]].tolist()
