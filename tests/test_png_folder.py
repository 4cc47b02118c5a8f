"""A folder of PNG files with three modalities: the reader, surface normals, and the workflow as far as its figures."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT, run_snakemake
from semcom.commands.render_png_folder import main as render
from semcom.common.errors import InputError
from semcom.config.loading import load_config
from semcom.data.ingest import ingest
from semcom.data.readers.png_folder import files_read, open_scenes
from semcom.data.scenes import scene_table
from semcom.rooms.dataset import render_room, rooms
from semcom.rooms.png_writer import surface_normals


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("png") / "rooms"
    assert render([str(folder), "--train", "40", "--test", "20", "--size", "40"]) == 0
    return folder


@pytest.fixture
def folder(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "rooms")


def raw(folder):
    return {"scenes": folder, "rooms": folder / "rooms.csv"}


def refused(folder, **changes):
    with pytest.raises(InputError) as error, open_scenes(raw(folder) | changes) as source:
        for index in range(len(source)):
            source.read(index)
    assert "\n" not in str(error.value)
    return str(error.value)


# Surface normals


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.5, 0.0), (0.0, -0.4), (-0.7, 0.3)])
def test_normals_of_a_plane_are_its_own(slope):
    """The plane z = -3 + a x + b y, with z towards the camera, has the normal (-a, -b, 1)."""
    a, b = slope
    height, width, focal = 12, 16, 20.0
    u = (np.arange(width) - (width - 1) / 2) / focal
    v = ((height - 1) / 2 - np.arange(height)[:, None]) / focal
    depth = 3 / (1 + a * u + b * v)  # d where (d u, d v, -d) lies on the plane
    found = surface_normals(depth, focal)
    expected = np.array([-a, -b, 1]) / np.sqrt(a * a + b * b + 1)
    np.testing.assert_allclose(found[1:-1, 1:-1], np.broadcast_to(expected, (10, 14, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)


# The reader


def test_the_reader_gives_back_what_was_rendered(rendered):
    room = next(room for room in rooms(40, 20, 0) if room.part == "train" and room.label == "kitchen")
    scene = next(render_room(room, 40, 40, 0))
    with open_scenes(raw(rendered)) as source:
        index = source.rooms.index(scene.scene)
        images = source.read(index)
        assert list(source.modalities) == ["rgb", "depth", "normals"] and len(source) == 60
        assert source.class_names[source.labels[index]] == "kitchen"
        assert source.split.tolist() == ["train"] * 40 + ["test"] * 20
        assert source.origin(index, "depth").name == "depth.png"
    assert (images["rgb"] == scene.rgb).all()
    np.testing.assert_allclose(images["depth"], scene.depth, atol=0.00051)
    np.testing.assert_allclose(
        images["normals"] / 255 * 2 - 1, surface_normals(scene.depth, scene.focal), atol=1 / 255 + 1e-6
    )


def test_every_file_that_is_read_is_listed(folder):
    (folder / "train/kitchen/.hidden").mkdir()
    (folder / "notes.txt").write_text("not read")
    listed = files_read(raw(folder))
    assert len(listed) == len(set(listed)) == 1 + 3 * 60 and all(path.is_file() for path in listed)


def test_rooms_are_the_scenes_own_without_a_table(folder):
    with open_scenes({"scenes": folder}) as source:
        assert len(set(source.rooms)) == len(source)
        assert source.rooms[0].startswith("train/bathroom/")


def test_two_modalities_are_a_data_set_too(folder, tmp_path):
    for path in folder.rglob("depth.png"):
        path.unlink()
    ingest("png_folder", raw(folder), tmp_path / "scenes.h5", size=8, counts_csv=tmp_path / "counts.csv")
    assert len(scene_table(tmp_path / "scenes.h5")) == 60
    with open_scenes(raw(folder)) as source:
        assert list(source.modalities) == ["rgb", "normals"]


def test_a_faulty_folder_is_named_in_one_line(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty", rooms=folder / "rooms.csv").startswith(
        f"{tmp_path}/empty: holds no folder train/"
    )
    scene = next((folder / "test/office").iterdir())
    depth = scene / "depth.png"
    whole = depth.read_bytes()
    Image.fromarray(np.ones((4, 4), np.uint8)).save(depth)
    assert f"{depth}: an image of Pillow's mode L, expected 16-bit grey" in refused(folder)
    depth.write_bytes(whole[: len(whole) // 2])
    assert f"{depth}: not a readable image" in refused(folder)
    depth.unlink()
    assert f"{scene}: holds rgb, normals, but " in refused(folder)
    depth.write_bytes(whole)
    table = pd.read_csv(folder / "rooms.csv")
    table[1:].to_csv(folder / "rooms.csv", index=False)
    assert f"{folder}/rooms.csv: has no row for scene {table['scene'][0]}" in refused(folder)
    (folder / "rooms.csv").write_text("a,b\n")
    assert "not a CSV table with the columns scene and room" in refused(folder)


@pytest.mark.parametrize("kind", ["rgb", "normals"])
def test_an_image_with_transparency_is_refused_at_ingest(folder, tmp_path, kind):
    path = next((folder / "train/office").iterdir()) / f"{kind}.png"
    Image.open(path).convert("RGBA").save(path)
    with pytest.raises(InputError) as error:
        ingest("png_folder", raw(folder), tmp_path / "scenes.h5", size=8, counts_csv=tmp_path / "counts.csv")
    assert str(error.value).startswith(f"{path}: {kind} of scene ")
    assert "shape (40, 40, 4), expected (H, W, 3)" in str(error.value)


# The workflow


def test_the_example_is_a_whole_configuration():
    config = load_config(ROOT / "config/examples/three-modalities.yaml")
    assert config.modalities == ["rgb", "depth", "normals"] and config.data.reader == "png_folder"


@pytest.mark.slow
def test_three_modalities_go_through_to_the_figures_and_a_changed_image_is_read_again(checkout, folder):
    shutil.move(folder, checkout / "pngs")
    config = yaml.safe_load((checkout / "tests/config.yaml").read_text())
    config |= {"experiment": "three", "modalities": ["rgb", "depth", "normals"]}
    config["data"] |= {
        "reader": "png_folder",
        "files": {"scenes": "pngs", "rooms": "pngs/rooms.csv"},
        "rooms": None,
        "validation_fraction": 0.0,
    }
    config["grid"] |= {"methods": ["proposed", "supervised"], "label_fractions": [1.0]}
    config["figures"] |= {"figure5_label_fraction": None}
    for stage in ("pretrain", "finetune"):
        config[stage]["batch_size"] = 16
    (checkout / "config/three.yaml").write_text(yaml.safe_dump(config))
    figures = [f"results/three/figures/{name}.svg" for name in ("figure4", "contact_sheet")]
    options = (*figures, "--configfile", "config/three.yaml")
    done = run_snakemake(checkout, *options)
    assert done.returncode == 0, done.stdout
    assert "Proposed" in (checkout / figures[0]).read_text()
    assert all(word in (checkout / figures[1]).read_text() for word in ("RGB", "Depth", "Normals"))
    ledger = pd.read_csv(checkout / "results/three/finetune/proposed/snr10/labels1/seed0/ledger.csv")
    assert set(ledger["device"]) == {"rgb", "depth", "normals"}
    assert "Nothing to be done" in run_snakemake(checkout, "--dry-run", *options).stdout
    image = next((checkout / "pngs/train/office").iterdir()) / "normals.png"
    Image.open(image).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(image)
    assert "ingest" in run_snakemake(checkout, "--dry-run", *options).stdout
    image.unlink()
    done = run_snakemake(checkout, "--dry-run", *options)
    assert done.returncode != 0 and f"{image.parent.relative_to(checkout)}: holds rgb, depth, but " in done.stdout
