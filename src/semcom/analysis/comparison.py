"""Finished experiments beside one another: what they have in common, as tables for a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from semcom.analysis.accuracy_by import CELL, COLUMNS, spelled_seeds
from semcom.analysis.records import collect_rounds
from semcom.analysis.tables import summary
from semcom.common.errors import InputError
from semcom.common.plugins import did_you_mean
from semcom.config.experiment import Config
from semcom.config.figure_axes import flattened, spelled
from semcom.config.loading import load_config


@dataclass(frozen=True)
class Experiment:
    """A finished experiment, what it is called in a figure, and all its evaluations (`records.collect_rounds`)."""

    label: str
    config: Config
    rounds: pd.DataFrame


def read_experiments(folders: Sequence[Path], labels: Sequence[str] | None = None) -> list[Experiment]:
    """The experiments of folders below results/, called by the folders' names unless `labels` says otherwise.

    Raises:
        InputError: a folder is not a finished experiment's, one experiment is given twice, or a label is missing or
            occurs twice.
    """
    if labels and len(labels) != len(folders):
        raise InputError(f"--labels: {len(labels)} for {len(folders)} folders; give one a folder, in their order")
    called = list(labels or (folder.resolve().name for folder in folders))
    for name in called:
        if called.count(name) > 1:
            raise InputError(f"--labels: '{name}' would stand for two experiments; give each a label of its own")
    found: list[Experiment] = []
    for folder, label in zip(folders, called, strict=True):
        for name in ("config.yaml", "tables/rounds.csv"):
            if not (folder / name).is_file():
                raise InputError(f"{folder / name}: no such file; name the folder of a finished experiment")
        config = load_config(folder / "config.yaml")
        for other, before in zip(found, folders, strict=False):
            if other.config.experiment == config.experiment:
                raise InputError(
                    f"{folder}: experiment '{config.experiment}', as {before} is too; name one of them once, or run the "
                    "other under a name of its own"
                )
        rounds = collect_rounds([folder / "tables/rounds.csv"], methods=config.grid.methods)
        found.append(Experiment(label, config, rounds))
    return found


def common_split(experiments: Sequence[Experiment]) -> str:
    """The test scenes where all experiments were scored on them, else the validation rooms."""
    return next((s for s in ("test", "validation") if all((e.rounds["split"] == s).any() for e in experiments)), "test")


def common_cells(experiments: Sequence[Experiment]) -> list[tuple[float, float]]:
    """Label fractions and SNRs that all experiments have, in the order of the first.

    Raises:
        InputError: there are none.
    """
    grids = [
        [(float(fraction), float(snr)) for fraction in e.config.grid.label_fractions for snr in e.config.grid.snr_db]
        for e in experiments
    ]
    common = [cell for cell in grids[0] if all(cell in grid for grid in grids)]
    if not common:
        raise InputError("the experiments have no label fraction and SNR in common; run one that they all have")
    return common


def chosen_methods(experiments: Sequence[Experiment], asked: Sequence[str] | None) -> list[str]:
    """The methods to show, in the order of the experiments' grids; by default all.

    Raises:
        InputError: a method asked for is in none of them.
    """
    known = list(dict.fromkeys(method for e in experiments for method in e.config.grid.methods))
    for method in asked or []:
        if method not in known:
            raise InputError(f"--methods: no experiment has '{method}'{did_you_mean(method, known)}")
    return list(asked or known)


def final_table(experiments: Sequence[Experiment], methods: Sequence[str], x: str | None = None) -> pd.DataFrame:
    """Accuracy at the end of training, a row an experiment, cell and method, as `accuracy_by_table` has it.

    Args:
        x: key of the configuration whose value is a row's `x`, such as `encoder.width`, for a method the value in force
            for it; None takes the experiment's label.

    Raises:
        InputError: an experiment has no such key, or two have the same value of it.
    """
    split, tables = common_split(experiments), []
    for e in experiments:
        table = summary(e.rounds, e.config.tables, methods=e.config.grid.methods)
        table = table[(table["split"] == split) & table["method"].isin(methods)]
        own = {method: _value(e, method, x) if x else e.label for method in table["method"].unique()}
        have = e.rounds[e.rounds["split"] == split].groupby(["method", *CELL])["seed"].agg(set)
        lacking = [
            spelled_seeds(set(e.config.grid.seeds) - have[row.method, row.label_fraction, row.snr_db])
            for row in table.itertuples()
        ]
        tables.append(table.assign(line=table["method"], x=table["method"].map(own), missing_seeds=lacking))
    table = pd.concat(tables, ignore_index=True).assign(axis=x or "experiment")
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in table["x"])
    table["x"] = table["x"].astype(float) if numeric else table["x"].map(spelled)
    twice = table[table.duplicated([*CELL, "method", "x"])]
    if not twice.empty:
        value = spelled(twice["x"].iloc[0])
        raise InputError(f"--x {x}: two experiments have the value {value}; take a key in which they differ")
    cells = {cell: place for place, cell in enumerate(common_cells(experiments))}
    rank = {method: place for place, method in enumerate(methods)}
    place = [cells.get((row.label_fraction, row.snr_db)) for row in table.itertuples()]
    table = table.assign(_cell=place, _line=table["line"].map(rank)).dropna(subset="_cell")
    by = ["_cell", "_line", *(["x"] if numeric else [])]
    return table.sort_values(by, kind="stable")[COLUMNS].reset_index(drop=True)


def _value(experiment: Experiment, method: str, key: str) -> object:
    known = dict(flattened(experiment.config.model_dump())) | experiment.config.settings_of(method)
    if key not in known:
        raise InputError(
            f"--x {key}: experiment '{experiment.label}' has no such key{did_you_mean(key, sorted(known))}"
        )
    return known[key]


def curves(
    experiments: Sequence[Experiment], methods: Sequence[str]
) -> dict[tuple[tuple[float, float], tuple[str, str]], pd.DataFrame]:
    """Evaluations by cell and by (experiment's label, method), of the cells that all experiments have."""
    split = common_split(experiments)
    cells = {}
    for fraction, snr in common_cells(experiments):
        for e in experiments:
            for method in (m for m in methods if m in e.config.grid.methods):
                r = e.rounds
                chosen = (r["split"] == split) & (r["method"] == method) & (r["label_fraction"] == fraction)
                cells[(fraction, snr), (e.label, method)] = r[chosen & (r["snr_db"] == snr)]
    return cells
