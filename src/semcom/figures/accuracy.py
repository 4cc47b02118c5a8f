"""Accuracy against communication round, or what was spent up to it: figures 4 and 5, and experiments side by side.

In:  `records.collect_rounds`; against costs with what `costs.with_costs` adds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom.common.spelling import spelled_number
from semcom.figures import panels, style


@dataclass(frozen=True)
class Horizontal:
    """A horizontal axis: the column that it shows, which grows along a run, and its name with the unit."""

    column: str
    label: str
    logarithmic: bool = False  # without a run's beginning, where that is at 0


ROUNDS = Horizontal("round", "Communication round")
COSTS = {
    "channel_uses": "Channel uses, uplink and downlink",
    "bits": "Bits, uplink and downlink",
    "airtime": "Airtime (s), uplink and downlink",
}


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
    cost: str | None = None,
) -> Figure:
    """Accuracy against communication round or a cost, a panel an SNR; see `curves_figure` for what a panel shows.

    Against a cost, a method whose stage I has a price is drawn twice: with stage I free, as the paper has it for devices
    whose scenes were recorded together, and priced, where the curve begins at that price.

    Args:
        rounds: of `records.collect_rounds`, in any order of rows.
        methods: to show, in the order of the legend.
        snr_db: to show, a panel each.
        label_fraction: to show.
        seeds: that each cell should have, those that lack one being named; None takes all that occur in `rounds`.
        majority_accuracy: share of the split's most frequent class, for a reference line.
        labels: what methods are called, as in `style.method_styles`.
        cost: one of `COSTS`; None shows rounds.

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
    looks = style.method_styles(methods, labels)
    x, remark = ROUNDS, ""
    if cost is not None:
        cells = {key: cell.assign(cost=cell[cost]) for key, cell in cells.items()}
        price = f"stage_one_{cost}"
        prices = {method: shown.loc[shown["method"] == method, price].max() for method in methods}
        prices = {method: most for method, most in prices.items() if most > 0}
        for method, snr in [(method, snr) for method in prices for snr in snr_db]:
            looks[method, price] = replace(
                looks[method], label=f"{looks[method].label}, stage I priced", filled=not looks[method].filled
            )
            cell = cells[snr, method]
            cells[snr, (method, price)] = cell.assign(cost=cell[cost] + cell[price]).dropna(subset=price)
        x = Horizontal("cost", COSTS[cost], logarithmic=bool(prices))
        remark = _remark_on_prices({looks[method].label: most for method, most in prices.items()}, cost)
    return curves_figure(
        cells,
        titles={
            snr: panels.cell_title(number, label_fraction, snr, of=len(snr_db)) for number, snr in enumerate(snr_db)
        },
        places={snr: f", {panels.decibels(snr)}" for snr in snr_db},
        looks=looks,
        seeds=dict.fromkeys(methods, expected),
        split=split,
        majority_accuracy=majority_accuracy,
        x=x,
        remark=remark,
    )


def _remark_on_prices(prices: Mapping[str, float], cost: str) -> str:
    """A sentence on what stage I costs, by the methods' names."""

    def shown(price: float) -> str:
        if cost == "airtime":
            return f"{spelled_number(float(f'{price:.3g}'))} s"
        return (f"{price / 1e6:,.1f} million" if price >= 1e5 else f"{price:,.0f}") + f" {cost.replace('_', ' ')}"

    if not prices:
        return "Stage I of these methods exchanges nothing between devices."
    named = ", ".join(f"{shown(price)} ({label})" for label, price in prices.items())
    return f"Stage I is free for scenes recorded together. Priced, for devices that are apart: {named}, where the curve begins."


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
    x: Horizontal = ROUNDS,
    remark: str = "",
) -> Figure:
    """Accuracy against communication round, or what grows with it, a panel a place.

    Mean and band are over the seeds that did not diverge, round by round; a point lies at the mean of what these seeds
    have spent by then. A diverged seed's own curve is thin and ends in a cross (near the bottom edge where it has no
    accuracy at all), and the legend counts it. The line below the panels says what the band is, and names the runs that
    are not there.

    Args:
        cells: evaluations by panel and line, in any order of rows.
        titles: of the panels, in their order.
        places: of the panels, as the note on missing runs names them after a line, such as ", 10 dB".
        looks: of the lines, in the order of the legend.
        seeds: that each line should have in every panel; a line that is not named here is another view of one that is,
            and lacks no runs of its own.
        equally_long: whether all panels show the rounds of the longest run, or each those of its own.
        remark: a sentence for the note.
    """
    cells = {key: cell.sort_values(["seed", "round"]) for key, cell in cells.items()}
    survivors = {key: _curves(cell, x, diverged=False) for key, cell in cells.items()}
    band, band_note = panels.band(survivors.values())
    ends = {key: cell[x.column].max() for key, cell in cells.items() if len(cell)}
    first = min((cell.loc[cell[x.column] > 0, x.column].min() for cell in cells.values() if len(cell)), default=1)
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(titles))
        for axes, (panel, title) in zip(panel_axes, titles.items(), strict=True):
            axes.set_title(title)
            axes.set_xlabel(x.label)
            last = max((end for (at, _), end in ends.items() if at == panel or equally_long), default=1)
            if x.logarithmic:
                panels.logarithmic_from(axes, 0.8 * first, 1.25 * last)
            else:
                axes.set_xlim(0, 1.02 * max(last, 1))
            if x is ROUNDS:
                axes.xaxis.get_major_locator().set_params(integer=True)
            for order, (line, look) in enumerate(looks.items()):
                for _, run in cells[panel, line].groupby("seed"):  # each against what it has spent itself
                    diverged = _curves(run, x, diverged=True)
                    panels.draw_diverged(axes, 100 * diverged, look, level=0.03 + 0.07 * order)
                mean = survivors[panel, line]
                if not mean.empty:
                    panels.draw_mean(axes, 100 * mean, look, band, order=order, of=len(looks))
            if majority_accuracy is not None:
                axes.axhline(100 * majority_accuracy, color="0.45", linewidth=0.8, dashes=(6, 3), zorder=1)
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
        placed = {(places[panel], line): cell for (panel, line), cell in cells.items() if line in seeds}
        panels.note_below(
            figure, " ".join(filter(None, [band_note, crosses])), remark, *panels.missing_runs(placed, looks, seeds)
        )
    return figure


def _curves(cell: pd.DataFrame, x: Horizontal, *, diverged: bool) -> pd.DataFrame:
    """(X, seeds) accuracies as `panels.by_seed` has them by round, each at the mean that the axis shows of these seeds."""
    curves = panels.by_seed(cell, "round", "accuracy", diverged=diverged)
    places = panels.by_seed(cell, "round", x.column, diverged=diverged).mean(axis=1).reindex(curves.index)
    curves = curves.set_axis(places)
    return curves[(places > 0).to_numpy()] if x.logarithmic else curves
