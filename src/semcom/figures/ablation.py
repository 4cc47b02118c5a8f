"""An ablation as a figure: accuracy and gradient norm, a line a change."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from semcom.figures import panels, style


def ablation_figure(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """Validation accuracy and the gradient norm of stage I, a line a change, in the order of the table.

    Args:
        table: of `trials.ablation_table`, of trials that have a stage I.
        labels: what trials are called; those that it lacks go by their own names.
    """
    lines = np.arange(len(table))
    called = dict.fromkeys(table["trial"]) | (labels or {})
    names = [
        f"{called[row.trial] or row.trial}\n{textwrap.shorten(row.changes, 60, placeholder=' ...')}"
        for row in table.itertuples()
    ]
    with style.applied():
        figure = Figure(figsize=(style.DOUBLE_COLUMN, 0.5 + 0.36 * len(table)), layout="constrained")
        accuracy, norms = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        score, low, high = (100 * table[f"score{bound}"] for bound in ("", "_ci95_low", "_ci95_high"))
        mean = "Mean, 95 % t-interval" if low.notna().any() else "Mean"
        spread = [(score - low).fillna(0), (high - score).fillna(0)]
        accuracy.errorbar(score, lines, xerr=spread, fmt="o", color="0.2", capsize=2, label=mean)
        for column, marker in zip(table.filter(like="accuracy_labels"), "<>^v", strict=False):
            label = panels.labels(float(column.removeprefix("accuracy_labels")))
            accuracy.plot(100 * table[column], lines, marker, color="0.55", markersize=3, label=label)
        accuracy.set(yticks=lines, yticklabels=names, xlabel="Validation accuracy (%)")
        accuracy.invert_yaxis()
        for name, marker in (("first", "o"), ("last", "s")):
            norms.plot(table[f"{name}_gradient_norm"], lines, marker, label=name)
        norms.set(xscale="log", xlabel="Gradient norm of stage I")
        for axes in (accuracy, norms):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1, handlelength=1.2)
    return figure
