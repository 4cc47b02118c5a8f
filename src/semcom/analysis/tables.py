"""From the records of runs to the tables of results; plain pandas, no torch.

In:  all evaluations (`records.collect_rounds`) and all steps of stage I (`records.collect_steps`).
Out: `summary.csv` (accuracy), `rounds_to_target.csv` (overhead), `pretraining.csv`.

A *run* is one method, SNR, label fraction and seed; a *panel* is all runs of an SNR and label fraction. Accuracies are
shares in [0, 1].

Diverged runs. `diverged` counts the seeds whose stage II ended early, or whose stage I did, so that stage II never
began; `diverged_seeds` names them. Having no accuracy at the end, they are left out of means and intervals; in
`rounds_to_target` they stay: one that diverged before it held a target never holds it.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from semcom.analysis.costs import LEDGER_COLUMNS
from semcom.analysis.records import RUN, STEPS_RUN, by_method, shown
from semcom.analysis.statistics import BOOTSTRAP_SAMPLES, bootstrap_median_interval, cost_ratio, t_interval
from semcom.common.errors import InputError
from semcom.config.experiment import BASELINE
from semcom.config.sections import TableSettings

_PANEL = ["experiment", "split", "label_fraction", "snr_db"]  # methods are compared within one
_COSTS = {"rounds": ["round"], **LEDGER_COLUMNS}  # unit -> the columns whose sum is a run's cumulative cost
_PRICE, _APART = "stage_one_channel_uses", "channel_uses_apart"


# Statistics


def first_held(accuracy: np.ndarray, target: float, *, smooth: int, hold: int) -> int | None:
    """First evaluation from which the smoothed accuracy stays at or above `target` for `hold` evaluations.

    Args:
        accuracy: (E,) in the order of the rounds; NaN counts as below.
        smooth: evaluations of the trailing running mean, fewer at the start where there are fewer.
        hold: evaluations, the first included; a run that ends before they are over has not reached the target.

    Returns:
        The position of that evaluation, or None.
    """
    accuracy = np.asarray(accuracy, float)
    smoothed = np.array([accuracy[max(0, end - smooth) : end].mean() for end in range(1, len(accuracy) + 1)])
    # Equal accuracies must count as reached whatever the order of the sums that led to the target.
    above = smoothed >= target - 1e-12
    for start in range(len(above) - hold + 1):
        if above[start : start + hold].all():
            return start
    return None


def gradient_growth(norms: np.ndarray) -> float:
    """How far a run's gradient norm grew: the largest of its later steps over the median of the first quarter.

    Args:
        norms: (steps,) in their order. Those of the first quarter, in which features find their scale, are no explosion.
    """
    norms = np.asarray(norms, float)
    start = max(1, len(norms) // 4)
    return float(norms[start:].max(initial=0) / np.median(norms[:start]))


# Tables


def run_accuracy(rounds: pd.DataFrame, settings: TableSettings) -> pd.DataFrame:
    """One row per run and split: its accuracy at the end of training, and how it ended.

    Returns:
        RUN, split, status, final_round; and, NaN unless status is ok, accuracy and mean_class_accuracy (means of the
        last k evaluations after round 0, of all of them where there are fewer) and final_accuracy (the last one).
    """
    rows = []
    for key, run in rounds.sort_values("round").groupby([*RUN, "split"]):
        trained = run[run["round"] > 0]
        last = (run if trained.empty else trained).tail(settings.last_evaluations)
        end = run.iloc[-1]
        survived = end["status"] == "ok"
        row = dict(zip([*RUN, "split"], key, strict=True)) | {"status": end["status"], "final_round": end["round"]}
        row |= {name: last[name].mean() if survived else np.nan for name in ("accuracy", "mean_class_accuracy")}
        rows.append(row | {"final_accuracy": end["accuracy"] if survived else np.nan})
    return pd.DataFrame(rows)


def summary(rounds: pd.DataFrame, settings: TableSettings, *, methods: Sequence[str]) -> pd.DataFrame:
    """Accuracy at the end of training per method, SNR, label fraction and split.

    Args:
        rounds: of `collect_rounds`, in any order of rows.
        methods: the grid's, in the order of the rows.

    Returns:
        experiment, split, label_fraction, snr_db, method; seeds, diverged, diverged_seeds; and mean, ci95_low and
        ci95_high (t-interval over the surviving seeds) of accuracy and mean_class_accuracy (last k evaluations),
        final_accuracy (last evaluation) and accuracy_difference (accuracy minus the baseline's of the same seed, over
        the paired_seeds that survived with both).
    """
    runs = run_accuracy(rounds, settings)
    rows = []
    for key, group in runs.groupby(_PANEL):
        baseline = group[group["method"] == BASELINE].set_index("seed")["accuracy"]
        for method, cell in group.groupby("method"):
            cell = cell.sort_values("seed")
            row = dict(zip(_PANEL, key, strict=True)) | {"method": method} | _seeds(cell)
            survived = cell[cell["status"] == "ok"]
            for name in ("accuracy", "mean_class_accuracy", "final_accuracy"):
                row |= _interval(name, survived[name])
            difference = (survived.set_index("seed")["accuracy"] - baseline).dropna()
            row |= _interval("accuracy_difference", difference) if method != BASELINE else {}
            row |= {"paired_seeds": len(difference)}
            rows.append(row)
    return _by_panel(pd.DataFrame(rows), methods)


def rounds_to_target(
    rounds: pd.DataFrame,
    settings: TableSettings,
    *,
    methods: Sequence[str],
    split: str = "test",
    bootstrap_samples: int = BOOTSTRAP_SAMPLES,
    bootstrap_seed: int = 0,
) -> pd.DataFrame:
    """Rounds, channel uses and bits until a run holds a share of the supervised plateau (`first_held`).

    The plateau is the mean over the surviving supervised runs of their `run_accuracy`, for the same SNR and label
    fraction. A run that never holds the target is censored: it counts as infinite in medians and intervals, and as its
    own length R in `> R`, which is a lower bound on the median; a diverged run's R is the longest run's of the panel.
    Costs are uplink and downlink together, over all devices, up to that round.

    Args:
        rounds: of `collect_rounds`, in any order of rows; where `costs.with_costs` added the price of stage I, the table
            has the channel uses with it, too.
        methods: the grid's, in the order of the rows.

    Returns:
        experiment, split, label_fraction, snr_db, target_share, method; target_accuracy; seeds, diverged,
        diverged_seeds, reached (seeds; missing where there is no supervised run); and for each unit of rounds,
        channel_uses and bits: median_<unit> (inf where half of the seeds or more are censored), <unit>_text (the same,
        or `> R`), ci95_low_<unit>, ci95_high_<unit> (bootstrap over seeds) and, except bits,
        <unit>_ratio_to_supervised (of the medians, as `statistics.cost_ratio` has it; where the supervised one is
        infinite, it counts with its R). With the price of stage I: its median over the seeds, stage_one_channel_uses,
        and the columns of one more unit, channel_uses_apart, the channel uses of both stages if devices are apart.
    """
    rounds = rounds[rounds["split"] == split].sort_values("round")
    if rounds.empty:
        raise InputError(f"the runs have no evaluations of split {split!r}; name another one")
    ends = run_accuracy(rounds, settings)
    survivors = ends[(ends["method"] == BASELINE) & (ends["status"] == "ok")]
    plateaus = survivors.groupby(_PANEL)["accuracy"].mean()
    costs = {unit: rounds[columns].sum(axis=1) for unit, columns in _COSTS.items()}
    priced, apart = ([_PRICE], [_APART]) if _PRICE in rounds else ([], [])
    rounds = rounds[[*RUN, "split", "accuracy", "status", *priced]].assign(**costs)
    rows = []
    for key, panel in rounds.groupby(_PANEL):
        plateau = plateaus.get(key, np.nan)
        for share, (method, cell) in itertools.product(settings.targets, panel.groupby("method")):
            runs = ends[(ends[_PANEL] == list(key)).all(axis=1) & (ends["method"] == method)]
            row = dict(zip(_PANEL, key, strict=True)) | {"target_share": share, "method": method}
            row |= {"target_accuracy": share * plateau} | _seeds(runs)
            reached, bounds = _costs_to_target(cell, share * plateau, panel[list(_COSTS)].max(), settings)
            row |= {"reached": int(np.isfinite(reached["rounds"]).sum()) if np.isfinite(plateau) else pd.NA}
            row |= {_PRICE: cell.groupby("seed")[_PRICE].first().median(skipna=False)} if priced else {}
            for unit in (*_COSTS, *apart):
                cost = _cost(unit, reached[unit].to_numpy(), bounds[unit], bootstrap_samples, bootstrap_seed)
                row |= cost if np.isfinite(plateau) else {name: "" if "text" in name else np.nan for name in cost}
                row |= {f"_spent_{unit}": bounds[unit].median()}
            rows.append(row)
    table = _by_panel(pd.DataFrame(rows).astype({"reached": "Int64"}), methods)
    targets = [table[name] for name in (*_PANEL, "target_share")]
    for unit in ("rounds", "channel_uses", *apart):
        supervised, spent = (
            table[name].where(table["method"] == BASELINE).groupby(targets).transform("max")
            for name in (f"median_{unit}", f"_spent_{unit}")
        )
        ratio = [cost_ratio(*three) for three in zip(table[f"median_{unit}"], supervised, spent, strict=True)]
        table.insert(table.columns.get_loc(f"ci95_high_{unit}") + 1, f"{unit}_ratio_to_supervised", ratio)
    return table.drop(columns=[f"_spent_{unit}" for unit in (*_COSTS, *apart)])


def pretraining_summary(steps: pd.DataFrame, *, methods: Sequence[str]) -> pd.DataFrame:
    """How each stage I run ended.

    Args:
        steps: of `collect_steps`, in any order of rows.
        methods: the grid's, in the order of the rows.

    Returns:
        experiment, method, seed; steps; final_loss (last step), last_epoch_loss (mean over the last epoch's steps);
        max_gradient_norm and the step it occurred at (of the finite ones); status.
    """
    rows = []
    for key, run in steps.sort_values("step").groupby(STEPS_RUN):
        finite = run[np.isfinite(run["gradient_norm"])]
        peak = finite.iloc[finite["gradient_norm"].argmax()] if len(finite) else None
        end = run.iloc[-1]
        row = dict(zip(STEPS_RUN, key, strict=True)) | {"steps": len(run), "final_loss": end["loss"]}
        row["last_epoch_loss"] = run.loc[run["epoch"] > end["epoch"] - 1, "loss"].mean(skipna=False)
        row["max_gradient_norm"] = np.nan if peak is None else peak["gradient_norm"]
        row["max_gradient_norm_step"] = pd.NA if peak is None else peak["step"]
        rows.append(row | {"status": end["status"]})
    table = pd.DataFrame(rows).astype({"max_gradient_norm_step": "Int64"})
    return by_method(table, STEPS_RUN, methods)


def _seeds(runs: pd.DataFrame) -> dict:
    """How many runs a cell has, and which of them diverged."""
    diverged = sorted(runs.loc[runs["status"] != "ok", "seed"])
    return {"seeds": len(runs), "diverged": len(diverged), "diverged_seeds": " ".join(map(str, diverged))}


def _interval(name: str, values: pd.Series) -> dict[str, float]:
    mean, low, high = t_interval(values.to_numpy())
    return {f"{name}_mean": float(mean), f"{name}_ci95_low": float(low), f"{name}_ci95_high": float(high)}


def _costs_to_target(
    cell: pd.DataFrame, target: float, longest: pd.Series, settings: TableSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Costs of each seed in each unit, two tables: infinite where censored, and where censored the run's length.

    With the price of stage I also in channel uses of both stages.
    """
    reached, bounds = [], []
    for _, run in cell.groupby("seed"):
        first = first_held(
            run["accuracy"].to_numpy(), target, smooth=settings.smooth_evaluations, hold=settings.hold_evaluations
        )
        end = run.iloc[-1] if run["status"].iloc[-1] == "ok" else longest
        reached.append({unit: np.inf if first is None else float(run[unit].iloc[first]) for unit in _COSTS})
        bounds.append({unit: end[unit] if first is None else run[unit].iloc[first] for unit in _COSTS})
        if _PRICE in run:
            for costs in (reached[-1], bounds[-1]):
                costs[_APART] = costs["channel_uses"] + run[_PRICE].iloc[0]
    return pd.DataFrame(reached), pd.DataFrame(bounds)


def _cost(unit: str, reached: np.ndarray, bounds: pd.Series, samples: int, seed: int) -> dict[str, float | str]:
    median = float(np.median(reached))
    low, high = bootstrap_median_interval(reached, samples=samples, seed=seed)
    text = "" if np.isnan(median) else f"> {shown(float(bounds.median()))}" if np.isinf(median) else shown(median)
    return {f"median_{unit}": median, f"{unit}_text": text, f"ci95_low_{unit}": low, f"ci95_high_{unit}": high}


def _by_panel(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Rows to be compared stand together: all labels before fewer, then SNR, target and method."""
    key = ["experiment", "split", "_labels", "snr_db", *(["target_share"] if "target_share" in table else []), "method"]
    return by_method(table.assign(_labels=-table["label_fraction"]), key, methods).drop(columns="_labels")
