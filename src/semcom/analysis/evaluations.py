"""What `evaluations:` of the configuration asked of trained links, as one table; plain pandas, no torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from semcom.analysis.records import MEASURED, RUN, by_method, read_parts
from semcom.analysis.statistics import t_interval
from semcom.config.experiment import MAJORITY

CELL = [
    "experiment",
    "split",
    "label_fraction",
    "snr_db",
    "tested_snr_db",
]  # within one, conditions and methods are compared
STATISTICS = ("mean", "ci95_low", "ci95_high")
COLUMNS = [*RUN, "condition", "tested_snr_db", "split", *MEASURED, "channel_uses", "status"]


def collect_evaluations(paths: Iterable[str | Path], *, methods: Sequence[str]) -> pd.DataFrame:
    """One evaluation of all runs: `COLUMNS`, one row a run, condition, tested SNR and split.

    `snr_db` is what a system was trained at, `channel_uses` the uplink uses of one inference of all devices that send.

    Args:
        paths: of single methods and seeds, in any order.
        methods: in the order of the rows.

    Raises:
        InputError: a file cannot be read or lacks a column.
    """
    table = read_parts(paths, COLUMNS, again="evaluate again")
    conditions = list(dict.fromkeys(table["condition"]))
    rank = {condition: position for position, condition in enumerate(conditions)}
    table = table.assign(_condition=table["condition"].map(rank))
    key = ["experiment", "method", "snr_db", "label_fraction", "seed", "_condition", "tested_snr_db", "split"]
    return by_method(table, key, methods).drop(columns="_condition")


def scenes_by_split(path: str | Path) -> pd.DataFrame:
    """Scenes of each class as runs see them: one row a class, a column a split.

    Args:
        path: `splits.csv`, which has one row a scene.
    """
    scenes = pd.read_csv(path, dtype={"class": str, "split": str}, keep_default_na=False)
    return pd.crosstab(scenes["class"], scenes["split"])


def summary(table: pd.DataFrame, counts: pd.DataFrame, *, methods: Sequence[str]) -> pd.DataFrame:
    """An evaluation over its seeds: one row a split, label fraction, trained SNR, tested SNR, condition and method.

    Args:
        table: of `collect_evaluations`.
        counts: of `scenes_by_split`.
        methods: in the order of the rows.

    Returns:
        `CELL`, condition, method, channel_uses; seeds, diverged, diverged_seeds; mean, ci95_low and ci95_high (t-interval
        over the surviving seeds) of accuracy, mean_class_accuracy and accuracy_change, which is the accuracy minus that of
        the same system, at the same SNR, under the evaluation's first condition; along a trace there is no such SNR, so
        that a change is blank unless both conditions have a trace. At the end of each split one row `MAJORITY`: what
        always answering the split's most frequent class gives.
    """
    conditions = list(dict.fromkeys(table["condition"]))
    rows = []
    for key, cell in table.groupby(CELL, dropna=False):
        first = cell[cell["condition"] == conditions[0]].set_index(["method", "seed"])["accuracy"]
        for (condition, method), runs in cell.groupby(["condition", "method"]):
            ended = runs["status"].ne("ok")
            survived = runs[~ended].set_index(["method", "seed"])
            change = (survived["accuracy"] - first.reindex(survived.index)).dropna()
            row = dict(zip(CELL, key, strict=True)) | {"condition": condition, "method": method}
            row |= {"channel_uses": runs["channel_uses"].max(), "seeds": len(runs), "diverged": int(ended.sum())}
            row["diverged_seeds"] = " ".join(map(str, sorted(runs["seed"][ended])))
            for name, values in (
                ("accuracy", survived["accuracy"]),
                ("mean_class_accuracy", survived["mean_class_accuracy"]),
                ("accuracy_change", change),
            ):
                bounds = map(float, t_interval(values.to_numpy()))
                row |= {f"{name}_{part}": bound for part, bound in zip(STATISTICS, bounds, strict=True)}
            rows.append(row)
    rank = {condition: position for position, condition in enumerate(conditions)}
    result = pd.DataFrame(rows)
    result = result.assign(_condition=result["condition"].map(rank))
    key = ["experiment", "split", "label_fraction", "snr_db", "_condition", "tested_snr_db", "method"]
    result = by_method(result, key, methods).drop(columns="_condition")
    parts = []
    for (experiment, split), part in result.groupby(["experiment", "split"], sort=False):
        scenes = counts[split]
        always = {"accuracy_mean": scenes.max() / scenes.sum(), "mean_class_accuracy_mean": 1 / (scenes > 0).sum()}
        parts += [part, pd.DataFrame([{"experiment": experiment, "split": split, "method": MAJORITY, **always}])]
    return pd.concat(parts, ignore_index=True)[result.columns].astype({"seeds": "Int64", "diverged": "Int64"})
