"""Trials: many settings of each method, compared on validation rooms, and all of them told, the poor ones too.

A trial is a method whose entry is `like` another and changes some of its keys. Its method family is the entry that all
this begins with: `simclr-slow`, like `simclr`, is a trial of `simclr`, and so is `simclr` itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from semcom.config import Config
from semcom.errors import InputError

SPLIT = "validation"
_CHANGED = (
    "loss",
    "options",
    "projector",
    "pretrained_by",
    "encoder",
    "augmentation",
    "pretrain",
    "finetune",
    "decoder",
)


def family(config: Config, method: str) -> str:
    """The entry that a method goes back to by `like`; itself where it stands on its own."""
    base = config.method(method).like
    return family(config, base) if base else method


def changes(config: Config, method: str) -> str:
    """What a trial changes of its family's own entry, e.g. "pretrain.learning_rate 0.3, projector [128]"."""
    ours, theirs = (config.method(name).model_dump(include=set(_CHANGED)) for name in (method, family(config, method)))
    return ", ".join(f"{key} {value}" for key, value in sorted(_differing(ours, theirs)))


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
        first_gradient_norm, last_gradient_norm (mean of the last tenth of the steps), weight_norm, feature_norm (at the
        end, means over modalities).

    Raises:
        InputError: the runs were not scored on validation rooms.
    """
    accuracy = accuracy[accuracy["split"] == SPLIT]
    if accuracy.empty:
        raise InputError("no run was scored on validation rooms; set data.validation_fraction above 0")
    rows = []
    for method in config.grid.methods:
        runs = accuracy[accuracy["method"] == method]
        scores = runs["accuracy"].fillna(0.0)
        row = {"family": family(config, method), "trial": method, "changes": changes(config, method)}
        row |= {"runs": len(runs), "diverged": int((runs["status"] != "ok").sum()), "score": scores.mean()}
        by_fraction = scores.groupby(runs["label_fraction"]).mean()
        row |= {f"accuracy_labels{fraction:g}": by_fraction[fraction] for fraction in config.grid.label_fractions}
        source = config.stage_one(method)
        if source and steps is not None:
            row |= _stage_one(steps[steps["method"] == source], config.modalities)
        rows.append(row)
    table = pd.DataFrame(rows)
    order = {name: position for position, name in enumerate(dict.fromkeys(table["family"]))}
    ranked = table.assign(_family=table["family"].map(order)).sort_values(["_family", "score"], ascending=[True, False])
    return ranked.drop(columns="_family").reset_index(drop=True)


def _stage_one(steps: pd.DataFrame, modalities: list[str]) -> dict[str, float]:
    runs = [run.sort_values("step") for _, run in steps.groupby("seed")]
    means = {
        "first_gradient_norm": [run["gradient_norm"].iloc[0] for run in runs],
        "last_gradient_norm": [run["gradient_norm"].tail(max(1, len(run) // 10)).mean() for run in runs],
        "weight_norm": [run[[f"weight_norm_{m}" for m in modalities]].iloc[-1].mean() for run in runs],
        "feature_norm": [run[[f"feature_norm_{m}" for m in modalities]].iloc[-1].mean() for run in runs],
    }
    return {name: sum(values) / len(values) for name, values in means.items()}
