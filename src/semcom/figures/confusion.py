"""Confusion matrices, a panel a method.

In:  `analysis.confusion.confusion_table`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from semcom.figures import panels, style

COLUMNS = 2
SMALLEST_TOLD = 0.05  # shares below are told by their colour alone


def confusion_figure(
    table: pd.DataFrame,
    *,
    methods: Sequence[str],
    snr_db: float,
    label_fraction: float,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Share of each true class's scenes, a row, that are taken for each class, in %: mean over seeds and channel draws.

    Args:
        methods: to show, a panel each.
        snr_db, label_fraction: the cell to show.
        labels: what methods are called, as in `style.method_styles`.
    """
    shown = table[(table["snr_db"] == snr_db) & (table["label_fraction"] == label_fraction)]
    looks = style.method_styles(methods, labels)
    classes = list(dict.fromkeys(shown["class"]))
    columns = min(COLUMNS, len(methods))
    rows = -(-len(methods) // columns)
    width = style.DOUBLE_COLUMN if columns > 1 else style.SINGLE_COLUMN
    side = (width - 0.9) / columns
    with style.applied():
        figure = Figure(figsize=(width, rows * (side + 0.25) + 0.9), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[len(methods) :]:
            axes.remove()
        for number, (axes, method) in enumerate(zip(grid, methods, strict=False)):
            axes.grid(visible=False)
            part = shown[shown["method"] == method]
            letter = f"({chr(97 + number)}) " if len(methods) > 1 else ""
            if part.empty:
                axes.set_title(f"{letter}{looks[method].label}: no run that did not diverge")
                continue
            accuracy = _matrix(part, classes)
            axes.set_title(f"{letter}{looks[method].label}")
            axes.imshow(accuracy, cmap="Blues", vmin=0, vmax=1)
            for (i, j), share in np.ndenumerate(accuracy):
                if share >= SMALLEST_TOLD:
                    color = "white" if share > 0.55 else "0.15"
                    axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5, color=color)
            axes.set_xticks(range(len(classes)), [_spaced(name) for name in classes], rotation=90)
            axes.set_yticks(range(len(classes)), [_spaced(name) for name in classes])
            axes.tick_params(length=0, labelbottom=True)
            axes.set_xlabel("Taken for")
            if number % columns == 0:
                axes.set_ylabel("Class")
        split = shown["split"].iloc[0] if len(shown) else "test"
        seeds = sorted(set(shown["seeds"]))
        many = " to ".join(str(count) for count in dict.fromkeys([seeds[0], seeds[-1]])) if seeds else "no"
        panels.note_below(
            figure,
            f"Share of a class's {split} scenes in %, from {100 * SMALLEST_TOLD:.0f} % up: mean over "
            f"{many} seed{'s' * (seeds != [1])} and the channel draws, at the end of training; "
            f"{panels.labels(label_fraction).lower()}, SNR = {panels.decibels(snr_db)}.",
        )
    return figure


def _matrix(part: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    wide = part.pivot(index="class", columns="taken_for", values="share")
    return wide.loc[list(classes), list(classes)].to_numpy()


def _spaced(name: str) -> str:
    return name.replace("_", " ")
