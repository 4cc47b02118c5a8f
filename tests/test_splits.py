"""Properties of the validation cut and of the label subset, over many random tables."""

import itertools

import numpy as np
import pandas as pd
import pytest

from semcom.common.errors import InputError
from semcom.data.splits import WITHHELD, check_split, class_counts, label_subset, split_table

CLASSES = ("bedroom", "kitchen", "office", "others")


def random_scenes(seed: int) -> pd.DataFrame:
    """Rooms of 1 to 9 scenes, each of one class and split; every class has training rooms, some only one."""
    rng = np.random.default_rng(seed)
    rows = []
    for name in CLASSES:
        for room in range(rng.integers(1, 12)):
            split = "train" if room == 0 or rng.random() < 0.6 else "test"
            rows += [(name, f"{name}_{room}", split)] * int(rng.integers(1, 10))
    table = pd.DataFrame(rows, columns=["class", "room", "split"]).sample(frac=1, random_state=seed)
    table.insert(0, "scene", np.arange(len(table)))
    return table.reset_index(drop=True)


def sizes_of(table: pd.DataFrame, name: str) -> list[int]:
    return table[table["class"] == name].groupby("room").size().tolist()


def best_gap(sizes: list[int], target: float) -> float:
    """Distance of the nearest sum of some but not all of `sizes`, by trying every subset."""
    subsets = itertools.chain.from_iterable(itertools.combinations(sizes, k) for k in range(1, len(sizes)))
    return min(abs(sum(subset) - target) for subset in subsets)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_validation_is_cut_by_whole_rooms_and_nearest_to_the_fraction(seed, fraction):
    scenes = random_scenes(seed)
    original = scenes.copy()
    table = split_table(scenes, validation_fraction=fraction, seed=seed)
    pd.testing.assert_frame_equal(scenes, original)
    pd.testing.assert_frame_equal(table.drop(columns="split"), scenes.drop(columns="split"))
    assert ((table["split"] == "test") == (scenes["split"] == "test")).all()
    assert (table.groupby("room")["split"].nunique() == 1).all()
    for name in CLASSES:
        official = scenes[scenes["split"] == "train"]
        sizes = sizes_of(official, name)
        validation = sum(sizes_of(table[table["split"] == "validation"], name))
        if len(sizes) == 1:
            assert validation == 0
        else:
            assert 0 < validation < sum(sizes)
            assert abs(validation - fraction * sum(sizes)) == pytest.approx(best_gap(sizes, fraction * sum(sizes)))


def test_withheld_test_scenes_neither_test_nor_train_nor_validate():
    scenes = random_scenes(5)
    official = split_table(scenes, validation_fraction=0.3, seed=1)["split"]
    withheld = split_table(scenes, validation_fraction=0.3, seed=1, withhold_test=True)["split"]
    assert (withheld == official.replace("test", WITHHELD)).all() and (withheld == WITHHELD).any()


def test_no_validation_and_no_room_for_it():
    scenes = random_scenes(0)
    pd.testing.assert_frame_equal(split_table(scenes, validation_fraction=0, seed=3), scenes)
    for fraction in (-0.1, 1, 1.5):
        with pytest.raises(InputError, match="data.validation_fraction"):
            split_table(scenes, validation_fraction=fraction, seed=3)


def test_cut_depends_on_the_seed_and_on_nothing_else():
    scenes = random_scenes(5)
    cuts = {tuple(split_table(scenes, validation_fraction=0.3, seed=seed)["split"]) for seed in range(10)}
    assert len(cuts) > 1
    shuffled = scenes.sample(frac=1, random_state=1)
    expected = split_table(scenes, validation_fraction=0.3, seed=7)
    pd.testing.assert_frame_equal(split_table(shuffled, validation_fraction=0.3, seed=7).sort_index(), expected)


def test_room_in_training_and_test_stays_in_training():
    scenes = pd.DataFrame(
        {
            "class": "office",
            "room": ["shared", "shared", "a", "b"],
            "split": ["train", "test", "train", "train"],
        }
    )
    for seed in range(10):
        table = split_table(scenes, validation_fraction=0.9, seed=seed)
        assert table["split"].tolist() == ["train", "test", "validation", "validation"]


def test_room_with_two_classes_is_not_divided():
    scenes = pd.DataFrame(
        {
            "class": ["office", "office", "kitchen", "kitchen", "kitchen", "office"],
            "room": ["mixed", "mixed", "mixed", "k1", "k2", "o1"],
            "split": "train",
        }
    )
    for seed in range(10):
        table = split_table(scenes, validation_fraction=0.5, seed=seed)
        assert (table.groupby("room")["split"].nunique() == 1).all()
        assert set(table["split"]) == {"train", "validation"}


def test_class_counts():
    labels = np.array([0, 0, 1, 3, 3, 3])
    split = np.array(["train", "test", "test", "train", "train", "test"], dtype=object)
    counts = class_counts(labels, split, CLASSES)
    assert counts.columns.tolist() == ["class", "train", "test", "total"]
    assert counts.to_numpy().tolist() == [
        ["bedroom", 1, 1, 2],
        ["kitchen", 0, 1, 1],
        ["office", 0, 0, 0],
        ["others", 2, 1, 3],
    ]
    split[3] = "validation"
    assert class_counts(labels, split, CLASSES)["validation"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_label_subset_is_stratified_and_nested(seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(4), rng.integers(20, 200, 4)))
    previous = set()
    for fraction in (0.05, 0.1, 0.29, 0.5, 0.75, 1):
        taken = label_subset(labels, fraction, seed)
        assert (np.diff(taken) > 0).all()
        for label, total in enumerate(np.bincount(labels)):
            # In hundredths, so that halves are exact.
            assert np.count_nonzero(labels[taken] == label) == (round(100 * fraction) * total + 50) // 100
        assert previous <= set(taken)
        previous = set(taken)
    assert len(previous) == len(labels)


def test_label_subset_depends_on_the_seed_and_each_class_on_itself():
    labels = np.repeat([0, 1], 50)
    assert (label_subset(labels, 0.5, 1) == label_subset(labels, 0.5, 1)).all()
    assert (label_subset(labels, 0.5, 1) != label_subset(labels, 0.5, 2)).any()
    longer = np.repeat([0, 1, 2], 50)
    assert (label_subset(longer, 0.5, 1)[:50] == label_subset(labels, 0.5, 1)).all()


def test_class_left_without_labels():
    labels = np.repeat([0, 1], [100, 24])
    with pytest.raises(InputError, match=r"^class kitchen: label fraction 0.02 of its 24 training scenes") as error:
        label_subset(labels, 0.02, 0, CLASSES)
    remedy = float(str(error.value).split("label fraction to ")[1].split()[0])
    assert np.bincount(labels[label_subset(labels, remedy, 0)])[1] == 1
    for fraction in (0, -1, 1.1):
        with pytest.raises(InputError, match="label fraction is"):
            label_subset(labels, fraction, 0)


def test_check_split():
    table = pd.DataFrame({"class": ["a"] * 40 + ["b"] * 8 + ["a"] * 50, "split": ["train"] * 48 + ["test"] * 50})
    check_split(table, [0.1, 1], {"pretrain.batch_size": ("pretrain", 48), "finetune.batch_size": ("finetune", 5)})
    for batches, words in (
        ({"pretrain.batch_size": ("pretrain", 49)}, "^pretrain.batch_size: 49 exceeds the 48 scenes .*to 48 or less$"),
        (
            {"finetune.batch_size": ("finetune", 6)},
            r"^finetune.batch_size: 6 exceeds the 5 .* 0\.1\); lower it to 5 or",
        ),
        (
            {"methods.simclr.pretrain.batch_size": ("pretrain", 64), "finetune.batch_size": ("finetune", 32)},
            "^methods.simclr.pretrain.batch_size: 64 .*48 or less; and finetune.batch_size: 32 .* 5 or less$",
        ),
    ):
        with pytest.raises(InputError, match=words):
            check_split(table, [1, 0.1], batches)
    with pytest.raises(InputError, match=r"^class b: label fraction 0\.05 of its 8"):
        check_split(table, [0.05], {})
    table.loc[len(table)] = ("c", "test")
    with pytest.raises(InputError, match="^class c: no training scene is left"):
        check_split(table, [1], {})
    table.loc[len(table)] = ("d", "test")
    with pytest.raises(InputError, match="^classes c and d: no training scene is left"):
        check_split(table, [1], {})


def test_a_remedy_mends_every_class_and_every_fraction():
    table = pd.DataFrame({"class": ["a"] * 24 + ["b"] * 6 + ["c"] * 90 + ["a"], "split": ["train"] * 120 + ["test"]})
    with pytest.raises(InputError, match="^classes a and b: label fraction 0.02 of their 24, 6 training") as error:
        check_split(table, [0.05, 0.02], {})
    check_split(table, [float(str(error.value).split("label fraction to ")[1].split()[0])], {})


def test_something_must_be_left_to_evaluate():
    table = pd.DataFrame({"class": ["a", "a", "b", "b"], "split": ["train"] * 4})
    for split in ("train", WITHHELD):
        table.loc[3, "split"] = split
        with pytest.raises(InputError, match="^no scene is left to evaluate: .*raise data.validation_fraction"):
            check_split(table, [1], {})
    for split in ("test", "validation"):
        table.loc[3, "split"] = split
        check_split(table, [1], {})
    check_split(table, [1], {}, trials="trials")
    table.loc[3, "split"] = "test"
    with pytest.raises(
        InputError, match="^tables.trials: 'trials' compares settings on validation rooms, and no class"
    ):
        check_split(table, [1], {}, trials="trials")


def test_a_class_whose_rooms_all_occur_in_test_stays_in_training():
    scenes = pd.DataFrame(
        {
            "class": ["a"] * 4 + ["b"] * 4,
            "room": ["a1", "a1", "a2", "a2", "b1", "b1", "b2", "b2"],
            "split": ["train", "test", "train", "test", "train", "train", "train", "test"],
        }
    )
    table = split_table(scenes, validation_fraction=0.5, seed=0)
    assert (table.loc[table["class"] == "a", "split"] == scenes.loc[scenes["class"] == "a", "split"]).all()
