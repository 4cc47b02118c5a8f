"""The real scenes of NYU Depth V2, where a folder of them is at hand.

SEMCOM_NYUD2_FOLDER names a folder with rgb/NNNN.jpg, depth/NNNN.png (16-bit, millimetres), index.csv, splits.mat, and
make_labeled_mat.py, which assembles a file in the original's layout from them.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semcom.data.ingest import ingest
from semcom.data.nyud2_layout import CLASSES, PUBLISHED_COUNTS
from semcom.data.scenes import load_scenes, scene_table
from semcom.data.splits import label_subset, split_table

FOLDER = os.environ.get("SEMCOM_NYUD2_FOLDER")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="SEMCOM_NYUD2_FOLDER is not set")

SIZE = 48


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """`scenes.h5` and the counts that `ingest` returned."""
    folder = tmp_path_factory.mktemp("nyud2")
    labeled = folder / "labeled.mat"
    subprocess.run([sys.executable, Path(FOLDER, "make_labeled_mat.py"), labeled, "--size", "96", "72"], check=True)
    path = folder / "scenes.h5"
    counts = ingest(
        "nyud2",
        {"labeled_mat": labeled, "splits_mat": Path(FOLDER, "splits.mat")},
        path,
        size=SIZE,
        counts_csv=folder / "counts.csv",
    )
    labeled.unlink()
    return path, counts


@pytest.fixture(scope="module")
def index():
    return pd.read_csv(Path(FOLDER, "index.csv"))


def test_published_counts(ingested):
    _, counts = ingested
    assert {row["class"]: (row.train, row.test) for _, row in counts.iterrows()} == PUBLISHED_COUNTS
    assert (counts["train"].sum(), counts["test"].sum(), counts["total"].sum()) == (795, 654, 1449)


def test_classes_and_official_split(ingested, index):
    table = scene_table(ingested[0])
    assert table["class"].tolist() == index["class10"].tolist()
    assert table["scene_type"].tolist() == index["scene_type"].tolist()
    assert table["split"].tolist() == index["split"].tolist()
    rooms = index["scene_type"] + "_" + index["block"].map("{:04d}".format)
    assert table["room"].tolist() == rooms.tolist()


def test_images_are_the_scenes_own(ingested):
    with h5py.File(ingested[0]) as file:
        for scene in range(0, 1449, 60):
            stem = f"{scene + 1:04d}"
            picture = Image.open(Path(FOLDER, "rgb", f"{stem}.jpg"))
            expected = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
            assert np.abs(file["rgb"][scene].transpose(1, 2, 0) - expected).mean() < 4


def test_depth_is_in_metres(ingested):
    with h5py.File(ingested[0]) as file:
        for scene in range(0, 1449, 60):
            depth = file["depth"][scene, 0]
            metres = np.asarray(Image.open(Path(FOLDER, "depth", f"{scene + 1:04d}.png")), np.float32) / 1000
            expected = np.asarray(Image.fromarray(metres).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
            # The median: at the edges of objects a blended depth depends on how often it was resized.
            assert np.median(np.abs(depth - expected)) < 0.02
            assert abs(depth.mean() - metres.mean()) < 0.005


def test_loaded_with_validation_rooms(ingested):
    table = split_table(scene_table(ingested[0]), validation_fraction=0.2, seed=0)
    assert (table.groupby("room")["split"].nunique() == 1).all()
    scenes = load_scenes(ingested[0], table, device="cpu")
    assert len(scenes.indices["test"]) == 654
    assert len(scenes.indices["train"]) + len(scenes.indices["validation"]) == 795
    assert abs(len(scenes.indices["validation"]) / 795 - 0.2) < 0.02
    labels = scenes.labels[scenes.indices["train"]].numpy()
    assert set(labels[label_subset(labels, 0.1, 0, CLASSES)]) == set(range(10))
