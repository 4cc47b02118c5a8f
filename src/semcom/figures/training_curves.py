"""Figures of training itself: loss and gradient norm of stage I, gradient norm of stage II.

In: `records.collect_steps`, `records.collect_round_steps`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semcom.common.errors import InputError
from semcom.figures import panels, style

COLUMNS = 4  # more are too narrow to read
CURVE_POINTS = 300  # of thousands of steps: more than a column can show


def pretraining_figure(
    steps: pd.DataFrame,
    *,
    methods: Sequence[str],
    seeds: Sequence[int] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Loss and gradient norm of stage I against its step, a column a method with its own loss axis, `COLUMNS` abreast.

    Losses of different methods are different quantities, so none shares an axis; gradient norms do. Where a run has
    more steps than `CURVE_POINTS`, a point is the mean loss, and the largest gradient norm, of a block of steps.

    Args:
        steps: of `records.collect_steps`, in any order of rows.
        methods: to show, in the order of the columns; those of which there is no run are left out.
        seeds: that each of `methods` should have, those that lack one being named; None names nothing.
        labels: what methods are called, as in `style.method_styles`.

    Raises:
        InputError: `steps` holds none of `methods`, or mixes several experiments.
    """
    panels.check_one_experiment(steps)
    shown = [method for method in methods if (steps["method"] == method).any()]
    if not shown:
        raise InputError(f"no pre-training run of {', '.join(methods)}; run stage I of one of them first")
    # A panel has one method, so its colour is enough; dashes and markers would hide the course of thousands of steps.
    looks = {m: replace(look, linestyle="-", marker="") for m, look in style.method_styles(methods, labels).items()}
    missing = (
        panels.missing_runs(
            {("", m): steps[steps["method"] == m] for m in methods}, looks, dict.fromkeys(methods, seeds)
        )
        if seeds
        else []
    )
    steps = steps[steps["method"].isin(shown)]
    block = -(-int(steps["step"].max()) // CURVE_POINTS)
    blocks = {(m, y): _blocks(steps[steps["method"] == m], y, block) for m in shown for y in ("loss", "gradient_norm")}
    survivors = {key: panels.by_seed(cell, "step", key[1], diverged=False) for key, cell in blocks.items()}
    band, band_note = panels.band(survivors.values(), logarithmic=True)
    with style.applied():
        columns = min(len(shown), COLUMNS)
        tiers = -(-len(shown) // columns)  # each a row of losses over one of gradient norms
        width = style.DOUBLE_COLUMN if columns > 1 else style.SINGLE_COLUMN
        figure = Figure(figsize=(width, 3.1 * tiers), layout="constrained")
        grid = figure.subplots(2 * tiers, columns, sharex=True, squeeze=False)
        last = len(shown) - columns * (tiers - 1)
        for axes in grid[-2:, last:].ravel():
            axes.remove()
        for number, method in enumerate(shown):
            tier, column = divmod(number, columns)
            loss_axes, norm_axes = grid[2 * tier : 2 * tier + 2, column]
            if number:
                norm_axes.sharey(grid[1, 0])
            for axes, name in ((loss_axes, "loss"), (norm_axes, "gradient_norm")):
                if not survivors[method, name].empty:
                    panels.draw_mean(axes, survivors[method, name], looks[method], band)
                diverged = panels.by_seed(blocks[method, name], "step", name, diverged=True)
                panels.draw_diverged(axes, diverged, looks[method], level=0.03)
            _scale_loss(loss_axes, blocks[method, "loss"]["loss"])
            norm_axes.set_yscale("log")
            note = panels.diverged_note([panels.diverged_count(blocks[method, "loss"])])
            loss_axes.set_title(f"({chr(97 + number)}) {looks[method].label}{note}")
            if column:
                norm_axes.tick_params(labelleft=False, which="both")
            else:
                loss_axes.set_ylabel("Loss")
                norm_axes.set_ylabel("Gradient norm")
            if number + columns >= len(shown):  # nothing below it
                norm_axes.set_xlabel("Stage I step")
                norm_axes.tick_params(labelbottom=True)
                norm_axes.set_xlim(left=0)
        blocked = [f"Each point: mean loss, and largest gradient norm, of {block} steps."] if block > 1 else []
        panels.note_below(figure, " ".join(filter(None, [band_note, *blocked])), *missing)
    return figure


def gradient_figure(
    steps: pd.DataFrame,
    *,
    methods: Sequence[str],
    snr_db: Sequence[float],
    label_fractions: Sequence[float],
    seeds: Sequence[int] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Gradient norm of stage II against communication round, before clipping: a column a label fraction, a row an SNR.

    A point is the largest norm of a block of rounds, so that no spike is lost where a run has more than `CURVE_POINTS`.

    Args:
        steps: of `records.collect_round_steps`, in any order of rows.
        methods: to show, in the order of the legend.
        seeds: that each cell should have, those that lack one being named; None names nothing.
        labels: what methods are called, as in `style.method_styles`.

    Raises:
        InputError: `steps` mixes several experiments.
    """
    panels.check_one_experiment(steps)
    looks = style.method_styles(methods, labels)
    block = max(1, -(-int(steps["round"].max()) // CURVE_POINTS))
    cells_shown = [(snr, fraction) for snr in snr_db for fraction in label_fractions]
    cells = {
        (panel, method): steps[
            (steps["snr_db"] == panel[0]) & (steps["label_fraction"] == panel[1]) & (steps["method"] == method)
        ]
        for panel in cells_shown
        for method in methods
    }
    blocks = {
        key: _blocks(cell.rename(columns={"round": "step"}), "gradient_norm", block) for key, cell in cells.items()
    }
    survivors = {key: panels.by_seed(cell, "step", "gradient_norm", diverged=False) for key, cell in blocks.items()}
    band, band_note = panels.band(survivors.values(), logarithmic=True)
    with style.applied():
        width = style.DOUBLE_COLUMN if len(label_fractions) > 1 else style.SINGLE_COLUMN
        figure = Figure(figsize=(width, 2.15 * len(snr_db)), layout="constrained")
        grid = figure.subplots(len(snr_db), len(label_fractions), sharey=True, squeeze=False)
        for number, (axes, panel) in enumerate(zip(grid.ravel(), cells_shown, strict=True)):
            snr, fraction = panel
            axes.set_title(panels.cell_title(number, fraction, snr))
            for order, method in enumerate(methods):
                diverged = panels.by_seed(blocks[panel, method], "step", "gradient_norm", diverged=True)
                panels.draw_diverged(axes, diverged, looks[method], level=0.03 + 0.07 * order)
                if not survivors[panel, method].empty:
                    mean = survivors[panel, method]
                    panels.draw_mean(axes, mean, looks[method], band, order=order, of=len(methods))
            axes.set_yscale("log")
            axes.set_xlim(left=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in grid[-1]:
            axes.set_xlabel("Communication round")
        for axes in grid[:, 0]:
            axes.set_ylabel("Gradient norm")
        handles = []
        for method in methods:
            counts = [panels.diverged_count(blocks[panel, method]) for panel in cells_shown]
            handles.append(panels.legend_handle(looks[method], looks[method].label + panels.diverged_note(counts)))
        blocked = [f"Each point: largest norm of {block} rounds."] if block > 1 else []
        placed = {
            (f", {panels.decibels(snr)}, {panels.labels(share).lower()}", m): cell
            for ((snr, share), m), cell in cells.items()
        }
        missing = panels.missing_runs(placed, looks, dict.fromkeys(methods, seeds)) if seeds else []
        panels.legend_above(figure, handles)
        panels.note_below(figure, " ".join(filter(None, [band_note, *blocked])), *missing)
    return figure


def _blocks(cell: pd.DataFrame, name: str, block: int) -> pd.DataFrame:
    """One row per seed and block of steps: seed, step (the block's last), `name`, status (of the run's end)."""
    cell = cell.sort_values("step")
    finite = cell.assign(**{name: cell[name].where(np.isfinite(cell[name]))})
    groups = finite.groupby(["seed", (finite["step"] - finite["step"].min()) // block])
    how = "max" if name == "gradient_norm" else "mean"
    return groups.agg(step=("step", "max"), **{name: (name, how)}, status=("status", "last")).reset_index("seed")


def _scale_loss(axes: Axes, loss: pd.Series) -> None:
    """Logarithmic where the loss, or its explosion, spans more than a decade or so."""
    if loss.min() > 0 and loss.max() > 20 * loss.min():
        axes.set_yscale("log")
