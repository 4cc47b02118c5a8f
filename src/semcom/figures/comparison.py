"""Experiments beside one another: accuracy against communication round, a line an experiment and method."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from semcom.analysis.comparison import Experiment, common_cells, common_split, curves
from semcom.common.errors import InputError
from semcom.figures import panels, style
from semcom.figures.accuracy import curves_figure

MOST_LINES = 12  # that `style` keeps apart
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (8, 2)), (0, (2.5, 1)))  # of experiments


def comparison_figure(experiments: Sequence[Experiment], methods: Sequence[str]) -> Figure:
    """A panel a label fraction and SNR that all experiments have; see `accuracy.curves_figure`, and `looks` for the lines.

    Raises:
        InputError: the experiments have no cell in common, or more lines than can be told apart.
    """
    shown = common_cells(experiments)
    lines = [(e, method) for e in experiments for method in methods if method in e.config.grid.methods]
    if len(lines) > MOST_LINES:
        raise InputError(f"{len(lines)} lines are more than the {MOST_LINES} that a figure keeps apart; name --methods")
    if len(experiments) > len(DASHES) and len({method for _, method in lines}) > 1:
        raise InputError(
            f"{len(experiments)} experiments are more than the {len(DASHES)} that a figure of several methods keeps apart; "
            "name one in --methods, or fewer folders"
        )
    return curves_figure(
        curves(experiments, methods),
        titles={cell: panels.cell_title(place, *cell, of=len(shown)) for place, cell in enumerate(shown)},
        places={cell: f", {panels.labels(cell[0]).lower()}, {panels.decibels(cell[1])}" for cell in shown},
        looks=looks(lines),
        seeds={(e.label, method): e.config.grid.seeds for e, method in lines},
        split=common_split(experiments),
        equally_long=False,
    )


def looks(lines: Sequence[tuple[Experiment, str]]) -> dict[tuple[str, str], style.MethodStyle]:
    """The look of each line, by the experiment's label and the method.

    Colour and marker are the method's, dash and filling the experiment's. Where there is one method alone, the experiments
    have a look each, and the first of them the method's own.
    """
    experiments = list(dict.fromkeys(e.label for e, _ in lines))
    if len({method for _, method in lines}) == 1:
        names = [method if e.label == experiments[0] else f"{e.label}: {method}" for e, method in lines]
        found = list(style.method_styles(names).values())
    else:
        by_method = style.method_styles(list(dict.fromkeys(method for _, method in lines)))
        places = [experiments.index(e.label) for e, _ in lines]
        found = [
            replace(by_method[method], linestyle=DASHES[place], filled=place % 2 == 0)
            for place, (_, method) in zip(places, lines, strict=True)
        ]
    return {
        (e.label, method): replace(look, label=f"{e.label}: {e.config.label(method)}")
        for (e, method), look in zip(lines, found, strict=True)
    }


def drawn_numbers(cells: Mapping[tuple, pd.DataFrame]) -> pd.DataFrame:
    """The numbers that `comparison_figure` draws, of `analysis.comparison.curves`: a row a line, cell and round.

    Returns:
        experiment (its label), method, label_fraction, snr_db, round; seeds (that did not diverge), accuracy_mean, and
        band_low and band_high, missing where the figure has no band.
    """
    survivors = {key: panels.by_seed(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, _ = panels.band(survivors.values())
    rows = []
    for ((fraction, snr), (label, method)), values in survivors.items():
        accuracy = values.to_numpy().T
        low, high = band(accuracy) if band is not None and len(accuracy) > 1 else (None, None)
        frame = pd.DataFrame({"round": values.index, "seeds": len(accuracy), "accuracy_mean": accuracy.mean(axis=0)})
        frame = frame.assign(band_low=low, band_high=high)
        rows.append(frame.assign(experiment=label, method=method, label_fraction=fraction, snr_db=snr))
    columns = ["experiment", "method", "label_fraction", "snr_db", "round", "seeds", "accuracy_mean"]
    return pd.concat(rows, ignore_index=True)[[*columns, "band_low", "band_high"]]
