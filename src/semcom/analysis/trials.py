"""Trials: many settings of each method, compared on validation rooms, and all of them told, the poor ones too.

A trial is a method whose entry is `like` another and changes some of its keys. Its method family is the entry that all
this begins with: `simclr-slow`, like `simclr`, is a trial of `simclr`, and so is `simclr` itself.

An ablation is trials in a row, each `like` an earlier one, from a loss to the letter to settings that work.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from semcom.analysis.records import RUN
from semcom.analysis.statistics import t_interval
from semcom.analysis.tables import gradient_growth
from semcom.common.errors import InputError
from semcom.common.settings import as_yaml
from semcom.common.spelling import spelled_number
from semcom.config.experiment import Config

SPLIT = "validation"
_CHANGED = (
    "modalities",
    "loss",
    "options",
    "projector",
    "pretrained_by",
    "encoder",
    "augmentation",
    "pretrain",
    "finetune",
    "channel",
    "decoder",
)


def changes(config: Config, method: str, of: str) -> str:
    """What a trial changes of another's entry, e.g. "pretrain.learning_rate 0.3, projector [128]"."""
    ours, theirs = (config.method(name).model_dump(include=set(_CHANGED)) for name in (method, of))
    return ", ".join(f"{key} {as_yaml(value)}" for key, value in sorted(_differing(ours, theirs)))


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in ours.keys() | theirs.keys():
        value, other = ours.get(key), theirs.get(key)
        if isinstance(value, Mapping) and (isinstance(other, Mapping) or other is None):
            yield from _differing(value, other or {}, f"{prefix}{key}.")
        elif value != other:
            yield f"{prefix}{key}", value


def trial_table(accuracy: pd.DataFrame, steps: pd.DataFrame | None, config: Config) -> pd.DataFrame:
    """One row a trial, the best of each family first.

    Args:
        accuracy: of `tables.run_accuracy`; only validation rooms count.
        steps: of `records.collect_steps`, or None where no trial has a stage I.

    Returns:
        family, trial, changes; runs and diverged (of all cells and seeds); score, the mean accuracy over all runs, a
        diverged one counting as 0; accuracy_labels<fraction> for each label fraction; and of stage I, means over seeds:
        first_gradient_norm, gradient_growth (`tables.gradient_growth`), last_gradient_norm (mean of the last tenth of the
        steps), weight_norm, feature_norm (at the end, means over modalities).

    Raises:
        InputError: the runs were not scored on validation rooms.
    """
    scores = _scores(accuracy)
    rows = []
    for method in config.grid.methods:
        base = config.family(method)
        row = {"family": base, "trial": method, "changes": changes(config, method, base)}
        rows.append(row | _scored(scores[method], config) | _stage_one(method, steps, config))
    table = pd.DataFrame(rows)
    order = {name: position for position, name in enumerate(dict.fromkeys(table["family"]))}
    ranked = table.assign(_family=table["family"].map(order)).sort_values(["_family", "score"], ascending=[True, False])
    return ranked.drop(columns="_family").reset_index(drop=True)


def ablation_table(
    accuracy: pd.DataFrame, steps: pd.DataFrame | None, round_steps: pd.DataFrame, config: Config
) -> pd.DataFrame:
    """One row a change, in the order of the grid: what it does to accuracy and to the gradients of both stages.

    Args:
        accuracy, steps: as in `trial_table`.
        round_steps: of `records.collect_round_steps`.

    Returns:
        trial, like, changes (of the one that it is like), and what `trial_table` has of score and stage I, with
        score_ci95_low, score_ci95_high and, over that of `like`, gain, gain_ci95_low, gain_ci95_high: of the seeds'
        means over label fractions, so that a gain is paired by seed; first_round_gradient_norm and
        largest_round_gradient_norm of stage II (before clipping; means over runs).

    Raises:
        InputError: as `trial_table`.
    """
    scores = _scores(accuracy)
    by_seed = {method: runs.fillna(0.0).groupby("seed").mean() for method, runs in scores.items()}
    rows = []
    for method in config.grid.methods:
        base = config.method(method).like
        row = {"trial": method, "like": base, "changes": changes(config, method, base) if base else ""}
        row |= _scored(scores[method], config) | _with_interval("score", by_seed[method])
        if base in by_seed:
            row |= _with_interval("gain", (by_seed[method] - by_seed[base]).dropna())
        norms = round_steps[round_steps["method"] == method].sort_values("round").groupby(RUN)["gradient_norm"]
        row |= {"first_round_gradient_norm": norms.first().mean(), "largest_round_gradient_norm": norms.max().mean()}
        rows.append(row | _stage_one(method, steps, config))
    return pd.DataFrame(rows)


def _scores(accuracy: pd.DataFrame) -> dict[str, pd.Series]:
    """Accuracy on validation rooms of each method's runs, by label fraction and seed; missing for a diverged one.

    Raises:
        InputError: there are none.
    """
    accuracy = accuracy[accuracy["split"] == SPLIT]
    if accuracy.empty:
        raise InputError("no run was scored on validation rooms; set data.validation_fraction above 0")
    indexed = accuracy.set_index(["label_fraction", "seed"])["accuracy"]
    return {method: indexed[(accuracy["method"] == method).to_numpy()] for method in accuracy["method"].unique()}


def _scored(scores: pd.Series, config: Config) -> dict[str, Any]:
    scored = scores.fillna(0.0)
    row = {"runs": len(scores), "diverged": int(scores.isna().sum()), "score": scored.mean()}
    by_fraction = scored.groupby("label_fraction").mean()
    return row | {
        f"accuracy_labels{spelled_number(fraction)}": by_fraction[fraction] for fraction in config.grid.label_fractions
    }


def _with_interval(name: str, by_seed: pd.Series) -> dict[str, float]:
    mean, low, high = map(float, t_interval(by_seed.to_numpy()))
    return {name: mean, f"{name}_ci95_low": low, f"{name}_ci95_high": high}


def _stage_one(method: str, steps: pd.DataFrame | None, config: Config) -> dict[str, float]:
    source = config.stage_one(method)
    if source is None or steps is None:
        return {}
    modalities = config.modalities_of(method)
    runs = [run.sort_values("step") for _, run in steps[steps["method"] == source].groupby("seed")]
    means = {
        "first_gradient_norm": [run["gradient_norm"].iloc[0] for run in runs],
        "gradient_growth": [gradient_growth(run["gradient_norm"].to_numpy()) for run in runs],
        "last_gradient_norm": [run["gradient_norm"].tail(max(1, len(run) // 10)).mean() for run in runs],
        "weight_norm": [run[[f"weight_norm_{m}" for m in modalities]].iloc[-1].mean() for run in runs],
        "feature_norm": [run[[f"feature_norm_{m}" for m in modalities]].iloc[-1].mean() for run in runs],
    }
    return {name: sum(values) / len(values) for name, values in means.items()}
