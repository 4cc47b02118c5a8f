"""Accuracy at the end of training against an axis: the numbers of a figure of `figures.accuracy_by`, a row a point."""

import itertools
from collections.abc import Iterable

import pandas as pd

from semcom.analysis.tables import summary
from semcom.config.figure_axes import GRID_AXES, AccuracyBy
from semcom.config.sections import GridSettings, TableSettings

CELL = ["label_fraction", "snr_db"]
ACCURACY = ["accuracy_mean", "accuracy_ci95_low", "accuracy_ci95_high"]
COLUMNS = [
    "experiment", "split", *CELL, "line", "method", "axis", "x", "seeds", "diverged", "diverged_seeds", "missing_seeds",
    *ACCURACY,
]  # fmt: skip


def accuracy_by_table(
    rounds: pd.DataFrame, shown: AccuracyBy, grid: GridSettings, settings: TableSettings, *, split: str = "test"
) -> pd.DataFrame:
    """One row a point: accuracy as `tables.summary` has it, of the runs of one method, label fraction and SNR.

    Args:
        rounds: of `records.collect_rounds`, in any order of rows; runs may be missing.

    Returns:
        `COLUMNS`: `line` and `method` (equal on an axis of the grid), `axis` (its key) and `x` (its value there);
        `missing_seeds`, those of the grid of which there is no run. In the order of the grid, and of the lines.
    """
    table = summary(rounds, settings, methods=shown.methods)
    table = table[table["split"] == split]
    have = rounds[rounds["split"] == split].groupby(["method", *CELL])["seed"].agg(set)
    values = {axis: getattr(grid, key) for axis, key in GRID_AXES.items()}
    rows = []
    for fraction, snr in itertools.product(values["label_fraction"], values["snr_db"]):
        for point in shown.points:
            cell = {"label_fraction": float(fraction), "snr_db": float(snr)}
            if cell.get(shown.x, point.x) != point.x:
                continue
            lacking = set(grid.seeds) - have.get((point.method, fraction, snr), set())
            rows.append({**cell, "line": point.line, "method": point.method, "axis": shown.x, "x": point.x}
                        | {"missing_seeds": spelled_seeds(lacking)})  # fmt: skip
    points = pd.DataFrame(rows)
    if shown.x in GRID_AXES:  # a panel's points stand together, along each line
        rank = {name: position for position, name in enumerate([*shown.lines, *grid.label_fractions, *grid.snr_db])}
        others = [name for name in CELL if name != shown.x]
        points = points.sort_values(
            [*others, "line", "x"], key=lambda column: column if column.name == "x" else column.map(rank)
        )
    found = table[["experiment", "split", *CELL, "method", "seeds", "diverged", "diverged_seeds", *ACCURACY]]
    points = points.merge(found, how="left", on=["method", *CELL])
    experiments = table["experiment"].unique()
    known = {"experiment": experiments[0] if len(experiments) else "", "split": split, "diverged_seeds": ""}
    points = points.fillna(known | {"seeds": 0, "diverged": 0}).astype({"seeds": int, "diverged": int})
    return points[COLUMNS].reset_index(drop=True)


def spelled_seeds(seeds: Iterable[int]) -> str:
    """Seeds in a field of a table."""
    return " ".join(map(str, sorted(seeds)))
