"""Accuracy against communication round: figures 4 and 5, and experiments beside one another.

In:  `records.collect_rounds`.
"""

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom.figures import panels, style


def accuracy_figure(
    rounds: pd.DataFrame,
    *,
    methods: Sequence[str],
    snr_db: Sequence[float],
    label_fraction: float,
    seeds: Sequence[int] | None = None,
    split: str = "test",
    majority_accuracy: float | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Accuracy against communication round, a panel an SNR; see `curves_figure` for what a panel shows.

    Args:
        rounds: of `records.collect_rounds`, in any order of rows.
        methods: to show, in the order of the legend.
        snr_db: to show, a panel each.
        label_fraction: to show.
        seeds: that each cell should have, those that lack one being named; None takes all that occur in `rounds`.
        majority_accuracy: share of the split's most frequent class, for a reference line.
        labels: what methods are called, as in `style.method_styles`.

    Raises:
        InputError: `rounds` mixes several experiments.
    """
    panels.check_one_experiment(rounds)
    shown = rounds[(rounds["label_fraction"] == label_fraction) & (rounds["split"] == split)]
    cells = {
        (snr, method): shown[(shown["snr_db"] == snr) & (shown["method"] == method)]
        for snr in snr_db
        for method in methods
    }
    expected = sorted(set(shown["seed"])) if seeds is None else list(seeds)
    return curves_figure(
        cells,
        titles={
            snr: panels.cell_title(number, label_fraction, snr, of=len(snr_db)) for number, snr in enumerate(snr_db)
        },
        places={snr: f", {panels.decibels(snr)}" for snr in snr_db},
        looks=style.method_styles(methods, labels),
        seeds=dict.fromkeys(methods, expected),
        split=split,
        majority_accuracy=majority_accuracy,
    )


def curves_figure(
    cells: Mapping[tuple[Hashable, Hashable], pd.DataFrame],
    *,
    titles: Mapping[Hashable, str],
    places: Mapping[Hashable, str],
    looks: Mapping[Hashable, style.MethodStyle],
    seeds: Mapping[Hashable, Sequence[int]],
    split: str,
    majority_accuracy: float | None = None,
    equally_long: bool = True,
) -> Figure:
    """Accuracy against communication round, a panel a place: mean and band over the seeds that did not diverge.

    A diverged seed's own curve is thin and ends in a cross (near the bottom edge where it has no accuracy at all), and
    the legend counts it. The line below the panels says what the band is, and names the runs that are not there.

    Args:
        cells: evaluations by panel and line, in any order of rows.
        titles: of the panels, in their order.
        places: of the panels, as the note on missing runs names them after a line, such as ", 10 dB".
        looks: of the lines, in the order of the legend.
        seeds: that each line should have in every panel.
        equally_long: whether all panels show the rounds of the longest run, or each those of its own.
    """
    cells = {key: cell.sort_values(["seed", "round"]) for key, cell in cells.items()}
    survivors = {key: panels.by_seed(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, band_note = panels.band(survivors.values())
    ends = {key: cell["round"].max() for key, cell in cells.items() if len(cell)}
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(titles))
        for axes, (panel, title) in zip(panel_axes, titles.items(), strict=True):
            axes.set_title(title)
            axes.set_xlabel("Communication round")
            axes.xaxis.get_major_locator().set_params(integer=True)
            for order, (line, look) in enumerate(looks.items()):
                diverged = panels.by_seed(cells[panel, line], "round", "accuracy", diverged=True)
                panels.draw_diverged(axes, 100 * diverged, look, level=0.03 + 0.07 * order)
                mean = survivors[panel, line]
                if not mean.empty:
                    panels.draw_mean(axes, 100 * mean, look, band, order=order, of=len(looks))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, color="0.45", linewidth=0.8, dashes=(6, 3), zorder=1)
            last = max((end for (at, _), end in ends.items() if at == panel or equally_long), default=1)
            axes.set_xlim(0, 1.02 * max(last, 1))
        panel_axes[0].set_ylabel(f"{split.capitalize()} accuracy (%)")

        handles = []
        for line, look in looks.items():
            counts = [panels.diverged_count(cells[panel, line]) for panel in titles]
            handles.append(panels.legend_handle(look, look.label + panels.diverged_note(counts)))
        if majority_accuracy is not None:
            reference = f"Majority class ({100 * majority_accuracy:.1f} %)"
            handles.append(Line2D([], [], color="0.45", linewidth=0.8, dashes=(6, 3), label=reference))
        crosses = ""
        if any(cell["status"].ne("ok").any() for cell in cells.values()):
            crosses = "Crosses: where a run diverged, which leaves it out of the mean."
        panels.legend_above(figure, handles)
        placed = {(places[panel], line): cell for (panel, line), cell in cells.items()}
        panels.note_below(
            figure, " ".join(filter(None, [band_note, crosses])), *panels.missing_runs(placed, looks, seeds)
        )
    return figure
