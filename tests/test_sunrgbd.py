"""SUN RGB-D's folder layout, on a miniature of it."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from semcom.common.errors import InputError
from semcom.data.ingest import ingest
from semcom.data.readers.sunrgbd import CLASSES, files_read, metres, open_scenes
from semcom.data.scenes import scene_table

SCENES = {  # folder within SUNRGBD: split and type
    "kv1/NYUdata/NYU0001": ("test", "bedroom"),
    "kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize": ("train", "office"),
    "kv2/kinect2data/000003_2014-05-26_14-23-37_260595134347_rgbf000203-resize": ("train", "office"),
    "xtion/sun3ddata/brown_bm_1/brown_bm_1/0000001-000000020431": ("train", "lab"),
    "xtion/sun3ddata/brown_bm_1/scan_2/0000007-000000100000": ("train", "lab"),
    "realsense/lg/2014-10-21-19-59-15-1001-0000103": ("train", "idk"),  # not one of the 19 types
    "kv1/b3dodata/img_0063": ("test", "dining_area"),
}


def stored(depth_mm: np.ndarray) -> np.ndarray:
    """16 bits rotated to the left by three, worked out on their digits."""
    digits = [f"{int(value):016b}" for value in depth_mm.ravel()]
    return np.array([int(d[3:] + d[:3], 2) for d in digits], np.uint16).reshape(depth_mm.shape)


def depth_mm(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(500, 7999, (12, 16), np.uint16)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "SUNRGBD"
    for number, (name, (_, kind)) in enumerate(SCENES.items()):
        for part in ("image", "depth_bfx", "annotation2Dfinal"):
            (root / name / part).mkdir(parents=True)
        rgb = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(rgb).save(root / name / "image/0001.jpg", quality=95)
        Image.fromarray(stored(depth_mm(number))).save(root / name / "depth_bfx/0001_abs.png")
        (root / name / "annotation2Dfinal/index.json").write_text("{}")
        (root / name / "scene.txt").write_text(kind)
    return root


@pytest.fixture
def split(tmp_path):
    """`allsplit.mat` with the paths of its authors' machine, one of them with a slash at its end."""
    lists = {}
    for key, wanted in (("alltrain", "train"), ("alltest", "test")):
        paths = [f"/n/fs/sun3d/data/SUNRGBD/{name}" for name, (which, _) in SCENES.items() if which == wanted]
        paths[0] += "/"
        lists[key] = np.array([paths], dtype=object)
    scipy.io.savemat(tmp_path / "allsplit.mat", lists)
    return tmp_path / "allsplit.mat"


def refused(root, split) -> str:
    with pytest.raises(InputError) as error:
        open_scenes({"scenes": root, "split": split})
    with pytest.raises(InputError):
        files_read({"scenes": root, "split": split})
    assert "\n" not in str(error.value)
    return str(error.value)


def test_depth_is_rotated_millimetres_and_at_most_8_m():
    values = np.array([[0, 1, 7], [1234, 7999, 65535]], np.uint16)
    np.testing.assert_allclose(metres(stored(values)), [[0, 0.001, 0.007], [1.234, 7.999, 8]], rtol=1e-6)
    assert metres(stored(values)).dtype == np.float32


def test_scenes_of_the_19_types_are_read(root, split):
    assert len(set(CLASSES)) == 19
    with open_scenes({"scenes": root, "split": split}) as source:
        assert source.scene_types == ["office", "office", "lab", "lab", "bedroom", "dining_area"]
        assert source.split.tolist() == ["train"] * 4 + ["test"] * 2
        assert [source.class_names[label] for label in source.labels] == source.scene_types
        images = source.read(2)  # brown_bm_1, the fourth of SCENES
        np.testing.assert_allclose(images["depth"], depth_mm(3) / 1000, rtol=1e-6)
        assert images["rgb"].shape == (12, 16, 3) and images["rgb"].dtype == np.uint8


def test_frames_of_one_place_share_a_room(root, split):
    with open_scenes({"scenes": root, "split": split}) as source:
        office, same_office, space, same_space, bedroom, dining = source.rooms
    assert office == same_office == "kv2/kinect2data/2014-05-26_14-23-37_260595134347"
    assert space == same_space == "xtion/sun3ddata/brown_bm_1"
    assert (bedroom, dining) == ("kv1/NYUdata/NYU0001", "kv1/b3dodata/img_0063")


def test_a_text_file_splits_as_well(root, split, tmp_path):
    text = tmp_path / "split.txt"
    text.write_text("".join(f"{which} {name}\n" for name, (which, _) in SCENES.items()) + "\n")
    with open_scenes({"scenes": root, "split": text}) as source:
        assert sorted(source.scene_types) == ["bedroom", "dining_area", "lab", "lab", "office", "office"]
    text.write_text("validation kv1/NYUdata/NYU0001\n")
    assert "line 1 is 'validation kv1" in refused(root, text)
    text.write_text("train kv1/NYUdata/NYU0001\ntest kv1/NYUdata/NYU0001/\n")
    assert "lists kv1/NYUdata/NYU0001 twice" in refused(root, text)


def test_it_is_ingested_and_every_file_read_is_listed(root, split, tmp_path):
    files = {"scenes": root, "split": split}
    counts = ingest("sunrgbd", files, tmp_path / "scenes.h5", size=8, counts_csv=tmp_path / "counts.csv")
    assert counts["train"].sum() == 4 and counts["test"].sum() == 2 and len(scene_table(tmp_path / "scenes.h5")) == 6
    listed = files_read(files)
    assert len(listed) == len(set(listed)) == 1 + 7 + 2 * 6 and all(path.is_file() for path in listed)
    assert not [path for path in listed if "annotation" in str(path)]


def test_what_is_missing_is_named_in_one_line(root, split):
    scene = root / "kv1/NYUdata/NYU0001"
    (scene / "depth_bfx/second.png").write_bytes(b"")
    assert f"{scene}/depth_bfx: holds 2 .png files, expected one" in refused(root, split)
    (scene / "depth_bfx/second.png").unlink()
    (scene / "scene.txt").unlink()
    assert f"{scene}/scene.txt: cannot be read" in refused(root, split)
    (scene / "scene.txt").write_text("garage")
    scipy.io.savemat(split, {"alltrain": np.array([["SUNRGBD/kv1/NYUdata/NYU0001"]], dtype=object)})
    assert "key alltest is missing" in refused(root, split)
    split.write_bytes(b"<html>")
    assert f"{split}: not a list of scene folders" in refused(root, split)
