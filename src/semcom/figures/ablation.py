"""An ablation as a figure: accuracy, gradient norm and its growth, a line a change."""

import itertools
import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from semcom.analysis.claims import EXPLODED
from semcom.figures import panels, style

FRACTIONS = tuple(itertools.product("sD^v", ("0.55", "white")))  # a marker and its filling a label fraction


def ablation_figure(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """Validation accuracy and, of trials with a stage I, its gradient norm, a line a change, in the order of the table.

    A trial that changes nothing begins a series, and stands apart from the one before.

    Args:
        table: of `trials.ablation_table`.
        labels: what trials are called; those that it lacks go by their own names.
    """
    begins = (table["changes"] == "").to_numpy()
    lines = np.arange(len(table)) + 0.5 * (np.cumsum(begins) - 1)
    called = dict.fromkeys(table["trial"]) | (labels or {})
    names = [
        (called[row.trial] or row.trial) + panels.diverged_note([(row.diverged, row.runs)])
        for row in table.itertuples()
    ]
    with_stage_one = "gradient_growth" in table
    with style.applied():
        figure = Figure(figsize=(style.DOUBLE_COLUMN, 0.75 + 0.3 * (lines[-1] + 1)), layout="constrained")
        ratios = (5, 3, 3) if with_stage_one else (1,)
        accuracy, *stage_one = np.atleast_1d(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios))
        _accuracy(accuracy, table, lines)
        accuracy.set_yticks(lines, names)
        accuracy.invert_yaxis()
        for name, line, changes in zip(accuracy.get_yticklabels(), lines, table["changes"], strict=True):
            if changes:  # right under the name of its trial, so that the two are seen to belong together
                name.set_verticalalignment("bottom")
                accuracy.annotate(
                    textwrap.shorten(changes, 60, placeholder=" ..."), (0, line), (-6, 0),
                    xycoords=("axes fraction", "data"), textcoords="offset points",
                    ha="right", va="top", fontsize=7, color="0.4", annotation_clip=False,
                )  # fmt: skip
        if with_stage_one:
            norms, growth = stage_one
            for name, marker, color in (("first", "o", "0.2"), ("last", "s", "#0072B2")):
                label = {"first": "first step", "last": "last steps"}[name]
                norms.plot(table[f"{name}_gradient_norm"], lines, marker, color=color, label=label)
            norms.set(xscale="log", xlabel="Gradient norm, stage I")
            growth.plot(table["gradient_growth"], lines, "o", color="0.2")
            growth.axvline(
                EXPLODED, color="#D55E00", linestyle="--", linewidth=1, zorder=1, label=f"explosion: {EXPLODED:g}"
            )
            growth.set(xscale="log", xlabel="Its growth")
            growth.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
            growth.xaxis.set_minor_locator(NullLocator())
        for axes in (accuracy, *stage_one):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1, handlelength=1.2)
        panels.note_below(figure, _note(table))
    return figure


def _note(table: pd.DataFrame) -> str:
    """What the points are means of."""
    note = "Accuracy: mean over seeds and label fractions"
    if table["score_ci95_low"].notna().any():
        note += ", with its 95 % t-interval over the seeds"
    note += ", a diverged run as 0." if table["diverged"].any() else "."
    if "gradient_growth" in table:
        note += (
            " Growth: the largest gradient norm after the first quarter of the steps, over the median of that quarter."
        )
    return note


def _accuracy(axes: Axes, table: pd.DataFrame, lines: np.ndarray) -> None:
    """The score of each trial with its interval, and behind it the accuracy at each label fraction, if there are several."""
    score, low, high = (100 * table[f"score{bound}"] for bound in ("", "_ci95_low", "_ci95_high"))
    spread = [(score - low).fillna(0), (high - score).fillna(0)]
    axes.errorbar(score, lines, xerr=spread, fmt="o", color="0.2", elinewidth=1, capsize=2, label="mean")
    columns = table.filter(like="accuracy_labels")
    if columns.shape[1] > 1:
        for column, (marker, filling) in zip(columns, itertools.cycle(FRACTIONS), strict=False):
            label = panels.labels(float(column.removeprefix("accuracy_labels"))).lower()
            axes.plot(
                100 * table[column], lines, marker, color="0.55", markerfacecolor=filling, markersize=3.5, label=label
            )
    axes.set(xlabel="Validation accuracy (%)")
