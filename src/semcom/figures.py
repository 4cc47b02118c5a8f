"""Figures from the tables of runs: accuracy against communication round, stage I's course, a sheet of scenes.

In:  `tables.collect_rounds`, `tables.collect_steps`, `scenes.h5`.
Out: matplotlib figures, and by `save` their PDF, SVG and PNG files, the same bytes whenever they are rebuilt.
"""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom import style
from semcom.data.scenes import scene_table
from semcom.errors import InputError
from semcom.files import written_atomically
from semcom.tables import t_interval

INTERVAL_SEEDS = 4  # with fewer, t-intervals say little (t = 12.7 for two), so the band shows the extremes instead
MARKERS = 7  # a curve
DEPTH_COLORS = "viridis_r"  # near is bright
SHEET_GAP = 0.06  # of an image's side, between scenes
CURVE_POINTS = 300  # of stage I, which has thousands of steps: more than a column can show


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
        rounds: of `tables.collect_rounds`, in any order of rows.
        methods: to show, in the order of the legend.
        snr_db: to show, a panel each.
        label_fraction: to show.
        seeds: that each cell should have, those that lack one being named; None takes all that occur in `rounds`.
        majority_accuracy: share of the split's most frequent class, for a reference line.

    Raises:
        InputError: `rounds` mixes several experiments.
    """
    _check_one_experiment(rounds)
    shown = rounds[(rounds["label_fraction"] == label_fraction) & (rounds["split"] == split)]
    cells = {
        (snr, method): shown[(shown["snr_db"] == snr) & (shown["method"] == method)].sort_values(["seed", "round"])
        for snr in snr_db
        for method in methods
    }
    survivors = {key: _curves(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, band_label = _band(survivors.values())
    looks = style.method_styles(list(methods))
    with style.applied():
        figure, panels = _panels(len(snr_db))
        for number, (axes, snr) in enumerate(zip(panels, snr_db, strict=True)):
            letter = f"({chr(97 + number)}) " if len(snr_db) > 1 else ""
            axes.set_title(f"{letter}{_labels(label_fraction)}, SNR = {snr:g} dB")
            axes.set_xlabel("Communication round")
            for order, method in enumerate(methods):
                diverged = _curves(cells[snr, method], "round", "accuracy", diverged=True)
                _draw_diverged(axes, 100 * diverged, looks[method], level=0.03 + 0.07 * order)
                curves = survivors[snr, method]
                if not curves.empty:
                    _draw_mean(axes, 100 * curves, looks[method], band, order / len(methods))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, color="0.45", linewidth=0.8, dashes=(6, 3), zorder=1)
            axes.set_xlim(0, 1.02 * max(shown["round"].max(), 1) if len(shown) else 1)
        panels[0].set_ylabel(f"{split.capitalize()} accuracy (%)")

        handles = []
        for method in methods:
            counts = [_diverged_count(cells[snr, method]) for snr in snr_db]
            handles.append(_handle(looks[method], looks[method].label + _diverged_note(counts)))
        if majority_accuracy is not None:
            reference = f"Majority class ({100 * majority_accuracy:.1f} %)"
            handles.append(Line2D([], [], color="0.45", linewidth=0.8, dashes=(6, 3), label=reference))
        expected = sorted(set(shown["seed"])) if seeds is None else list(seeds)
        notes = [f"Line and band: {band_label}."]
        if any(cell["status"].ne("ok").any() for cell in cells.values()):
            notes.append("Crosses: where a run diverged, which leaves it out of the mean.")
        _legend_above(figure, handles)
        _note_below(figure, " ".join(notes), *_missing(cells, looks, expected))
    return figure


def _check_one_experiment(runs: pd.DataFrame) -> None:
    experiments = sorted(runs["experiment"].unique())
    if len(experiments) > 1:
        raise InputError(f"runs of {', '.join(experiments)}: a figure shows one experiment; draw each by itself")


def _labels(fraction: float) -> str:
    return {1.0: "Full labels", 0.5: "Half of the labels"}.get(fraction, f"{100 * fraction:g} % of the labels")


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Axes in rows of two over the page's width, or one in a column."""
    columns = min(count, 2)
    rows = -(-count // 2)
    width = style.DOUBLE_COLUMN if columns == 2 else style.SINGLE_COLUMN
    figure = Figure(figsize=(width, 2.15 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def _curves(cell: pd.DataFrame, x: str, y: str, *, diverged: bool) -> pd.DataFrame:
    """(X, seeds) values of `y`, a column a seed; those that diverged (NaN beyond their end) or those that did not.

    The latter only where all of them have a value, so that a mean never changes its company along the curve.
    """
    ended = cell.groupby("seed")["status"].last().ne("ok")
    chosen = cell[cell["seed"].map(ended).astype(bool) == diverged]
    curves = chosen.pivot(index=x, columns="seed", values=y)
    return curves if diverged else curves.dropna()


def _band(groups: Iterable[pd.DataFrame]) -> tuple[Callable | None, str]:
    """The band that suits the figure's smallest group of seeds, and its name in the legend."""
    counts = [curves.shape[1] for curves in groups]
    sizes = [count for count in counts if count > 1]
    if not sizes:
        return None, "single seed"
    seeds = f"{min(sizes)} seeds" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)} seeds"
    seeds += ", without a band where there is one" if 1 in counts else ""
    if min(sizes) >= INTERVAL_SEEDS:
        return lambda values: t_interval(values)[1:], f"mean and 95 % t-interval over {seeds}"
    return lambda values: (values.min(axis=0), values.max(axis=0)), f"mean, minimum and maximum over {seeds}"


def _draw_mean(axes: Axes, curves: pd.DataFrame, look: style.MethodStyle, band: Callable | None, phase: float) -> None:
    x, values = curves.index.to_numpy(), curves.to_numpy().T  # (seeds, X)
    if band is not None and len(values) > 1:
        axes.fill_between(x, *band(values), color=look.color, alpha=0.16, linewidth=0)
    # Methods mark different rounds, or the markers of close curves would hide each other.
    spacing = max(1, len(x) // MARKERS)
    axes.plot(
        x, values.mean(axis=0), color=look.color, linestyle=look.linestyle, marker=look.marker,
        markevery=(int(phase * spacing), spacing), markeredgecolor="white", markeredgewidth=0.4, zorder=3,
    )  # fmt: skip


def _draw_diverged(axes: Axes, curves: pd.DataFrame, look: style.MethodStyle, *, level: float) -> None:
    """Each diverged run by itself, up to a cross at its last finite value; without one, at `level` of the axes."""
    cross = {"color": look.color, "marker": "x", "markersize": 5.5, "markeredgewidth": 1.4, "clip_on": False}
    for seed in curves:
        run = curves[seed].dropna()
        if run.empty:
            axes.plot(curves.index[0], level, transform=axes.get_xaxis_transform(), zorder=5, **cross)
            continue
        axes.plot(run.index, run, color=look.color, linewidth=0.6, alpha=0.7, zorder=2)
        axes.plot(run.index[-1], run.iloc[-1], zorder=5, **cross)


def _diverged_count(cell: pd.DataFrame) -> tuple[int, int]:
    """How many of a cell's runs diverged, and how many there are."""
    last = cell.groupby("seed")["status"].last()
    return int(last.ne("ok").sum()), len(last)


def _diverged_note(counts: Sequence[tuple[int, int]]) -> str:
    """` (1 of 5 diverged)`, with the panels' letters where they differ; nothing where none diverged."""
    if not any(diverged for diverged, _ in counts):
        return ""
    if len(set(counts)) == 1:
        return f" ({counts[0][0]} of {counts[0][1]} diverged)"
    notes = [f"{chr(97 + number)}: {d} of {of}" for number, (d, of) in enumerate(counts) if d]
    return f" ({', '.join(notes)} diverged)"


def _missing(cells: dict, looks: dict[str, style.MethodStyle], seeds: Sequence[int]) -> list[str]:
    """A sentence on the runs that are not there, if there are any; cells by (SNR, or None in stage I, and method)."""
    notes, count = [], 0
    for snr in dict.fromkeys(snr for snr, _ in cells):
        place = "" if snr is None else f", {snr:g} dB"
        absent = {
            method: sorted(set(seeds) - set(cell["seed"])) for (other, method), cell in cells.items() if other == snr
        }
        count += sum(map(len, absent.values()))
        if all(cells[snr, method].empty for method in absent):
            notes.append(f"all methods{place}")
            continue
        for method, without in absent.items():
            which = f", seed{'s' * (len(without) > 1)} {' '.join(map(str, without))}"
            if without or cells[snr, method].empty:
                notes.append(f"{looks[method].label}{place}{'' if cells[snr, method].empty else which}")
    how_many = f" {count} of {len(cells) * len(seeds)} runs" if count else ""
    return [f"Missing{how_many}: {'; '.join(notes)}."] if notes else []


def _handle(look: style.MethodStyle, label: str) -> Line2D:
    return Line2D(
        [], [], color=look.color, linestyle=look.linestyle, marker=look.marker, markeredgecolor="white",
        markeredgewidth=0.4, label=label,
    )  # fmt: skip


def _legend_above(figure: Figure, handles: list[Line2D]) -> None:
    """One legend for all panels, in as few rows as fit the figure's width, for which the figure grows."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
        box = legend.get_window_extent()
        if columns == 1 or box.width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)


def _note_below(figure: Figure, *paragraphs: str) -> None:
    width = int(22 * figure.get_figwidth())  # characters an inch at this size
    lines = [line for paragraph in paragraphs for line in textwrap.wrap(paragraph, width)]
    figure.supxlabel("\n".join(lines), fontsize=7.5, color="0.3", linespacing=1.2)
    figure.set_figheight(figure.get_figheight() + 0.13 * len(lines))


# Stage I


def pretraining_figure(steps: pd.DataFrame, *, methods: Sequence[str], seeds: Sequence[int] | None = None) -> Figure:
    """Loss and gradient norm of stage I against its step, a column a method with its own loss axis.

    Losses of different methods are different quantities, so none shares an axis; gradient norms do. Where a run has
    more steps than `CURVE_POINTS`, a point is the mean loss, and the largest gradient norm, of a block of steps.

    Args:
        steps: of `tables.collect_steps`, in any order of rows.
        methods: to show, in the order of the columns; those of which there is no run are left out.
        seeds: that each of `methods` should have, those that lack one being named; None names nothing.

    Raises:
        InputError: `steps` holds none of `methods`, or mixes several experiments.
    """
    _check_one_experiment(steps)
    shown = [method for method in methods if (steps["method"] == method).any()]
    if not shown:
        raise InputError(f"no pre-training run of {', '.join(methods)}; run stage I of one of them first")
    # A panel has one method, so its colour is enough; dashes and markers would hide the course of thousands of steps.
    looks = {m: replace(look, linestyle="-", marker="") for m, look in style.method_styles(list(methods)).items()}
    missing = _missing({(None, m): steps[steps["method"] == m] for m in methods}, looks, seeds) if seeds else []
    steps = steps[steps["method"].isin(shown)]
    block = -(-int(steps["step"].max()) // CURVE_POINTS)
    blocks = {(m, y): _blocks(steps[steps["method"] == m], y, block) for m in shown for y in ("loss", "gradient_norm")}
    survivors = {key: _curves(cell, "step", key[1], diverged=False) for key, cell in blocks.items()}
    band, band_label = _band(survivors.values())
    with style.applied():
        width = style.DOUBLE_COLUMN if len(shown) > 1 else style.SINGLE_COLUMN
        figure = Figure(figsize=(width, 3.1), layout="constrained")
        grid = figure.subplots(2, len(shown), sharex=True, squeeze=False)
        for column, method in enumerate(shown):
            for axes, name in zip(grid[:, column], ("loss", "gradient_norm"), strict=True):
                if column and name == "gradient_norm":
                    axes.sharey(grid[1, 0])
                    axes.tick_params(labelleft=False, which="both")
                if not survivors[method, name].empty:
                    _draw_mean(axes, survivors[method, name], looks[method], band, 0)
                diverged = _curves(blocks[method, name], "step", name, diverged=True)
                _draw_diverged(axes, diverged, looks[method], level=0.03)
            _scale_loss(grid[0, column], blocks[method, "loss"]["loss"])
            grid[1, column].set_yscale("log")
            note = _diverged_note([_diverged_count(blocks[method, "loss"])])
            grid[0, column].set_title(f"({chr(97 + column)}) {looks[method].label}{note}")
            grid[1, column].set_xlabel("Stage I step")
            grid[1, column].set_xlim(left=0)
        grid[0, 0].set_ylabel("Loss")
        grid[1, 0].set_ylabel("Gradient norm")
        blocked = [f"Each point: mean loss, and largest gradient norm, of {block} steps."] if block > 1 else []
        _note_below(figure, " ".join([f"Line and band: {band_label}.", *blocked]), *missing)
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
    with style.applied():
        height = (style.DOUBLE_COLUMN - 1.5) * bottom / right + 0.3  # class names and colour bar take 1.5 inches
        figure = Figure(figsize=(style.DOUBLE_COLUMN, height), layout="constrained")
        axes = figure.subplots()
        for y, name in zip(top, names, strict=True):
            for x, scene in zip(left, chosen[name], strict=False):
                rgb, depth = images[scene]
                axes.imshow(np.moveaxis(rgb, 0, -1), extent=(x, x + 1, y + 1, y))
                axes.imshow(depth[0], extent=(x + 1, x + 2, y + 1, y), cmap=DEPTH_COLORS, norm=norm)
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


def save(figure: Figure, paths: Iterable[str | Path]) -> None:
    """Write a figure in the formats that the paths end in (.pdf, .svg, .png), as the same bytes at every rebuild.

    Each path appears only when it is whole.
    """
    without_dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}
    for path in map(Path, paths):
        suffix = path.suffix.lstrip(".")
        if suffix not in without_dates:
            raise InputError(f"{path}: figures are written as {', '.join(without_dates)}; choose one of these endings")
        with style.applied(), written_atomically(path) as temporary:
            figure.savefig(temporary, format=suffix, metadata=without_dates[suffix])
