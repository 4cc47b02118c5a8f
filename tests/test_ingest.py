"""From raw files to scenes.h5 and back, on small files in NYU Depth V2's layout; every kind of bad input."""

import os
import shutil
import subprocess
import sys
import zlib
from collections import namedtuple
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
from PIL import Image

from nyud2_files import HEIGHT, TYPES, WIDTH, named, pictures, write_both, write_labeled, write_splits
from semcom.common.errors import InputError
from semcom.data.ingest import ingest, write_scenes
from semcom.data.nyud2_layout import CLASSES, PUBLISHED_COUNTS
from semcom.data.readers.nyud2 import open_scenes
from semcom.data.scenes import load_scenes, scene_table, stored_spec
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, SURFACE_NORMALS, ModalitySpec
from semcom.data.splits import WITHHELD, split_table


def open_small(labeled, splits):
    return open_scenes(named(labeled, splits), published_counts=None)


@pytest.fixture
def files(tmp_path):
    return write_both(tmp_path)


@pytest.fixture
def scenes_h5(files, tmp_path):
    with open_small(*files) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    return tmp_path / "scenes.h5"


def error_on_opening(labeled, splits, **options) -> str:
    with pytest.raises(InputError) as error:
        open_scenes(named(labeled, splits), **{"published_counts": None, **options})
    message = str(error.value)
    assert "\n" not in message
    return message


# The reader


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_reader_undoes_matlabs_axis_order(tmp_path, chunk):
    rgb, depth = pictures(len(TYPES))
    with open_small(*write_both(tmp_path, chunk=chunk)) as source:
        assert len(source) == len(TYPES)
        for index in (0, 1, 7, 2, 3):
            images = source.read(index)
            assert images["rgb"].shape == (HEIGHT, WIDTH, 3)
            assert images["rgb"].dtype == np.uint8
            assert images["depth"].shape == (HEIGHT, WIDTH)
            assert images["depth"].dtype == np.float32
            assert (images["rgb"] == rgb[index]).all()
            assert (images["depth"] == depth[index]).all()


@pytest.mark.parametrize(
    "layout",
    [
        {},  # contiguous
        {"chunks": (1, WIDTH, HEIGHT)},
        {"chunks": (1, WIDTH, HEIGHT), "compression": "gzip"},  # unpacked by us, all others by HDF5
        {"chunks": (1, WIDTH, HEIGHT), "compression": "gzip", "shuffle": True},
        {"chunks": (1, WIDTH, HEIGHT), "compression": "lzf"},
        {"chunks": (1, 7, HEIGHT), "compression": "gzip"},
        {"chunks": (3, WIDTH, 5), "compression": "gzip"},
    ],
)
def test_reader_reads_any_layout(files, layout):
    _, depth = pictures(len(TYPES))
    depth = depth.round()  # packs, as noise does not
    with h5py.File(files[0], "r+") as file:
        del file["depths"]
        file.create_dataset("depths", data=depth.transpose(0, 2, 1), **layout)
    with open_small(*files) as source:
        for index in (0, 5, 7):
            assert (source.read(index)["depth"] == depth[index]).all()


@pytest.mark.parametrize("key", ["images", "depths"])
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("scenes_a_chunk", [1, 3])
def test_scenes_that_were_never_written_are_not_read_as_black(files, key, compression, scenes_a_chunk):
    """HDF5 gives its fill value, 0, for them."""
    with h5py.File(files[0], "r+") as file:
        whole = file[key][:]
        del file[key]
        chunks = (scenes_a_chunk, *whole.shape[1:])
        part = file.create_dataset(key, whole.shape, whole.dtype, chunks=chunks, compression=compression)
        part[:5] = whole[:5]
    left, of = (3, 8) if scenes_a_chunk == 1 else (1, 3)
    message = error_on_opening(*files)
    assert f"{files[0]}: key {key}: {left} of its {of} chunks were never written, the first with scene" in message
    assert f"scene {5 if scenes_a_chunk == 1 else 6} (from 0); set data.files.labeled_mat" in message


def test_an_array_in_one_piece_that_was_never_written_is_refused(files):
    with h5py.File(files[0], "r+") as file:
        shape = file["images"].shape
        del file["images"]
        file.create_dataset("images", shape, "u1")
    assert f"{files[0]}: key images was never written" in error_on_opening(*files)


@pytest.mark.parametrize("size", [WIDTH * HEIGHT - 1, WIDTH * HEIGHT + 1])
def test_chunk_of_another_size_is_damage(files, size):
    with h5py.File(files[0], "r+") as file:
        file["depths"].id.write_direct_chunk((2, 0, 0), zlib.compress(bytes(4 * size)))
    with (
        open_small(*files) as source,
        pytest.raises(
            InputError, match=rf"scene 2 .* holds (more than )?{min(size, WIDTH * HEIGHT) * 4} bytes instead"
        ),
    ):
        source.read(2)


BIG = 256 * 2**20
READ_ONE = """
import resource, sys
from pathlib import Path
from semcom.common.errors import InputError
from semcom.data.readers import nyud2
files = {"labeled_mat": Path(sys.argv[1]), "splits_mat": Path(sys.argv[2])}
with nyud2.open_scenes(files, published_counts=None) as source:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        source.read(2)
    except InputError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


@pytest.mark.parametrize(
    "layout", [{"chunks": (1, 640, 480)}, {"chunks": (1, 640, 480), "shuffle": True}, {"chunks": (3, 300, 480)}]
)
def test_a_chunk_that_unpacks_to_far_more_than_it_should_takes_no_memory(tmp_path, layout):
    rgb, depth = np.ones((8, 480, 640, 3), np.uint8), np.ones((8, 480, 640), np.float32)
    files = write_both(tmp_path, rgb=rgb, depth=depth)
    with h5py.File(files[0], "r+") as file:
        del file["depths"]
        depths = file.create_dataset("depths", data=depth.transpose(0, 2, 1), compression="gzip", **layout)
        depths.id.write_direct_chunk((2 - 2 % layout["chunks"][0], 0, 0), zlib.compress(bytes(BIG), 1))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", READ_ONE, *files], capture_output=True, text=True, check=True, env=environment
    )
    taken_mib, _, message = ran.stdout.partition(" ")
    assert int(taken_mib) < 32 and message.startswith(f"{files[0]}: scene 2 (from 0)") and "instead of" in message


def test_a_chunk_that_takes_far_more_than_it_should_in_the_file_is_not_read(files):
    with h5py.File(files[0], "r+") as file:
        file["depths"].id.write_direct_chunk((2, 0, 0), np.random.default_rng(0).bytes(10_000))
    with open_small(*files) as source, pytest.raises(InputError, match=r"a chunk of 960 bytes takes 10000 in the file"):
        source.read(2)


def test_a_string_of_any_length_is_not_read(files):
    with h5py.File(files[0], "r+") as file:
        file["scenes"][0, 5] = file.create_dataset("long", (2**40, 1), "u2", chunks=(1024, 1)).ref
    assert error_on_opening(*files).startswith(f"{files[0]}: key scenes: the string of scene 5 ")


def test_reader_gives_labels_rooms_and_split(files):
    with open_small(*files) as source:
        assert source.class_names == CLASSES
        assert source.scene_types == list(TYPES)
        assert [CLASSES[label] for label in source.labels] == [
            *("bedroom", "kitchen", "office", "others", "bedroom", "kitchen", "office", "others")
        ]
        assert source.rooms[3] == "cafe_0003"
        assert source.split.tolist() == ["train"] * 4 + ["test"] * 4
        assert source.modalities["depth"] == METRIC_DEPTH and source.modalities["rgb"] == COLOUR_IMAGE
        assert source.origin(3, "depth") == files[0]


@pytest.mark.parametrize("which", [0, 1])
def test_missing_file(files, which):
    files[which].unlink()
    message = error_on_opening(*files)
    assert str(files[which]) in message
    assert ("data.files.labeled_mat", "data.files.splits_mat")[which] in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(4096), "a MATLAB 5.0 file"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(4096), "a damaged MATLAB 7.3 file"),
        (b"\n<!DOCTYPE html><html>503</html>", "a web page"),
        (np.random.default_rng(1).bytes(5000), "of an unknown kind"),
        (b"", "empty"),
    ],
)
def test_labeled_file_of_another_kind(files, content, words):
    files[0].write_bytes(content)
    message = error_on_opening(*files)
    assert message.startswith(f"{files[0]}: not a MATLAB 7.3 (HDF5) file, but {words}")
    assert "data.files.labeled_mat" in message


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.999])
def test_truncated_labeled_file(files, kept):
    os.truncate(files[0], int(files[0].stat().st_size * kept))
    message = error_on_opening(*files)
    assert message.startswith(f"{files[0]}: the HDF5 file is truncated")
    assert message.endswith("to a whole copy, or leave data.files.labeled_mat out to have one downloaded")


@pytest.mark.parametrize("key", ["images", "depths", "sceneTypes", "scenes"])
def test_key_missing_or_a_group(files, key):
    with h5py.File(files[0], "r+") as file:
        del file[key]
    assert error_on_opening(*files).startswith(f"{files[0]}: key {key} is missing")
    with h5py.File(files[0], "r+") as file:
        file.create_group(key)
    assert error_on_opening(*files).startswith(f"{files[0]}: key {key} is a group")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("images", np.zeros((8, 3, WIDTH, HEIGHT), np.float64), "type float64, expected uint8"),
        ("images", np.zeros((8, WIDTH, HEIGHT), np.uint8), "shape (8, 20, 12), expected (N, 3, W, H)"),
        ("images", np.zeros((HEIGHT, WIDTH, 3, 8), np.uint8), "shape (12, 20, 3, 8), expected (N, 3, W, H)"),
        ("depths", np.zeros((8, WIDTH, HEIGHT), np.uint16), "type uint16, expected float32"),
        ("depths", np.zeros((8, 1, WIDTH, HEIGHT), np.float32), "shape (8, 1, 20, 12), expected (N, W, H)"),
        ("sceneTypes", np.zeros((1, 8)), "type float64, expected object references"),
    ],
)
def test_wrong_shape_or_type(files, key, value, words):
    with h5py.File(files[0], "r+") as file:
        del file[key]
        file[key] = value
    message = error_on_opening(*files)
    assert message.startswith(f"{files[0]}: key {key} has ")
    assert words in message


def test_images_and_depths_that_do_not_fit(files):
    _, depth = pictures(8)
    write_labeled(files[0], depth=depth[:7])
    assert error_on_opening(*files).startswith(f"{files[0]}: keys images and depths hold 8 and 7 scenes")
    write_labeled(files[0], depth=depth[:, :, :-1])
    assert error_on_opening(*files).startswith(f"{files[0]}: keys images and depths are (20, 12) and (19, 12) pixels")


@pytest.mark.parametrize("key", ["sceneTypes", "scenes"])
def test_a_scene_without_a_string(files, key):
    with h5py.File(files[0], "r+") as file:
        file[key][0, 5] = h5py.Reference()
    assert error_on_opening(*files).startswith(f"{files[0]}: key {key}: the string of scene 5 ")


@pytest.mark.parametrize("key", ["sceneTypes", "scenes"])
def test_fewer_strings_than_scenes(files, key):
    with h5py.File(files[0], "r+") as file:
        del file[key]
        file.create_dataset(key, (1, 7), h5py.ref_dtype)
    assert error_on_opening(*files).startswith(f"{files[0]}: key {key} has shape (1, 7), but images holds 8 scenes")


def test_unknown_scene_type(tmp_path):
    labeled, splits = write_both(tmp_path, types=("bedroom", "spaceship"))
    message = error_on_opening(labeled, splits)
    assert message.startswith(f"{labeled}: key sceneTypes: unknown scene type 'spaceship' at scene 1 ")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (range(1, 5), range(5, 10), "key testNdxs has scene number 9, outside 1 to 8"),
        (range(4), range(4, 9), "key trainNdxs has scene number 0, outside 1 to 8"),
        (range(1, 6), range(5, 9), "scene number 5 is in both trainNdxs and testNdxs"),
        (range(1, 4), range(5, 9), "keys trainNdxs and testNdxs leave out 1 of 8 scenes, the first is scene number 4"),
        ([1, 2, 2, 3, 4], range(5, 9), "key trainNdxs has scene number 2 twice"),
        ([], range(1, 9), "key trainNdxs is not a list of scene numbers"),
    ],
)
def test_split_that_is_no_partition(files, train, test, words):
    write_splits(files[1], train, test)
    message = error_on_opening(*files)
    assert message.startswith(f"{files[1]}: {words}")
    assert message.endswith("use the original splits.mat that belongs to the labelled file")


def test_splits_file_of_another_kind(files):
    scipy.io.savemat(files[1], {"trainNdxs": [1]})
    assert error_on_opening(*files).startswith(f"{files[1]}: key testNdxs is missing")
    whole = write_splits(files[1], range(1, 5), range(5, 9)).read_bytes()
    for content, words in (
        (files[0].read_bytes(), "a MATLAB 7.3 file, expected MATLAB 5.0"),
        (whole[:150], "not a readable MATLAB 5.0 file, but a damaged MATLAB 5.0 file"),
        (b"<html>404</html>" * 20, "not a readable MATLAB 5.0 file, but a web page"),
        (b"", "not a readable MATLAB 5.0 file, but empty"),
    ):
        files[1].write_bytes(content)
        assert error_on_opening(*files).startswith(f"{files[1]}: {words}")


# Ingest


def test_scenes_are_written_as_read(files, scenes_h5):
    rgb, depth = pictures(len(TYPES))
    with h5py.File(scenes_h5) as file:
        assert file["rgb"].shape == (8, 3, 8, 8)
        assert file["depth"].shape == (8, 1, 8, 8)
        assert file["rgb"].chunks is None  # contiguous
        assert stored_spec(file["depth"]) == METRIC_DEPTH and stored_spec(file["rgb"]) == COLOUR_IMAGE
        assert file["source_index"][:].tolist() == list(range(8))
        assert file.attrs["source_files"].tolist() == ["labeled.mat", "splits.mat"]
        assert file.attrs["source_bytes"].tolist() == [path.stat().st_size for path in files]
        for index in range(8):
            expected = np.asarray(Image.fromarray(rgb[index]).resize((8, 8), Image.Resampling.BILINEAR))
            # One grey level: 8-bit resizing rounds between its two passes, and their order differs.
            assert np.abs(file["rgb"][index].transpose(1, 2, 0).astype(int) - expected).max() <= 1
            expected = np.asarray(Image.fromarray(depth[index]).resize((8, 8), Image.Resampling.BILINEAR))
            np.testing.assert_allclose(file["depth"][index, 0], expected, rtol=1e-5)
        train = file["rgb"][:4] / 255
        np.testing.assert_allclose(file["rgb"].attrs["mean"], train.mean(axis=(0, 2, 3)))
        np.testing.assert_allclose(file["rgb"].attrs["std"], train.std(axis=(0, 2, 3)))
        train = file["depth"][:4].astype(np.float64)
        np.testing.assert_allclose(file["depth"].attrs["mean"], train.mean(axis=(0, 2, 3)))
        np.testing.assert_allclose(file["depth"].attrs["std"], train.std(axis=(0, 2, 3)))


def test_top_left_stays_top_left(tmp_path):
    rgb, depth = np.zeros((8, HEIGHT, WIDTH, 3), np.uint8), np.ones((8, HEIGHT, WIDTH), np.float32)
    rgb[:, : HEIGHT // 2, :, 0] = 200  # red above
    rgb[:, :, WIDTH // 2 :, 2] = 100  # blue on the right
    depth[:, : HEIGHT // 4, : WIDTH // 4] = 5  # far in the top left quarter
    with open_small(*write_both(tmp_path, rgb=rgb, depth=depth)) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=4)
    with h5py.File(tmp_path / "scenes.h5") as file:
        red, green, blue = file["rgb"][0]
        assert red[0].min() > 180
        assert red[-1].max() < 20
        assert green.max() == 0
        assert blue[:, -1].min() > 80
        assert blue[:, 0].max() < 20
        assert np.unravel_index(file["depth"][0, 0].argmax(), (4, 4)) == (0, 0)


def test_ingest_checks_and_writes_the_counts(files, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="class bedroom has 1 training and 1 test scenes, published are 192 and 191"):
        ingest(
            "nyud2", named(*files), tmp_path / "out" / "scenes.h5", size=8, counts_csv=tmp_path / "out" / "counts.csv"
        )
    assert not list((tmp_path / "out").glob("*"))
    small = {name: (0, 0) for name in CLASSES} | dict.fromkeys(("bedroom", "kitchen", "office", "others"), (1, 1))
    monkeypatch.setattr(
        "semcom.data.readers.nyud2.open_scenes", lambda *args: open_scenes(*args, published_counts=small)
    )
    calls = []
    counts = ingest(
        "nyud2",
        named(*files),
        tmp_path / "out" / "scenes.h5",
        size=8,
        counts_csv=tmp_path / "out" / "counts.csv",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 8) for done in range(1, 9)]
    assert counts.iloc[0].tolist() == ["bedroom", 1, 1, 2]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "counts.csv"), counts)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["counts.csv", "scenes.h5"]


def test_first_class_that_differs_is_named_before_a_pixel_is_read(tmp_path):
    types = [name for name in CLASSES if name != "others"] * 2 + ["cafe"] * 2
    labeled, splits = write_both(tmp_path, types=types, rooms=[str(i) for i in range(20)])
    write_splits(splits, range(1, 10), range(10, 21))
    published = {name: (1, 1) for name in CLASSES} | {"office": (2, 1), "others": (0, 2)}
    with open_scenes(named(labeled, splits), published_counts=published) as source:
        source.read = None
        with pytest.raises(InputError) as error:
            write_scenes(source, tmp_path / "scenes.h5", size=8)
    assert "class office has 1 training and 1 test scenes, published are 2 and 1" in str(error.value)
    assert str(labeled) in str(error.value)


def test_published_counts_are_the_default(files):
    with open_scenes(named(*files)) as source:
        assert source.published_counts is PUBLISHED_COUNTS


def test_unknown_reader(files, tmp_path):
    for name in ("nosuch", "_private", "../x", "a.b"):
        with pytest.raises(InputError, match="unknown readers entry"):
            ingest(name, named(*files), tmp_path / "scenes.h5", size=8, counts_csv=tmp_path / "counts.csv")


@pytest.mark.parametrize(
    ("value", "everywhere", "words"),
    [
        (np.nan, False, "NaN or infinite values"),
        (np.inf, False, "NaN or infinite values"),
        (-np.inf, False, "NaN or infinite values"),
        (-0.5, False, "values from -0.5 to "),
        (32.8, False, "to 32.8, expected 0 to 32.767 m"),
        (1e30, False, "to 1e+30, expected 0 to 32.767 m; 1 of 240 pixels lie outside"),
        (0, True, "the one value 0.0 in all of 12 x 20 pixels"),
        (2.5, True, "the one value 2.5 in all of 12 x 20 pixels"),
    ],
)
def test_impossible_depth_leaves_an_older_file_untouched(tmp_path, value, everywhere, words):
    _, depth = pictures(8)
    if everywhere:
        depth[5] = value
    else:
        depth[5, 3, 4] = value
    labeled, splits = write_both(tmp_path, depth=depth)
    path = tmp_path / "out" / "scenes.h5"
    path.parent.mkdir()
    path.write_bytes(b"older")
    with open_small(labeled, splits) as source, pytest.raises(InputError) as error:
        write_scenes(source, path, size=8)
    assert str(error.value).startswith(f"{labeled}: depth of scene 5 (from 0) has ")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == b"older"
    assert list(path.parent.iterdir()) == [path]


class OneBadScene:
    """Eight scenes of three modalities, of which scene 5 is as a test wants it; a `SceneSource`."""

    class_names = ("a", "b")
    labels = np.arange(8) % 2
    scene_types = rooms = list("abcdefgh")
    split = np.array(["train"] * 5 + ["test"] * 3)
    published_counts = None

    def __init__(self, folder, name, bad, **modalities):
        self.modalities = {"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH, "normals": SURFACE_NORMALS} | modalities
        self.files = (folder,)
        self.bad = {name: bad}

    def __len__(self):
        return 8

    def origin(self, index, modality):
        return self.files[0] / f"{index}-{modality}.png"

    def read(self, index):
        good = {
            name: np.full((6, 4, spec.channels)[: 2 + (spec.channels > 1)], 1, spec.dtype)
            for name, spec in self.modalities.items()
        }
        for image in good.values():
            image[:3] = 2
        return good | self.bad if index == 5 else good


KELVIN = ModalitySpec(channels=1, dtype="float32", unit="K", photometry="plain", range=(250.0, 320.0), step=0.01)


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        ("rgb", np.zeros((6, 4, 4), np.uint8), "has shape (6, 4, 4), expected (H, W, 3)"),  # RGBA
        ("rgb", np.zeros((6, 4), np.uint8), "has shape (6, 4), expected (H, W, 3)"),
        ("rgb", np.zeros((6, 4, 3), np.float32), "has type float32, expected uint8"),
        ("rgb", None, "is missing"),
        ("normals", np.zeros((6, 0, 3), np.uint8), "holds no pixel"),
        ("depth", np.ones((6, 4)), "has type float64, expected float32"),
        ("depth", np.ones((6, 4, 1), np.float32), "has shape (6, 4, 1), expected (H, W)"),
        ("depth", np.full((6, 4), 2500, np.float32), "from 2500 to 2500, which look like millimetres or another unit"),
        ("rgb", np.zeros((6, 4, 3), np.uint8), "has the one value [0 0 0] in all of 6 x 4 pixels, as if never written"),
        ("normals", np.full((6, 4, 3), (0, 128, 255), np.uint8), "has the one value [  0 128 255]"),
    ],
)
def test_an_array_that_is_not_what_its_modality_says_is_refused(tmp_path, name, bad, words):
    source = OneBadScene(tmp_path, name, bad)
    with pytest.raises(InputError) as error:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/5-{name}.png: {name} of scene 5 (from 0) ") and words in message
    assert "\n" not in message and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"photometry": "thermal"}, "photometry is one of colour, depth, normals, plain"),
        ({"photometry": "colour"}, "photometry colour has 3 channels"),
        ({"photometry": "depth"}, "in metres"),
        ({"dtype": "float64"}, "dtype is uint8 or float32"),
        ({"step": None}, "a float32 modality has a step"),
        ({"dtype": "uint8"}, "a uint8 one has none"),
        ({"range": (320.0, 250.0)}, "ascending"),
        ({"range": (250.0, 328.0)}, "beyond 32767 steps"),
    ],
)
def test_a_modality_whose_parts_do_not_fit_is_refused(changes, words):
    with pytest.raises(InputError) as error:
        replace(KELVIN, **changes)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_any_quantity_is_stored_and_read_back_in_its_unit(tmp_path):
    source = OneBadScene(tmp_path, "heat", np.full((6, 4), 310.25, np.float32), heat=KELVIN)
    source.read = lambda index, read=source.read: read(index) | {"heat": np.full((6, 4), 300 + index, np.float32)}
    source.origin = lambda index, modality: tmp_path / "raw"  # within the folder that `files` names
    (tmp_path / "raw").write_bytes(bytes(10))
    path = tmp_path / "scenes.h5"
    write_scenes(source, path, size=8)
    with h5py.File(path) as file:
        assert {name: stored_spec(file[name]) for name in file.attrs["modalities"]} == source.modalities
        assert file.attrs["source_bytes"].tolist() == [10]  # of a folder, what was read there
    scenes = load_scenes(path, scene_table(path), device="cpu")
    heat, normals = scenes.modalities["heat"], scenes.modalities["normals"]
    assert (heat.unit, heat.photometry, heat.zero) == ("K", "plain", 0)
    np.testing.assert_allclose(scenes.images["heat"][3].double() * heat.scale + heat.zero, 303)
    assert heat.mean == (302,)
    assert heat.std == pytest.approx((2**0.5,))
    assert (normals.zero, normals.scale) == (-1, 2 / 255) and normals.mean == pytest.approx((1.5 * 2 / 255 - 1,) * 3)


@pytest.mark.parametrize("scale", [1 / 10, 1 / 1000])
def test_depth_that_is_nowhere_as_far_as_a_room_reaches_is_refused(tmp_path, scale):
    """Scaled to 0 to 1, or in kilometres."""
    _, depth = pictures(8)
    labeled, splits = write_both(tmp_path, depth=depth * np.float32(scale))
    with open_small(labeled, splits) as source, pytest.raises(InputError) as error:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    message = str(error.value)
    assert message.startswith(f"{labeled}: depth reaches {depth.max() * scale:g} m at most in all 8 scenes")
    assert "give metres" in message and "\n" not in message and not (tmp_path / "scenes.h5").exists()


def test_depth_of_a_reader_that_says_it_is_near_is_taken(tmp_path):
    near = replace(METRIC_DEPTH, range=(0.0, 1.0))
    source = OneBadScene(tmp_path, "depth", np.linspace(0.2, 0.9, 24, dtype=np.float32).reshape(6, 4), depth=near)
    source.read = lambda index, read=source.read: read(index) | {"depth": source.bad["depth"]}
    (tmp_path / "raw").touch()
    source.origin = lambda index, modality: tmp_path / "raw"
    write_scenes(source, tmp_path / "scenes.h5", size=8)


def test_depth_that_is_far_on_average_is_said(tmp_path, caplog):
    _, depth = pictures(8)
    labeled, splits = write_both(tmp_path, depth=depth * 3)
    with open_small(labeled, splits) as source, caplog.at_level("WARNING"):
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    assert f"{labeled}: the mean of depth over the training scenes is " in caplog.text and "metres?" in caplog.text


def test_moments_are_those_of_the_values_that_training_reads(tmp_path):
    _, depth = pictures(8)
    depth[0, 3:5, 4:8] = 32.767
    with open_small(*write_both(tmp_path, depth=depth)) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    path = tmp_path / "scenes.h5"
    scenes = load_scenes(path, scene_table(path), device="cpu")
    for name, meaning in scenes.modalities.items():
        values = scenes.images[name][:4].double() * meaning.scale + meaning.zero
        np.testing.assert_allclose(meaning.mean, values.mean(dim=(0, 2, 3)), atol=2e-4)
        np.testing.assert_allclose(meaning.std, values.std(dim=(0, 2, 3), correction=0), atol=2e-4)


def test_zero_depth_in_places_is_no_fault(tmp_path):
    _, depth = pictures(8)
    depth[5, 3, 4] = 0
    with open_small(*write_both(tmp_path, depth=depth)) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=8)


def test_damage_inside_a_chunk_names_the_scene(files, tmp_path):
    with h5py.File(files[0]) as file:
        chunk = file["depths"].id.get_chunk_info(2)
    with files[0].open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    with open_small(*files) as source, pytest.raises(InputError) as error:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    assert str(error.value).startswith(f"{files[0]}: scene 2 (from 0) of keys images, depths is damaged")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("scenes.h5*"))


def test_no_room_on_disk(files, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    with open_small(*files) as source, pytest.raises(InputError, match=r"scenes\.h5: needs 0 MB, but 0 MB are free"):
        write_scenes(source, tmp_path / "scenes.h5", size=8)


def test_disk_full_during_the_counts(files, tmp_path, monkeypatch):
    monkeypatch.setattr("semcom.data.readers.nyud2.open_scenes", lambda files: open_small(*files.values()))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        (disk / "filler").write_bytes(bytes(4096))
        with pytest.raises(InputError, match=r"counts\.csv: the disk is full"):
            ingest("nyud2", named(*files), tmp_path / "scenes.h5", size=8, counts_csv=disk / "counts.csv")
        assert [path.name for path in disk.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_disk_full_during_the_scenes(files, tmp_path, monkeypatch):
    """A real full disk where mounting is allowed: HDF5 meets it in a write, a flush or only on closing."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 10**9))
        for size in (96, 150, 192):
            with open_small(*files) as source, pytest.raises(InputError, match=r"scenes\.h5: the disk is full"):
                write_scenes(source, disk / "scenes.h5", size=size)
            assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_ingest_does_not_import_torch():
    code = "import sys, semcom.data.scenes, semcom.data.readers.nyud2; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


# Loading


def test_scenes_are_loaded_as_integers(scenes_h5, tmp_path):
    table = split_table(scene_table(scenes_h5), validation_fraction=0, seed=0)
    table.loc[1, "split"] = "validation"
    table.to_csv(tmp_path / "splits.csv", index=False)
    for splits in (table, tmp_path / "splits.csv"):
        scenes = load_scenes(scenes_h5, splits, device="cpu")
        assert {name: index.tolist() for name, index in scenes.indices.items()} == {
            "train": [0, 2, 3],
            "validation": [1],
            "test": [4, 5, 6, 7],
        }
    assert len(scenes) == 8
    withheld = table.replace({"split": {"test": WITHHELD}})
    assert set(load_scenes(scenes_h5, withheld, device="cpu").indices) == {"train", "validation"}
    assert scenes.class_names == CLASSES
    assert scenes.labels.dtype == torch.int64
    assert scenes.device == torch.device("cpu")
    with h5py.File(scenes_h5) as file:
        assert (scenes.images["rgb"].numpy() == file["rgb"][:]).all()
        assert scenes.images["depth"].dtype == torch.int16
        np.testing.assert_allclose(scenes.images["depth"].numpy() * 0.001, file["depth"][:], atol=0.000501)
    rgb, depth = scenes.modalities["rgb"], scenes.modalities["depth"]
    assert (rgb.channels, rgb.scale, depth.channels, depth.scale) == (3, 1 / 255, 1, 0.001)
    values = scenes.images["rgb"][:4].double() * rgb.scale  # the official training scenes
    np.testing.assert_allclose(values.mean(dim=(0, 2, 3)), rgb.mean)
    np.testing.assert_allclose(values.std(dim=(0, 2, 3), correction=0), rgb.std)
    batch = scenes.batch(scenes.indices["train"])
    assert {name: tuple(images.shape) for name, images in batch.items()} == {"rgb": (3, 3, 8, 8), "depth": (3, 1, 8, 8)}


def test_the_farthest_depth_that_int16_holds_is_kept(tmp_path):
    _, depth = pictures(8)
    depth[0, :, 1:] = 32.767  # all but the first column: one value all over is refused
    with open_small(*write_both(tmp_path, depth=depth)) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    path = tmp_path / "scenes.h5"
    assert (load_scenes(path, scene_table(path), device="cpu").images["depth"][0, 0, :, 2:] == 32767).all()


def test_file_that_is_not_scenes(scenes_h5, files, tmp_path):
    table = scene_table(scenes_h5)
    whole = scenes_h5.read_bytes()
    path = tmp_path / "other.h5"

    def error() -> str:
        with pytest.raises(InputError) as caught:
            load_scenes(path, table, device="cpu")
        with pytest.raises(InputError):
            scene_table(path)
        return str(caught.value)

    assert error().startswith(f"{path}: not found")
    path.write_bytes(b"hello" * 1000)
    assert error().startswith(f"{path}: not an HDF5 file")
    for kept in (0.3, 0.99):
        path.write_bytes(whole[: int(len(whole) * kept)])
        assert error().startswith(f"{path}: damaged or truncated")
    shutil.copy(files[0], path)
    assert error().startswith(f"{path}: attribute format is not 'semcom-scenes'")
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99
    assert error().startswith(f"{path}: attribute version is 99, this program reads 2")
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["label"]
    assert error().startswith(f"{path}: damaged")


def test_split_table_of_other_scenes(scenes_h5, tmp_path):
    table = scene_table(scenes_h5)
    path = tmp_path / "splits.csv"

    def error(changed: pd.DataFrame) -> str:
        changed.to_csv(path, index=False)
        with pytest.raises(InputError) as caught:
            load_scenes(scenes_h5, path, device="cpu")
        return str(caught.value)

    assert error(table.drop(columns="room")).startswith(f"{path}: column room is missing")
    assert error(table[:-1]).startswith(f"{path}: column scene does not fit the scenes in {scenes_h5}")
    assert error(table.replace({"class": {"office": "kitchen"}})).startswith(f"{path}: column class does not fit")
    assert error(table.replace({"split": {"test": "tets"}})).startswith(f"{path}: column split has 'tets'")
    first = {official: int((table["split"] == official).to_numpy().argmax()) for official in ("train", "test")}
    for official, read, allowed in (
        *(("test", read, "test or withheld") for read in ("train", "validation")),
        *(("train", read, "train or validation") for read in ("test", "withheld")),
    ):
        changed = table.copy()
        changed.loc[first[official], "split"] = read
        assert error(changed) == (
            f"{path}: scene {first[official]} is an official {official} scene and reads '{read}', where only {allowed} may "
            "stand; make the split again"
        )
    path.unlink()
    with pytest.raises(InputError, match=r"splits\.csv: cannot be read \(No such file or directory\); put it there"):
        load_scenes(scenes_h5, path, device="cpu")


def test_only_the_modalities_asked_for_are_read(scenes_h5):
    table = scene_table(scenes_h5)
    assert list(load_scenes(scenes_h5, table, device="cpu", modalities=["depth"]).images) == ["depth"]
    with pytest.raises(InputError, match=r"has no modality 'lidar', only rgb, depth; correct `modalities`"):
        load_scenes(scenes_h5, table, device="cpu", modalities=["rgb", "lidar"])
