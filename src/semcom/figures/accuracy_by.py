"""Accuracy at the end of training against an axis: label fraction, SNR, a method's setting, or experiments.

In:  a table as `analysis.accuracy_by` and `analysis.comparison` make it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from semcom.analysis.accuracy_by import ACCURACY, CELL
from semcom.common.spelling import INFINITY, spelled_percent
from semcom.config.figure_axes import spelled
from semcom.figures import panels, style

AXES = {"label_fraction": "Labelled share of the training scenes (%)", "snr_db": "SNR (dB)"}
MOST_TICKS = 9  # at the values themselves; with more, matplotlib places them
MOST_NOTES = 12  # on missing runs
APART = 1.6  # points between lines at one value, so that no bar hides another


def accuracy_by_figure(
    table: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    axis_label: str | None = None,
    scale: str = "linear",
) -> Figure:
    """Accuracy against the table's axis, a panel a cell of the grid: mean and 95 % t-interval over the seeds.

    Runs that diverged are left out of means and counted in the legend; where all of a point did, a cross stands at the
    bottom edge. Below the panels stands what the bars are, and which runs are missing.

    Args:
        table: of `accuracy_by_table`, a row a point, in the order of panels and lines.
        labels: what lines are called, as in `style.method_styles`; a line that is no method goes by its own name.
        axis_label: None takes the axis's key.
        scale: "linear" or "log", of an axis of numbers; anything else is set out in the order of the table.
    """
    axis = table["axis"].iloc[0]
    table = table.assign(_x=table["x"].mul(100) if axis == "label_fraction" else table["x"])
    numeric = pd.api.types.is_numeric_dtype(table["_x"])
    values = sorted(table["_x"].unique()) if numeric else list(dict.fromkeys(table["_x"]))
    names = values
    if numeric:
        name = spelled_percent if axis == "label_fraction" else panels.on_axis
        names = [name(value) for value in sorted(table["x"].unique())]
    beyond = numeric and np.isinf(values[-1])
    if beyond:
        values[-1] = _beyond(values[:-1], scale)
        table["_x"] = table["_x"].replace(np.inf, values[-1])
    if not numeric:
        table["_x"] = table["_x"].map({value: place for place, value in enumerate(values)})
    lines = list(dict.fromkeys(table["line"]))
    apart = APART if table["accuracy_ci95_low"].notna().any() else 0
    looks = style.method_styles(lines, labels)
    fixed = [name for name in CELL if name != axis]
    cells = list(dict.fromkeys(table[fixed].itertuples(index=False, name=None)))
    where = [dict.fromkeys(CELL) | dict(zip(fixed, cell, strict=True)) for cell in cells]
    parts = [table[(table[fixed] == list(cell)).all(axis=1)] for cell in cells]
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(cells))
        for number, (axes, cell, part) in enumerate(zip(panel_axes, where, parts, strict=True)):
            axes.set_title(panels.cell_title(number, **cell, of=len(cells)))
            axes.set_xlabel(axis_label or AXES.get(axis, axis))
            for order, line in enumerate(lines):
                _draw(axes, part[part["line"] == line], looks[line], beside=apart * (order - (len(lines) - 1) / 2))
            if not numeric:
                axes.set_xticks(range(len(values)), names)
                axes.set_xlim(-0.5, len(values) - 0.5)
            else:
                axes.set_xscale(scale)
                if len(values) <= MOST_TICKS or beyond:  # of its own accord, matplotlib names no infinity
                    axes.set_xticks(values, names)
                    axes.set_xticks([], minor=True)
        panel_axes[0].set_ylabel(f"{table['split'].iloc[0].capitalize()} accuracy (%)")
        handles = []
        for line in lines:
            counts = [
                (int(own["diverged"].sum()), int(own["seeds"].sum()))
                for own in (part[part["line"] == line] for part in parts)
            ]
            handles.append(panels.legend_handle(looks[line], looks[line].label + panels.diverged_note(counts)))
        crosses = ""
        if ((table["seeds"] > 0) & (table["diverged"] == table["seeds"])).any():
            crosses = "Crosses: where every run diverged."
        infinite = f"{INFINITY}: no noise; its distance is not to scale." if beyond else ""  # of all axes, the SNR's
        note = panels.bar_note(table["seeds"] - table["diverged"])
        panels.legend_above(figure, handles)
        panels.note_below(figure, " ".join(filter(None, [note, crosses, infinite])), _missing(where, parts, looks))
    return figure


def _beyond(finite: Sequence[float], scale: str) -> float:
    """Where an axis has infinity: a step beyond the last finite value, as wide as the steps between them are on average."""
    first, last, steps = finite[0], finite[-1], len(finite) - 1
    if scale == "log":
        return last * (last / first) ** (1 / steps) if steps else 10 * last
    return last + (last - first) / steps if steps else last + 1


def _draw(axes: Axes, points: pd.DataFrame, look: style.MethodStyle, *, beside: float) -> None:
    """A line's points with their bars, some points of length beside its values; nothing where no run is there."""
    shift = ScaledTranslation(beside / 72, 0, axes.figure.dpi_scale_trans)
    cross = {"color": look.color, "linestyle": "", "marker": "x", "markersize": 5.5, "markeredgewidth": 1.4}
    here = points[points["accuracy_mean"].notna()]
    lost = points[(points["seeds"] > 0) & points["accuracy_mean"].isna()]
    artists = []
    if len(here):
        mean, low, high = (100 * here[name].to_numpy() for name in ACCURACY)
        bars = np.nan_to_num([mean - low, high - mean]) if np.isfinite(low).any() else None
        container = axes.errorbar(
            here["_x"], mean, yerr=bars, color=look.color, linestyle=look.linestyle, marker=look.marker,
            markersize=look.size, markeredgecolor="white", markeredgewidth=0.4, capsize=2, elinewidth=0.8, capthick=0.8, zorder=3,
        )  # fmt: skip
        artists += container.get_children()
    if len(lost):
        bottom = axes.get_xaxis_transform()
        artists += axes.plot(lost["_x"], np.full(len(lost), 0.03), transform=bottom, clip_on=False, zorder=5, **cross)
    for artist in artists:  # after the axes have taken its numbers into their limits
        artist.set_transform(artist.get_transform() + shift)


def _missing(where: Sequence[dict], parts: Sequence[pd.DataFrame], looks: Mapping[str, style.MethodStyle]) -> str:
    """A sentence on the runs that are not there, if there are any."""
    notes, count, expected = [], 0, 0
    for cell, part in zip(where, parts, strict=True):
        place = f", {panels.decibels(cell['snr_db'])}" if cell["snr_db"] is not None else ""
        place += f", {panels.labels(cell['label_fraction']).lower()}" if cell["label_fraction"] is not None else ""
        for row in part.itertuples():
            lacking = row.missing_seeds.split()
            count, expected = count + len(lacking), expected + len(lacking) + row.seeds
            at = {"label_fraction": panels.labels, "snr_db": panels.decibels}.get(
                row.axis, lambda x: f"{row.axis} {spelled(x)}"
            )
            which = f", seed{'s' * (len(lacking) > 1)} {' '.join(lacking)}" if row.seeds else ""
            notes += [f"{looks[row.line].label}, {at(row.x)}{place}{which}"] if lacking else []
    if not notes:
        return ""
    named = f": {'; '.join(notes)}." if len(notes) <= MOST_NOTES else "; `missing_seeds` of the table names them."
    return f"Missing {count} of {expected} runs{named}"
