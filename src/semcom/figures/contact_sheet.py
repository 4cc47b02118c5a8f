"""A sheet of scenes: what was read, all modalities of a scene side by side."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from semcom.common.errors import InputError
from semcom.data.scenes import opened_scenes, scene_table, stored_spec
from semcom.data.source import ModalitySpec
from semcom.figures import style

DEPTH_COLORS = "viridis_r"  # near is bright
IMAGES_IN_A_ROW = 8


SHEET_GAP = 0.06  # of an image's side, between scenes


def contact_sheet(
    scenes_h5: str | Path, *, per_class: int | None = None, seed: int = 0, split: str = "train"
) -> Figure:
    """Every modality of a few scenes of each class, side by side, a row a class.

    Images are shown as they are, depth by one scale for all with a colour bar, surface normals as colours ((n + 1) / 2
    of x, y, z as red, green, blue), and any other modality as grey, of which several channels are averaged. Scenes are
    drawn by `seed`, each from another room as long as the class has one.

    Args:
        per_class: scenes of a class; None shows as many as make about eight images.

    Raises:
        InputError: the file is not a `scenes.h5`, or has no scene in `split`.
    """
    path = Path(scenes_h5)
    table = scene_table(path)
    table = table[table["split"] == split]
    if table.empty:
        raise InputError(f"{path}: no scene is in split {split!r}; name another one")
    with opened_scenes(path) as file:
        specs = {name: stored_spec(file[name]) for name in file.attrs["modalities"]}
        per_class = per_class or max(1, round(IMAGES_IN_A_ROW / len(specs)))
        chosen = {name: _choose(scenes, per_class, seed) for name, scenes in table.groupby("class", sort=False)}
        names = [name for name in file["class_names"].asstr()[:] if name in chosen]
        images = {
            scene: {modality: file[modality][scene] for modality in specs} for name in names for scene in chosen[name]
        }
    depths = [scene[name].ravel() for scene in images.values() for name in specs if specs[name].photometry == "depth"]
    # The farthest few hundredths are mostly windows and sensor faults, and would flatten the scale of the rest.
    norm = Normalize(np.floor(np.min(depths)), np.ceil(np.quantile(depths, 0.97))) if depths else None

    # One axes with a unit square an image: the modalities of a scene touch, scenes and classes stand apart.
    width = len(specs)
    left = np.arange(per_class) * (width + 2 * SHEET_GAP)
    top = np.arange(len(names)) * (1 + SHEET_GAP)
    right, bottom = left[-1] + width, top[-1] + 1
    with style.applied():
        beside = 1.5 if depths else 0.8  # inches that class names, and a colour bar, take
        height = (style.DOUBLE_COLUMN - beside) * bottom / right + 0.3
        figure = Figure(figsize=(style.DOUBLE_COLUMN, height), layout="constrained")
        axes = figure.subplots()
        for y, name in zip(top, names, strict=True):
            for x, scene in zip(left, chosen[name], strict=False):
                for position, (modality, spec) in enumerate(specs.items()):
                    values, look = _shown(images[scene][modality], spec, norm)
                    at = (x + position, x + position + 1, y + 1, y)
                    axes.imshow(values, extent=at, interpolation="none", **look)  # files hold the stored pixels
        axes.set(xlim=(0, right), ylim=(bottom, 0), aspect="equal")
        axes.set_yticks(top + 0.5, [name.replace("_", " ") for name in names])
        axes.set_xticks((left[:, None] + np.arange(width) + 0.5).ravel(), [*map(_title, specs)] * per_class)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if depths:
            scale = ScalarMappable(norm, DEPTH_COLORS)
            figure.colorbar(scale, ax=axes, label="Depth (m)", extend="max", aspect=40, shrink=0.6, pad=0.02)
    return figure


def _shown(image: np.ndarray, spec: ModalitySpec, norm: Normalize | None) -> tuple[np.ndarray, dict]:
    """A modality's (C, S, S) as what `imshow` takes, and how."""
    if spec.photometry == "depth":
        return image[0], {"cmap": DEPTH_COLORS, "norm": norm}
    low, high = (0, 255) if spec.dtype == "uint8" else spec.range
    if spec.photometry == "plain":
        return image.mean(axis=0), {"cmap": "gray", "norm": Normalize(low, high)}
    return np.moveaxis(image if spec.dtype == "uint8" else (image - low) / (high - low), 0, -1), {}


def _title(modality: str) -> str:
    return {"rgb": "RGB"}.get(modality, modality.replace("_", " ").capitalize())


def _choose(scenes: pd.DataFrame, count: int, seed: int) -> list[int]:
    """Positions of `count` scenes, in random order; a room comes again only when all have had their turn."""
    shuffled = scenes.sort_values("scene").sample(frac=1, random_state=seed)
    turn = shuffled.groupby("room").cumcount()
    return shuffled["scene"].iloc[np.argsort(turn.to_numpy(), kind="stable")[:count]].tolist()
