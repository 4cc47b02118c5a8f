"""Which scenes train, validate and test, and which training scenes keep their label.

Takes labels, room names and the official split; gives tables and indices. No images, no torch.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from semcom.common.errors import InputError
from semcom.common.spelling import spelled_number

SPLITS = ("train", "validation", "test")
WITHHELD = "withheld"  # a test scene that nothing may look at while settings are being chosen
BECOMES = {"train": ("train", "validation"), "test": ("test", WITHHELD)}  # what an official split may read in ours


def class_counts(labels: np.ndarray, split: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """Scenes per class and split.

    Args:
        labels: (N,) positions in `class_names`.
        split: (N,) of "train", "validation" or "test".

    Returns:
        One row a class, in the order of `class_names`: class, train, validation (if there is any), test, total.
    """
    labels, split = np.asarray(labels), np.asarray(split)
    table = pd.DataFrame({"class": list(class_names)})
    for name in SPLITS:
        if name != "validation" or (split == name).any():
            table[name] = np.bincount(labels[split == name], minlength=len(class_names))
    table["total"] = np.bincount(labels, minlength=len(class_names))
    return table


def split_table(
    scenes: pd.DataFrame, *, validation_fraction: float, seed: int, withhold_test: bool = False
) -> pd.DataFrame:
    """Cut a validation set from the official training scenes by whole rooms, class by class.

    Neighbouring scenes show the same room, so a room is never in both training and validation. In each class the
    rooms whose scenes together come nearest to `validation_fraction` are moved; at least one room stays and at
    least one goes. A class with one room only stays in training. A room that the official split has in both
    training and test stays in training: validation must not look like test. A room with scenes of several classes
    counts, whole, for the class that most of its scenes have. The official test scenes never train and never validate.

    Args:
        scenes: one row a scene, with columns class, room and split ("train" or "test"), as `scenes.scene_table`.
        validation_fraction: of the training scenes of each class, 0 (no validation) to below 1.
        seed: decides which rooms, each class independently of the others.
        withhold_test: mark the test scenes as `WITHHELD`, so that nothing evaluates them.

    Returns:
        A copy of `scenes` in which some rows of column split are "validation", or `WITHHELD`.

    Raises:
        InputError: `validation_fraction` is out of range.
    """
    if not 0 <= validation_fraction < 1:
        raise InputError(
            f"data.validation_fraction is {validation_fraction}; set it in the config to 0 (none) up to below 1"
        )
    table = scenes.copy()
    in_train = table["split"] == "train"
    if withhold_test:
        table.loc[~in_train, "split"] = WITHHELD
    if validation_fraction == 0:
        return table
    by_room = table[in_train].groupby("room")["class"]  # sorted by name, so that the order of scenes does not matter
    sizes = by_room.size()
    room_class = by_room.agg(lambda classes: classes.mode()[0])
    shared_with_test = sizes.index.isin(table.loc[~in_train, "room"])
    chosen: list[str] = []
    for position, name in enumerate(sorted(table["class"].unique())):
        own = (room_class == name).to_numpy()
        candidates = sizes.index[own & ~shared_with_test].to_numpy(dtype=object)
        candidates = np.random.default_rng([seed, position]).permutation(candidates.copy())  # pandas gives it read-only
        picked = _nearest_subset(
            sizes[candidates].tolist(),
            validation_fraction * int(sizes[own].sum()),
            whole_allowed=bool((own & shared_with_test).any()),
        )
        chosen.extend(candidates[picked])
    table.loc[in_train & table["room"].isin(chosen), "split"] = "validation"
    return table


def check_split(
    table: pd.DataFrame,
    label_fractions: Sequence[float],
    batches: Mapping[str, tuple[str, int]],
    trials: str | None = None,
) -> None:
    """Whether every run of the grid has scenes to train on and to be evaluated on, before any of them starts.

    A remedy that is told mends all that is wrong of its kind.

    Args:
        table: of `split_table`.
        label_fractions: of the grid.
        batches: keys of batch sizes in the configuration to the stage ("pretrain" or "finetune") and size.
        trials: name of a table that compares settings on validation rooms, if there is one.

    Raises:
        InputError: a class has no training scene or no labelled one, no scene is left to evaluate, or a batch exceeds the
            scenes it is drawn from.
    """
    train = table[table["split"] == "train"]
    names = sorted(table["class"].unique())
    empty = [name for name in names if not (train["class"] == name).any()]
    if empty:
        raise InputError(
            f"{_of('class', empty)}: no training scene is left; lower data.validation_fraction, or use files with one"
        )
    if not table["split"].isin(["test", "validation"]).any():
        raise InputError(
            "no scene is left to evaluate: there is no test scene that may be seen, and no room for validation (one room "
            "of a class stays in training); raise data.validation_fraction, or use files with more"
        )
    if trials and not (table["split"] == "validation").any():
        raise InputError(
            f"tables.trials: '{trials}' compares settings on validation rooms, and no class has a room for it; use files "
            "with two rooms of a class, or set tables.trials to null"
        )
    labels, least = train["class"].map(names.index).to_numpy(), min(label_fractions)
    scenes = {
        "pretrain": len(train),
        "finetune": len(label_subset(labels, least, 0, names)),
    }  # every seed keeps as many
    faults = [
        f"{key}: {size} exceeds the {scenes[stage]} scenes it is drawn from"
        + f" (label fraction {spelled_number(least)})" * (stage == "finetune")
        + f"; lower it to {scenes[stage]} or less"
        for key, (stage, size) in batches.items()
        if size > scenes[stage]
    ]
    if faults:
        raise InputError("; and ".join(faults))


def _of(kind: str, names: Sequence[str]) -> str:
    """ "class a", or "classes a and b"."""
    return f"{kind} {names[0]}" if len(names) == 1 else f"{kind}es {', '.join(names[:-1])} and {names[-1]}"


def _nearest_subset(sizes: list[int], target: float, *, whole_allowed: bool) -> list[int]:
    """Positions of a non-empty subset whose sum is nearest to `target`; of equals, one of the earliest positions.

    Without `whole_allowed` at least one position is left out; if that is impossible, the subset is empty.
    """
    last_added = {0: -1}  # reachable sum -> the position that first reached it
    for position, size in enumerate(sizes):
        for reached in sorted(last_added, reverse=True):
            last_added.setdefault(reached + size, position)
    sums = set(last_added) - {0}
    if not whole_allowed:
        sums.discard(sum(sizes))
    if not sums:
        return []
    rest = min(sums, key=lambda value: (abs(value - target), value))
    subset = []
    while rest:
        subset.append(last_added[rest])
        rest -= sizes[last_added[rest]]
    return subset


def label_subset(
    labels: np.ndarray, fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> np.ndarray:
    """Which scenes keep their label: stratified, seeded and nested.

    Each class is shuffled once by `seed` and the first round-half-up(fraction x n_c) of its n_c scenes are taken,
    so that a smaller fraction's scenes are among a larger one's.

    Args:
        labels: (n,) integer labels of the training scenes.
        fraction: above 0, up to 1.
        class_names: to name a class in an error.

    Returns:
        Sorted positions in `labels`, int64.

    Raises:
        InputError: `fraction` is out of range, or a class present in `labels` gets no scene.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"label fraction is {fraction}; set it in the config above 0, up to 1")
    labels = np.asarray(labels)
    exact = Fraction(str(fraction))  # 0.29 x 50 is 14.499999999999998 in floating point
    taken, without = [], {}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = math.floor(exact * len(members) + Fraction(1, 2))
        if count == 0:
            without[str(class_names[label] if class_names is not None else label)] = len(members)
        taken.append(np.random.default_rng([seed, int(label)]).permutation(members)[:count])
    if without:
        whose, sizes = "its" if len(without) == 1 else "their", ", ".join(map(str, without.values()))
        raise InputError(
            f"{_of('class', list(without))}: label fraction {fraction} of {whose} {sizes} training scenes rounds to none; "
            f"raise the label fraction to {math.ceil(500 / min(without.values())) / 1000} or more in the config"
        )
    return np.sort(np.concatenate(taken))
