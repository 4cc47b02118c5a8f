"""Figures from the results of runs: accuracy against communication round, an ablation, and a sheet of scenes.

In:  `records.collect_rounds`, `trials.ablation_table`, `scenes.h5`.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom import curves, style
from semcom.data.scenes import scene_table
from semcom.errors import InputError

DEPTH_COLORS = "viridis_r"  # near is bright
SHEET_GAP = 0.06  # of an image's side, between scenes


# Accuracy against round: figures 4 and 5


def accuracy_figure(
    rounds: pd.DataFrame,
    *,
    methods: Sequence[str],
    snr_db: Sequence[float],
    label_fraction: float,
    seeds: Sequence[int] | None = None,
    split: str = "test",
    majority_accuracy: float | None = None,
) -> Figure:
    """Accuracy against communication round, a panel an SNR; mean and band over the seeds that did not diverge.

    A diverged seed's own curve is thin and ends in a cross (near the bottom edge where it has no accuracy at all), and
    the legend counts it. The line below the panels says what the band is, and names the runs that are not there.

    Args:
        rounds: of `records.collect_rounds`, in any order of rows.
        methods: to show, in the order of the legend.
        snr_db: to show, a panel each.
        label_fraction: to show.
        seeds: that each cell should have, those that lack one being named; None takes all that occur in `rounds`.
        majority_accuracy: share of the split's most frequent class, for a reference line.

    Raises:
        InputError: `rounds` mixes several experiments.
    """
    curves.check_one_experiment(rounds)
    shown = rounds[(rounds["label_fraction"] == label_fraction) & (rounds["split"] == split)]
    cells = {
        (snr, method): shown[(shown["snr_db"] == snr) & (shown["method"] == method)].sort_values(["seed", "round"])
        for snr in snr_db
        for method in methods
    }
    survivors = {key: curves.by_seed(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, band_label = curves.band(survivors.values())
    looks = style.method_styles(list(methods))
    with style.applied():
        figure, panels = curves.panels(len(snr_db))
        for number, (axes, snr) in enumerate(zip(panels, snr_db, strict=True)):
            letter = f"({chr(97 + number)}) " if len(snr_db) > 1 else ""
            axes.set_title(f"{letter}{curves.labels(label_fraction)}, SNR = {snr:g} dB")
            axes.set_xlabel("Communication round")
            axes.xaxis.get_major_locator().set_params(integer=True)
            for order, method in enumerate(methods):
                diverged = curves.by_seed(cells[snr, method], "round", "accuracy", diverged=True)
                curves.draw_diverged(axes, 100 * diverged, looks[method], level=0.03 + 0.07 * order)
                mean = survivors[snr, method]
                if not mean.empty:
                    curves.draw_mean(axes, 100 * mean, looks[method], band, order / len(methods))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, color="0.45", linewidth=0.8, dashes=(6, 3), zorder=1)
            axes.set_xlim(0, 1.02 * max(shown["round"].max(), 1) if len(shown) else 1)
        panels[0].set_ylabel(f"{split.capitalize()} accuracy (%)")

        handles = []
        for method in methods:
            counts = [curves.diverged_count(cells[snr, method]) for snr in snr_db]
            handles.append(curves.legend_handle(looks[method], looks[method].label + curves.diverged_note(counts)))
        if majority_accuracy is not None:
            reference = f"Majority class ({100 * majority_accuracy:.1f} %)"
            handles.append(Line2D([], [], color="0.45", linewidth=0.8, dashes=(6, 3), label=reference))
        expected = sorted(set(shown["seed"])) if seeds is None else list(seeds)
        notes = [f"Line and band: {band_label}."]
        if any(cell["status"].ne("ok").any() for cell in cells.values()):
            notes.append("Crosses: where a run diverged, which leaves it out of the mean.")
        curves.legend_above(figure, handles)
        placed = {(f", {snr:g} dB", method): cell for (snr, method), cell in cells.items()}
        curves.note_below(figure, " ".join(notes), *curves.missing_runs(placed, looks, expected))
    return figure


# Ablation


def ablation_figure(table: pd.DataFrame) -> Figure:
    """Validation accuracy and the gradient norm of stage I, a line a change, in the order of the table.

    Args:
        table: of `trials.ablation_table`, of trials that have a stage I.
    """
    lines = np.arange(len(table))
    names = [f"{row.trial}\n{textwrap.shorten(row.changes, 60, placeholder=' ...')}" for row in table.itertuples()]
    with style.applied():
        figure = Figure(figsize=(style.DOUBLE_COLUMN, 0.5 + 0.36 * len(table)), layout="constrained")
        accuracy, norms = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        score, low, high = (100 * table[f"score{bound}"] for bound in ("", "_ci95_low", "_ci95_high"))
        spread = [(score - low).fillna(0), (high - score).fillna(0)]
        accuracy.errorbar(score, lines, xerr=spread, fmt="o", color="0.2", capsize=2, label="Mean, 95 % t-interval")
        for column, marker in zip(table.filter(like="accuracy_labels"), "<>^v", strict=False):
            label = curves.labels(float(column.removeprefix("accuracy_labels")))
            accuracy.plot(100 * table[column], lines, marker, color="0.55", markersize=3, label=label)
        accuracy.set(yticks=lines, yticklabels=names, xlabel="Validation accuracy (%)")
        accuracy.invert_yaxis()
        for name, marker in (("first", "o"), ("last", "s")):
            norms.plot(table[f"{name}_gradient_norm"], lines, marker, label=name)
        norms.set(xscale="log", xlabel="Gradient norm of stage I")
        for axes in (accuracy, norms):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1, handlelength=1.2)
    return figure


# Scenes


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


# Files
