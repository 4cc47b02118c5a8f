"""Figures from the results of runs: accuracy against communication round, an ablation, and a sheet of scenes.

In:  `records.collect_rounds`, `trials.ablation_table`, `scenes.h5`.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom.figures import panels, style

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
    panels.check_one_experiment(rounds)
    shown = rounds[(rounds["label_fraction"] == label_fraction) & (rounds["split"] == split)]
    cells = {
        (snr, method): shown[(shown["snr_db"] == snr) & (shown["method"] == method)].sort_values(["seed", "round"])
        for snr in snr_db
        for method in methods
    }
    survivors = {key: panels.by_seed(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, band_label = panels.band(survivors.values())
    looks = style.method_styles(list(methods))
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(snr_db))
        for number, (axes, snr) in enumerate(zip(panel_axes, snr_db, strict=True)):
            letter = f"({chr(97 + number)}) " if len(snr_db) > 1 else ""
            axes.set_title(f"{letter}{panels.labels(label_fraction)}, SNR = {snr:g} dB")
            axes.set_xlabel("Communication round")
            axes.xaxis.get_major_locator().set_params(integer=True)
            for order, method in enumerate(methods):
                diverged = panels.by_seed(cells[snr, method], "round", "accuracy", diverged=True)
                panels.draw_diverged(axes, 100 * diverged, looks[method], level=0.03 + 0.07 * order)
                mean = survivors[snr, method]
                if not mean.empty:
                    panels.draw_mean(axes, 100 * mean, looks[method], band, order / len(methods))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, color="0.45", linewidth=0.8, dashes=(6, 3), zorder=1)
            axes.set_xlim(0, 1.02 * max(shown["round"].max(), 1) if len(shown) else 1)
        panel_axes[0].set_ylabel(f"{split.capitalize()} accuracy (%)")

        handles = []
        for method in methods:
            counts = [panels.diverged_count(cells[snr, method]) for snr in snr_db]
            handles.append(panels.legend_handle(looks[method], looks[method].label + panels.diverged_note(counts)))
        if majority_accuracy is not None:
            reference = f"Majority class ({100 * majority_accuracy:.1f} %)"
            handles.append(Line2D([], [], color="0.45", linewidth=0.8, dashes=(6, 3), label=reference))
        expected = sorted(set(shown["seed"])) if seeds is None else list(seeds)
        notes = [f"Line and band: {band_label}."]
        if any(cell["status"].ne("ok").any() for cell in cells.values()):
            notes.append("Crosses: where a run diverged, which leaves it out of the mean.")
        panels.legend_above(figure, handles)
        placed = {(f", {snr:g} dB", method): cell for (snr, method), cell in cells.items()}
        panels.note_below(figure, " ".join(notes), *panels.missing_runs(placed, looks, expected))
    return figure


# Ablation


# Scenes


# Files
