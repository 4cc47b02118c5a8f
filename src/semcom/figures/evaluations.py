"""Trained links under other conditions: accuracy against tested SNR, trained by tested SNR, condition by condition, and
against the channel uses of an inference.

In:  `analysis.evaluations.collect_evaluations`, of one label fraction and one split.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from semcom.analysis.accuracy_limit import entropy, largest_accuracy
from semcom.analysis.statistics import t_interval
from semcom.figures import panels, style
from semcom.link.capacity import bits_per_use, uses_for

REFERENCE = {"color": "0.45", "linewidth": 0.8, "dashes": (6, 3), "zorder": 1}
MOST_TICKS = 9  # at the SNRs themselves; with more, matplotlib places them
APART = 0.16  # of a row, between methods at one condition
LIMIT = {"color": "0.3", "linewidth": 0.9, "zorder": 2}
BEYOND = "0.92"  # what no system can reach
WHOLE_LABEL = {"color": "0.3", "linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 2}
LIMIT_POINTS = 300  # of the curve


def curves_figure(
    table: pd.DataFrame,
    *,
    methods: Sequence[str],
    conditions: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    majority_accuracy: float | None = None,
) -> Figure:
    """Accuracy against the SNR at test, a panel a condition and trained SNR: mean and band over the seeds.

    Args:
        methods: to show, in the order of the legend.
        conditions: what each is called, in the order of the panels.
        labels: what methods are called, as in `style.method_styles`.
        majority_accuracy: share of the split's most frequent class, for a reference line.
    """
    trained, tested = sorted(set(table["snr_db"])), sorted(set(table["tested_snr_db"]))
    places = [(condition, snr) for condition in conditions for snr in trained]
    cells = {
        (place, method): table[
            (table["condition"] == place[0]) & (table["snr_db"] == place[1]) & (table["method"] == method)
        ]
        for place in places
        for method in methods
    }
    survivors = {key: panels.by_seed(cell, "tested_snr_db", "accuracy", diverged=False) for key, cell in cells.items()}
    band, band_note = panels.band(survivors.values())
    looks = style.method_styles(methods, labels)
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(places))
        for number, (axes, place) in enumerate(zip(panel_axes, places, strict=True)):
            condition, snr = place
            title = [conditions[condition]] if len(conditions) > 1 else []
            title += [f"trained at {panels.decibels(snr)}"] if len(trained) > 1 or not title else []
            letter = f"({chr(97 + number)}) " if len(places) > 1 else ""
            axes.set_title(letter + ", ".join(title))
            axes.set_xlabel("SNR at test (dB)")
            if len(tested) <= MOST_TICKS:
                axes.set_xticks(tested, [f"{at:g}".replace("-", panels.MINUS) for at in tested])
            for order, (method, look) in enumerate(looks.items()):
                mean = survivors[place, method]
                if not mean.empty:
                    panels.draw_mean(axes, 100 * mean, look, band, order=order, of=len(looks))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, **REFERENCE)
            if len(conditions) > 1 and len(trained) == 1:
                axes.axvline(snr, color="0.8", linewidth=0.8, zorder=0)
        panel_axes[0].set_ylabel(f"{_split(table)} accuracy (%)")
        handles = []
        for method, look in looks.items():
            counts = [panels.diverged_count(cells[place, method]) for place in places]
            handles.append(panels.legend_handle(look, look.label + panels.diverged_note(counts)))
        panels.legend_above(figure, handles + _majority_handle(majority_accuracy))
        at = f"Trained at {panels.decibels(trained[0])}." if len(trained) == 1 and len(conditions) > 1 else ""
        panels.note_below(figure, " ".join(filter(None, [at, band_note])))
    return figure


def map_figure(
    table: pd.DataFrame,
    *,
    methods: Sequence[str],
    over_range: Mapping[str, str],
    spans: Mapping[str, Sequence[float]],
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Accuracy by the SNR a system was trained at, a row, and that at test, a column: a panel a method.

    The lowest row, set apart, is of the method that is trained over a range of SNRs. Where a system that was trained at one
    SNR beats it with every seed, the cell has a frame.

    Args:
        methods: to show, each trained at the SNRs of the grid.
        over_range: of each of them the method that is trained over the range, if there is one.
        spans: of each method that is trained over a range, its ends in dB.
        labels: what methods are called, as in `style.method_styles`.
    """
    tested = sorted(set(table["tested_snr_db"]))
    looks = style.method_styles(methods, labels)
    top = table["accuracy"].max()
    columns = min(2, len(methods))
    rows = -(-len(methods) // columns)
    trained = sorted(set(table["snr_db"]))
    width = style.DOUBLE_COLUMN if columns > 1 else style.SINGLE_COLUMN
    with style.applied():
        figure = Figure(figsize=(width, rows * (0.75 + 0.24 * (len(trained) + 1))), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(methods) :]:
            axes.remove()
        framed = False
        for number, (axes, method) in enumerate(zip(grid, methods, strict=False)):
            axes.grid(visible=False)
            axes.set_title((f"({chr(97 + number)}) " if len(methods) > 1 else "") + looks[method].label)
            own = _by_seed(table[table["method"] == method])
            names = [panels.decibels(snr) for snr in trained]
            values = [[_mean(own, snr, at) for at in tested] for snr in trained]
            ranged = over_range.get(method)
            if ranged is not None:
                wide = _by_seed(table[(table["method"] == ranged) & (table["snr_db"] == trained[0])])
                low, high = spans[ranged]
                names.append(f"{panels.on_axis(low)} to {panels.decibels(high)}")
                values.append([_mean(wide, trained[0], at) for at in tested])
            shares = np.array(values)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=top, aspect="auto")
            if ranged is not None:
                axes.axhline(len(trained) - 0.5, color="white", linewidth=3, zorder=0.5)
            for (i, j), share in np.ndenumerate(shares):
                if np.isfinite(share):
                    color = "white" if share > 0.6 * top else "0.15"
                    axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5, color=color)
                if ranged is not None and i < len(trained) and _beats(own, wide, trained[i], trained[0], tested[j]):
                    framed = True
                    axes.add_patch(
                        Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, edgecolor="#D55E00", linewidth=1.1)
                    )
            axes.set_xticks(range(len(tested)), [f"{at:g}".replace("-", panels.MINUS) for at in tested])
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(length=0)
            axes.set_xlabel("SNR at test (dB)")
            if number % columns == 0:
                axes.set_ylabel("Trained at")
        seeds = table["seed"].nunique()
        frames = ""
        if framed:
            frames = (
                "Framed: trained at one SNR, a system beats that trained over the range with every seed. Of two that are "
                f"equally good, one does so in one case of {2**seeds}."
            )
        drawn = f"{_split(table)} accuracy in %, mean over {_count(seeds)} and the channel draws."
        panels.note_below(figure, drawn, frames)
    return figure


def conditions_figure(
    table: pd.DataFrame,
    *,
    methods: Sequence[str],
    conditions: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    majority_accuracy: float | None = None,
) -> Figure:
    """Accuracy of each method, a row a condition and a panel an SNR at test: mean and interval, or range, over the seeds.

    What goes along a channel trace has no one SNR at test, and is in every panel.

    Args:
        methods, conditions, labels, majority_accuracy: as in `curves_figure`.
    """
    tested = sorted(set(table["tested_snr_db"].dropna())) or [np.nan]
    looks = style.method_styles(methods, labels)
    with style.applied():
        width = style.DOUBLE_COLUMN if len(tested) > 1 else style.SINGLE_COLUMN
        height = 0.9 + len(conditions) * max(0.3, 0.09 * len(methods))
        columns = min(2, len(tested))
        rows = -(-len(tested) // columns)
        figure = Figure(figsize=(width, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for axes in grid[len(tested) :]:
            axes.remove()
        for number, (axes, at) in enumerate(zip(grid, tested, strict=False)):
            if len(tested) > 1:
                axes.set_title(f"({chr(97 + number)}) {panels.decibels(at)} at test")
            for order, (method, look) in enumerate(looks.items()):
                beside = (order - (len(looks) - 1) / 2) * min(APART, 0.8 / len(looks))
                for row, condition in enumerate(conditions):
                    chosen = (table["method"] == method) & (table["condition"] == condition)
                    here = (table["tested_snr_db"] == at) | table["tested_snr_db"].isna()
                    _point(axes, table[chosen & here], row + beside, look)
            if majority_accuracy is not None:
                axes.axvline(100 * majority_accuracy, **REFERENCE)
            axes.set_yticks(range(len(conditions)), conditions.values())
            axes.set_ylim(len(conditions) - 0.5, -0.5)
            if number + columns >= len(tested):  # the lowest of its column
                axes.tick_params(labelbottom=True)
                axes.set_xlabel(f"{_split(table)} accuracy (%)")
        handles = [panels.legend_handle(look, look.label) for look in looks.values()]
        for handle in handles:
            handle.set_linestyle("")
        panels.legend_above(figure, handles + _majority_handle(majority_accuracy))
        panels.note_below(figure, _points_note(table))
    return figure


def _points_note(table: pd.DataFrame) -> str:
    """What a point and its bar are."""
    seeds, trained = table["seed"].nunique(), sorted(set(table["snr_db"]))
    over = f"links trained at {' and '.join(map(panels.decibels, trained))}, " if len(trained) > 1 else ""
    if seeds == 1:
        return f"{'Mean over ' + over.rstrip(', ') + '; a' if over else 'A'} single seed."
    bar = "95 % t-interval" if seeds >= panels.INTERVAL_SEEDS else "range"
    return f"Mean over {over}{_count(seeds)} and the channel draws; bar: {bar} over the seeds."


def uses_figure(
    table: pd.DataFrame,
    *,
    lines: Mapping[str, str],
    shares: Sequence[float],
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Accuracy against the channel uses of an inference, a panel an SNR at test: mean and band over the seeds.

    Each panel has the largest accuracy that so many uses can carry at its SNR (`analysis.accuracy_limit`), and the uses in
    which the capacity carries the whole label.

    Args:
        lines: of each method to show, the line that it is a point of; at each number of uses a line has one method.
        shares: of the classes among the split's scenes.
        labels: what lines are called, as in `style.method_styles`.
    """
    table = table[table["method"].isin(list(lines))].assign(line=table["method"].map(lines))
    tested, uses = sorted(set(table["tested_snr_db"])), sorted(set(table["channel_uses"].dropna()))
    looks = style.method_styles(list(dict.fromkeys(lines.values())), labels)
    cells = {
        (at, line): table[(table["tested_snr_db"] == at) & (table["line"] == line)] for at in tested for line in looks
    }
    curves = {
        key: cell[cell["status"] == "ok"].pivot(index="channel_uses", columns="seed", values="accuracy").dropna()
        for key, cell in cells.items()
    }
    band, band_note = panels.band(curves.values())
    span = np.geomspace(1, uses[-1], LIMIT_POINTS)
    label_bits = entropy(shares)
    columns = min(4, len(tested))
    rows = -(-len(tested) // columns)
    with style.applied():
        width = style.DOUBLE_COLUMN if columns > 1 else style.SINGLE_COLUMN
        figure = Figure(figsize=(width, 1.95 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.ravel()[len(tested) :]:
            axes.remove()
        for number, (axes, at) in enumerate(zip(grid.ravel(), tested, strict=False)):
            axes.set_title((f"({chr(97 + number)}) " if len(tested) > 1 else "") + panels.decibels(at))
            limit = [100 * largest_accuracy(n * bits_per_use(at), shares) for n in span]
            axes.fill_between(span, limit, 100, color=BEYOND, linewidth=0, zorder=0)
            axes.plot(span, limit, **LIMIT)
            if span[0] <= uses_for(label_bits, at) <= span[-1]:
                axes.axvline(uses_for(label_bits, at), **WHOLE_LABEL)
            for order, (line, look) in enumerate(looks.items()):
                if not curves[at, line].empty:
                    panels.draw_mean(axes, 100 * curves[at, line], look, band, order=order, of=len(looks))
            axes.axhline(100 * max(shares), **REFERENCE)
            axes.set_xscale("log", base=2)
            if len(uses) <= MOST_TICKS:
                axes.set_xticks(uses, [panels.on_axis(n) for n in uses])
            axes.set_xticks([], minor=True)
            axes.set_xlim(span[0], span[-1] * 1.15)
            axes.set_ylim(0, 100)
            if number + columns >= len(tested):  # the lowest of its column
                axes.tick_params(labelbottom=True)
                axes.set_xlabel("Channel uses")
        for axes in grid[:, 0]:
            axes.set_ylabel(f"{_split(table)} accuracy (%)")
        handles = []
        for line, look in looks.items():
            counts = [(int(cells[at, line]["status"].ne("ok").sum()), len(cells[at, line])) for at in tested]
            handles.append(panels.legend_handle(look, look.label + panels.diverged_note(counts)))
        for drawn, label in ((LIMIT, "Limit of the channel"), (WHOLE_LABEL, "Capacity = entropy of the label")):
            handles.append(
                Line2D([], [], label=label, **{key: value for key, value in drawn.items() if key != "zorder"})
            )
        panels.legend_above(figure, handles + _majority_handle(max(shares)))
        panels.note_below(
            figure,
            f"Channel uses of one inference, all devices together. {band_note} Grey: no system can be there, as the channel "
            f"carries too few of the label's {label_bits:.2f} bits.",
        )
    return figure


def _point(axes: Axes, cell: pd.DataFrame, y: float, look: style.MethodStyle) -> None:
    """Mean and interval over the seeds that did not diverge, and over the SNRs trained at; nothing where none is there."""
    values = cell.dropna(subset="accuracy").groupby("seed")["accuracy"].mean().to_numpy()
    if not len(values):
        return
    mean, low, high = (100 * float(bound) for bound in t_interval(values))
    bars = [[mean - low], [high - mean]] if len(values) >= panels.INTERVAL_SEEDS else None
    if bars is None and len(values) > 1:
        bars = [[mean - 100 * values.min()], [100 * values.max() - mean]]
    axes.errorbar(
        mean, y, xerr=bars, color=look.color, linestyle="", marker=look.marker, markersize=look.size,
        markeredgecolor="white", markeredgewidth=0.4, capsize=1.5, elinewidth=0.8, capthick=0.8, zorder=3,
    )  # fmt: skip


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by (trained SNR, tested SNR), a column a seed."""
    return rows.pivot_table(index=["snr_db", "tested_snr_db"], columns="seed", values="accuracy")


def _mean(by_seed: pd.DataFrame, trained: float, tested: float) -> float:
    return float(by_seed.loc[(trained, tested)].mean()) if (trained, tested) in by_seed.index else np.nan


def _beats(own: pd.DataFrame, ranged: pd.DataFrame, trained: float, ranged_at: float, tested: float) -> bool:
    if (trained, tested) not in own.index or (ranged_at, tested) not in ranged.index:
        return False
    gap = (own.loc[(trained, tested)] - ranged.loc[(ranged_at, tested)]).dropna()
    return len(gap) > 0 and bool((gap > 0).all())


def _majority_handle(majority_accuracy: float | None) -> list[Line2D]:
    if majority_accuracy is None:
        return []
    look = {key: value for key, value in REFERENCE.items() if key != "zorder"}
    return [Line2D([], [], label=f"Majority class ({100 * majority_accuracy:.1f} %)", **look)]


def _split(table: pd.DataFrame) -> str:
    return str(table["split"].iloc[0]).capitalize()


def _count(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}"
