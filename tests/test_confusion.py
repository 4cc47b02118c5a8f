"""Confusion matrices and recall per class: closed forms, scikit-like identities, and runs that diverged."""

import numpy as np
import pandas as pd
import pytest

from semcom.analysis.confusion import collect_answers, confusion, confusion_table, per_class_table
from semcom.common.errors import InputError
from semcom.figures.confusion import confusion_figure
from semcom.training.answers import KeptAnswers, make_answers, save_answers

CLASSES = ("bedroom", "dining_room", "others")
ASKED = {"split": "test", "methods": ["b", "a"]}


def answers(labels, predicted):
    """Answers of (D, N) predictions."""
    logits = np.eye(len(CLASSES), dtype=np.float32)[np.array(predicted)]
    return make_answers(logits, np.array(labels), np.arange(len(labels)))


def write(folder, method, seed, of_split=None, classes=CLASSES):
    run = {"experiment": "e", "method": method, "snr_db": 10.0, "label_fraction": 1.0, "seed": seed}
    path = folder / f"{method}{seed}.safetensors"
    splits = {"test": of_split} if of_split else {}
    save_answers(KeptAnswers(run, splits, classes, "ok" if of_split else "diverged"), path)
    return path


def test_a_known_confusion():
    told = answers([0, 0, 1, 1], [[0, 1, 1, 1], [0, 0, 1, 2]])
    matrix = confusion(told, 3)
    np.testing.assert_allclose(matrix[:2], [[0.75, 0.25, 0], [0, 0.75, 0.25]])
    assert np.isnan(matrix[2]).all()  # no scene of that class


def test_recall_weighed_by_scenes_is_accuracy_and_precision_by_answers_too(tmp_path):
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(3, size=50), rng.integers(3, size=(4, 50))
    told = answers(labels, predicted)
    table = per_class_table(collect_answers([write(tmp_path, "a", 0, told)])[0], **ASKED)
    accuracy = told.hits().mean()
    assert (table["recall"] * table["scenes"]).sum() / 50 == pytest.approx(accuracy)
    given = np.bincount(predicted.ravel(), minlength=3)
    assert (table["precision"] * given).sum() / 200 == pytest.approx(accuracy)
    assert table["recall_ci95_low"].isna().all()


def test_means_are_over_the_seeds_that_did_not_diverge_and_methods_stand_in_the_grids_order(tmp_path):
    right, wrong = answers([0, 1, 2], [[0, 1, 2]]), answers([0, 1, 2], [[1, 1, 2]])
    files = [write(tmp_path, "a", 0, right), write(tmp_path, "a", 1, wrong), write(tmp_path, "a", 2)]
    files += [write(tmp_path, "b", 0, right), write(tmp_path, "c", 0)]
    cells, _ = collect_answers(files)
    table = per_class_table(cells, **ASKED)
    assert list(dict.fromkeys(table["method"])) == ["b", "a"]
    assert table.set_index(["method", "class"])["recall"]["a", "bedroom"] == 0.5
    assert set(table[table["method"] == "a"]["seeds"]) == {2}
    shares = confusion_table(cells, **ASKED)
    assert (shares.groupby(["method", "class"])["share"].sum() == 1).all()


def test_the_figure_shows_every_method_and_says_who_has_nothing_to_show(tmp_path):
    cells, _ = collect_answers([write(tmp_path, "a", 0, answers([0, 1, 2], [[0, 1, 1]])), write(tmp_path, "b", 0)])
    figure = confusion_figure(confusion_table(cells, **ASKED), methods=["a", "b"], snr_db=10.0, label_fraction=1.0)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["100", "100", "100"]
    assert [axes.get_title() for axes in figure.axes] == ["(a) a", "(b) b: no run that did not diverge"]
    assert figure.axes[0].get_yticklabels()[1].get_text() == "dining room"


def test_runs_of_other_classes_are_not_put_together(tmp_path):
    told = answers([0], [[0]])
    files = [write(tmp_path, "a", 0, told), write(tmp_path, "a", 1, told, classes=("x", "y", "z"))]
    with pytest.raises(InputError, match="a1.safetensors: its classes are others"):
        collect_answers(files)


def test_tables_of_nothing_have_their_columns(tmp_path):
    cells, _ = collect_answers([write(tmp_path, "a", 0)])
    assert isinstance(per_class_table(cells, **ASKED), pd.DataFrame) and per_class_table(cells, **ASKED).empty
