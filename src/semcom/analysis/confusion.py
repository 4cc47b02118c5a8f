"""Which scenes are taken for which: recall and precision of each class, and confusion matrices, from kept answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semcom.analysis.records import by_method
from semcom.analysis.statistics import t_interval
from semcom.common.errors import InputError
from semcom.training.answers import Answers, KeptAnswers, load_answers

CELL = ["experiment", "method", "snr_db", "label_fraction"]
_Cells = dict[tuple, list[tuple[KeptAnswers, Answers]]]


def collect_answers(paths: Iterable[str | Path]) -> tuple[_Cells, str]:
    """The answers of every run that did not diverge, by its cell of the grid, `CELL`, and the split they are of.

    That is the test split, or validation where no run has seen test scenes.

    Raises:
        InputError: a file cannot be read, or runs have different classes.
    """
    cells: _Cells = {}
    classes = None
    files = {path: load_answers(path) for path in map(Path, paths)}
    seen = {split for kept in files.values() for split in kept.splits}
    split = "test" if "test" in seen or not seen else "validation"
    for path, kept in files.items():
        if classes not in (None, kept.classes):
            raise InputError(f"{path}: its classes are others than those of the runs before; run its stage II again")
        classes = kept.classes
        cell = cells.setdefault(tuple(kept.run[key] for key in CELL), [])
        if split in kept.splits:
            cell.append((kept, kept.splits[split]))
    return cells, split


def confusion(answers: Answers, classes: int) -> np.ndarray:
    """(C, C) shares of the scenes of each class, a row, that were taken for each, over all channel draws.

    The row of a class that the split lacks is NaN.
    """
    draws = len(answers.predicted)
    pairs = np.tile(answers.labels.astype(np.int64), draws) * classes + answers.predicted.ravel()
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(float)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def confusion_table(cells: _Cells, *, split: str, methods: Sequence[str]) -> pd.DataFrame:
    """One row a cell, true class and class it was taken for: `share` of the scenes, the mean over seeds and draws."""
    rows = []
    for cell, runs in cells.items():
        if not runs:
            continue
        names = runs[0][0].classes
        mean = np.mean([confusion(answers, len(names)) for _, answers in runs], axis=0)
        rows += [
            {**dict(zip(CELL, cell, strict=True)), "split": split, "class": true, "taken_for": taken, "seeds": len(runs),
             "share": mean[i, j]}
            for i, true in enumerate(names)
            for j, taken in enumerate(names)
        ]  # fmt: skip
    columns = [*CELL, "split", "class", "taken_for", "seeds", "share"]
    return _in_order(pd.DataFrame(rows, columns=columns), methods)


def per_class_table(cells: _Cells, *, split: str, methods: Sequence[str]) -> pd.DataFrame:
    """One row a cell and class: its scenes, and its recall and precision, mean and 95 % t-interval over the seeds.

    Recall is the share of the class's scenes that are recognised; precision the share of the answers of that class that
    are right, blank where no seed ever gives it.
    """
    rows = []
    for cell, runs in cells.items():
        if not runs:
            continue
        names, first = runs[0][0].classes, runs[0][1]
        scenes = np.bincount(first.labels, minlength=len(names))
        recall = np.array([np.diag(confusion(answers, len(names))) for _, answers in runs])
        precision = np.array([_precision(answers, len(names)) for _, answers in runs])
        for number, name in enumerate(names):
            mean, low, high = map(float, t_interval(recall[:, number]))
            of_class = precision[:, number][~np.isnan(precision[:, number])]
            rows.append(
                {**dict(zip(CELL, cell, strict=True)), "split": split, "class": name, "scenes": scenes[number],
                 "seeds": len(runs), "recall": mean, "recall_ci95_low": low, "recall_ci95_high": high,
                 "precision": of_class.mean() if len(of_class) else np.nan}
            )  # fmt: skip
    columns = [*CELL, "split", "class", "scenes", "seeds", "recall", "recall_ci95_low", "recall_ci95_high", "precision"]
    return _in_order(pd.DataFrame(rows, columns=columns), methods)


def _precision(answers: Answers, classes: int) -> np.ndarray:
    given = np.bincount(answers.predicted.ravel(), minlength=classes).astype(float)
    right = np.bincount(answers.predicted[answers.hits()], minlength=classes)
    return np.divide(right, given, out=np.full(classes, np.nan), where=given > 0)


def _in_order(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """By method, SNR and label fraction; classes as they are numbered."""
    table = table.assign(_row=range(len(table)))
    return by_method(table, [*CELL, "_row"], methods).drop(columns="_row")
