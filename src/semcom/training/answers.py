"""What the server answered at a run's last evaluation, scene by scene and channel draw by draw, as a file. Free of torch.

With it intervals can count scenes and rooms as well as seeds, and every other measure of a classifier can be taken,
without the system.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semcom.common.errors import InputError
from semcom.common.tensor_file import read_tensors, write_tensors

FORMAT = "semcom-answers-1"
REMEDY = "run its stage II again"


@dataclass(frozen=True)
class Answers:
    """Of one split, N scenes, D channel draws, C classes.

    Attributes:
        logits: (D, N, C) float16, for probabilities.
        predicted: (D, N) int16, the class of the largest logit before it was rounded.
        labels: (N,) int16.
        scenes: (N,) int32, positions in `scenes.h5` and in splits.csv.
    """

    logits: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray
    scenes: np.ndarray

    def hits(self) -> np.ndarray:
        """(D, N) booleans: whether the answer was right."""
        return self.predicted == self.labels


def make_answers(logits: np.ndarray, labels: np.ndarray, scenes: np.ndarray) -> Answers:
    """Of (D, N, C) float32 logits; see `Answers`."""
    return Answers(
        logits=logits.astype(np.float16),
        predicted=logits.argmax(axis=2).astype(np.int16),
        labels=labels.astype(np.int16),
        scenes=scenes.astype(np.int32),
    )


@dataclass(frozen=True)
class KeptAnswers:
    """The content of a file.

    Attributes:
        run: experiment, method, snr_db, label_fraction, seed.
        splits: by their names; empty where the run diverged.
        classes: names, in the order of the logits.
    """

    run: dict[str, Any]
    splits: dict[str, Answers]
    classes: tuple[str, ...]
    status: str


def save_answers(kept: KeptAnswers, path: Path) -> None:
    """Write answers; whole or not at all.

    Raises:
        InputError: the disk is full.
    """
    arrays = {
        f"{split}/{name}": array for split, answers in kept.splits.items() for name, array in vars(answers).items()
    }
    known = {"run": kept.run, "classes": list(kept.classes), "status": kept.status, "splits": list(kept.splits)}
    write_tensors(path, arrays, known, format=FORMAT)


def load_answers(path: Path) -> KeptAnswers:
    """Read what `save_answers` wrote.

    Raises:
        InputError: the file is missing, damaged, or of another program or version.
    """
    arrays, known = read_tensors(path, format=FORMAT, remedy=REMEDY)
    try:
        splits = {split: Answers(**_of(arrays, split)) for split in known["splits"]}
        return KeptAnswers(known["run"], splits, tuple(known["classes"]), known["status"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: was written by another version of this program ({error}); {REMEDY}") from None


def _of(arrays: Mapping[str, np.ndarray], split: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{split}/"): array for name, array in arrays.items() if name.startswith(f"{split}/")}
