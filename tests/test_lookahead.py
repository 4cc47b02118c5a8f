"""What is known of the scenes before any job, and what the grid is refused for then."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT, run_snakemake
from semcom.analysis.claims import claim_tests, claim_verdicts
from semcom.analysis.records import told_split
from semcom.commands import check
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config.loading import load_config
from semcom.data.nyud2_layout import PUBLISHED_COUNTS
from semcom.data.readers import rooms as reader
from semcom.data.splits import split_table
from semcom.planning.lookahead import check_scenes, known_scenes
from semcom.rooms.dataset import write_rooms

PNG = {"reader": "png_folder", "rooms": None, "download": None}
OWN = {"grid": {"methods": ["simclr", "supervised"]}, "figures": {"figure5_label_fraction": None}}


def config(**sections):
    return load_config(ROOT / "tests/config.yaml", settings=sections)


def plant_split(folder: Path, scenes: dict[tuple[str, str], int], config) -> Path:
    """A split of rooms of one scene, as an earlier run has left it."""
    rows = [(kind, f"{kind}{split}{n}", split) for (kind, split), count in scenes.items() for n in range(count)]
    table = pd.DataFrame(rows, columns=["class", "room", "split"])
    path = folder / f"results/{config.experiment}/data/splits.csv"
    path.parent.mkdir(parents=True)
    split_table(table, validation_fraction=0.3, seed=1).to_csv(path, index=False)
    return path


def test_the_rooms_are_known_before_they_are_rendered(tmp_path):
    labeled, splits = tmp_path / "labeled.mat", tmp_path / "splits.mat"
    write_rooms(labeled, splits, train_scenes=44, test_scenes=40, width=16, height=16, seed=3)
    size = {"train_scenes": 44, "test_scenes": 40, "width": 16, "height": 16, "seed": 3}
    _, known = known_scenes(config(data={"rooms": size}, pretrain={"batch_size": 8}, finetune={"batch_size": 8}))
    with reader.open_scenes({"labeled_mat": labeled, "splits_mat": splits}) as source:
        assert known["class"].tolist() == [source.class_names[label] for label in source.labels]
        assert known["room"].tolist() == list(source.rooms) and known["split"].tolist() == source.split.tolist()


def test_nyud2_is_known_by_its_published_counts_until_its_rooms_matter():
    where, known = known_scenes(load_config(ROOT / "config/config.yaml"))
    counts = pd.crosstab(known["class"], known["split"])
    assert {name: (counts.loc[name, "train"], counts.loc[name, "test"]) for name in counts.index} == PUBLISHED_COUNTS
    few = load_config(
        ROOT / "config/config.yaml",
        settings={"grid": {"label_fractions": [1.0, 0.5, 0.015]}, "finetune": {"batch_size": 8}},
    )
    with pytest.raises(InputError, match="^NYU Depth V2: classes bookstore, classroom and home_office: label fraction"):
        check_scenes(few)


def own(tmp_path: Path, **sections):
    for name in ("labeled.mat", "splits.mat"):
        (tmp_path / name).touch()
    files = {"labeled_mat": str(tmp_path / "labeled.mat"), "splits_mat": str(tmp_path / "splits.mat")}
    return config(data={"files": files, "rooms": None, **sections.pop("data", {})}, **OWN, **sections)


def test_an_earlier_split_is_cut_anew_for_the_present_configuration(tmp_path):
    """As after `batch_size: 20` where 12 scenes are labelled: the split is there, so no job would look again."""
    asked = own(tmp_path)
    scenes = {(kind, "train"): 14 for kind in "ab"} | {("a", "test"): 4, ("b", "test"): 4}
    path = plant_split(tmp_path, scenes, asked)
    with pytest.raises(InputError) as error:
        check_scenes(asked, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{path}: pretrain.batch_size: 32 exceeds the ") and "finetune.batch_size: 32" in message
    least = int(message.rsplit("lower it to ")[-1].split()[0])
    most = int(message.split("lower it to ")[1].split()[0])
    assert (most, least) == (26, 14)  # 13 of each class train; half of them, rounded up, are labelled
    mended = own(tmp_path, pretrain={"batch_size": most}, finetune={"batch_size": least})
    check_scenes(mended, tmp_path)
    os.utime(tmp_path / "labeled.mat", (2**33, 2**33))  # other files: their split is made anew
    check_scenes(asked, tmp_path)


@pytest.mark.parametrize("content", ["", "class,room\na,b\n", "\x00"])
def test_a_split_that_cannot_be_read_is_left_to_its_readers(content, tmp_path):
    asked = own(tmp_path)
    path = plant_split(tmp_path, {("a", "train"): 40, ("a", "test"): 3}, asked)
    path.write_text(content)
    check_scenes(asked, tmp_path)


def png_scenes(folder: Path, counts: dict[str, int], names=("rgb", "depth")) -> Path:
    random = np.random.default_rng(0)
    for part, count in counts.items():
        for n in range(count):
            scene = folder / part / ("kitchen" if n % 2 else "office") / f"s{n}"
            scene.mkdir(parents=True)
            for name in names:
                shape, kind = ((4, 4), np.uint16) if name == "depth" else ((4, 4, 3), np.uint8)
                image = random.integers(1, 256, shape).astype(kind) * kind(16 if name == "depth" else 1)  # to 4 m
                Image.fromarray(image).save(scene / f"{name}.png")
    return folder


def png_config(folder: Path, **sections):
    data = PNG | {"files": {"scenes": str(folder)}} | sections.pop("data", {})
    small = {"pretrain": {"batch_size": 4}, "finetune": {"batch_size": 4}}
    return config(data=data, **(OWN | small | sections))


def test_of_a_folder_everything_is_known_from_the_names_of_its_files(tmp_path):
    folder = png_scenes(tmp_path / "scenes", {"train": 12, "test": 4})
    check_scenes(png_config(folder))
    with pytest.raises(InputError, match=rf"^modalities: {folder} has no 'normals', only rgb, depth; add its files"):
        check_scenes(png_config(folder, modalities=["rgb", "normals"]))
    with pytest.raises(InputError, match=rf"^{folder}: finetune.batch_size: 20 exceeds the .* lower it to"):
        check_scenes(png_config(folder, finetune={"batch_size": 20}))
    shutil.rmtree(folder / "test")
    check_scenes(png_config(folder, data={"validation_fraction": 0.3}))
    with pytest.raises(InputError, match=rf"^{folder}: no scene is left to evaluate"):
        check_scenes(png_config(folder, data={"validation_fraction": 0.0}))


def test_the_check_of_a_file_looks_ahead_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scenes = png_scenes(tmp_path / "scenes", {"train": 12, "test": 4}, names=("rgb",))
    file = tmp_path / "mine.yaml"
    base = os.path.relpath(ROOT / "tests/config.yaml", tmp_path)
    file.write_text(
        f"extends: {base}\ndata: {{reader: png_folder, rooms: null, files: {{scenes: {scenes}}}}}\n"
        "pretrain: {batch_size: 4}\nfinetune: {batch_size: 4}\n"
    )
    assert check.main([str(file)]) == 1
    assert "has no 'depth', only rgb" in capsys.readouterr().err
    monkeypatch.setenv("SEMCOM_RUNS_PER_GPU", "two")
    assert check.main([str(file)]) == 1
    assert capsys.readouterr().err.startswith("error: SEMCOM_RUNS_PER_GPU: 'two'")


def test_claims_of_runs_that_saw_no_test_scene_are_not_tested():
    rounds = pd.DataFrame([
        {"experiment": "x", "method": m, "snr_db": 10.0, "label_fraction": 0.5, "seed": 0, "split": "validation", "round": n,
         "epoch": n, "accuracy": 0.5, "mean_class_accuracy": 0.5, "loss": 1.0, "uplink_channel_uses": n,
         "downlink_channel_uses": n, "uplink_bits": n, "downlink_bits": n, "status": "ok"}
        for m in ("proposed", "supervised") for n in range(4)
    ])  # fmt: skip
    assert told_split(rounds) == "validation"
    verdicts = claim_verdicts(claim_tests(rounds, None, config().tables))
    assert set(verdicts["verdict"]) == {"not tested"}


@pytest.mark.slow
@pytest.mark.parametrize("test_scenes", ["withheld", "none"])
def test_all_is_made_of_validation_rooms_alone(test_scenes, checkout):
    """Neither table nor figure asks for test scenes that no run has seen, nor for a stage I that the grid only borrows."""
    mine = load_config(ROOT / "tests/config.yaml").model_dump()
    mine |= {"extends": None, "grid": mine["grid"] | {"methods": ["proposed", "supervised", "borrowing"]}}
    mine["methods"]["borrowing"] = mine["methods"]["simclr"] | {"pretrained_by": "simclr"}
    mine["pretrain"]["batch_size"] = mine["finetune"]["batch_size"] = 8
    mine["data"] |= {"validation_fraction": 0.3, "withhold_test": test_scenes == "withheld"}
    if test_scenes == "none":
        png_scenes(checkout / "scenes", {"train": 48})
        mine["data"] |= {"reader": "png_folder", "rooms": None, "files": {"scenes": "scenes"}}
    (checkout / "mine.yaml").write_text(yaml.safe_dump(mine))
    done = run_snakemake(checkout, "all", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout
    tables = checkout / "results/test/tables"
    for name in ("summary", "rounds_to_target"):
        assert set(pd.read_csv(tables / f"{name}.csv")["split"]) == {"validation"}
    assert "Validation accuracy" in (checkout / "results/test/figures/figure4.svg").read_text()
    assert (tables / "claims.csv").is_file() == (test_scenes == "none")
    assert "SimCLR" in (checkout / "results/test/figures/pretraining.svg").read_text()
    # The grid is laid over the split that is there, also where nothing has to be made anew but runs.
    mine["finetune"]["batch_size"] = 40
    (checkout / "mine.yaml").write_text(yaml.safe_dump(mine))
    again = run_snakemake(checkout, "all", "--configfile", "mine.yaml")
    assert again.returncode != 0 and "finetune.batch_size: 40 exceeds" in again.stdout, again.stdout
    assert "Select jobs" not in again.stdout


# Files of the user's own that a configuration names.


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A package of its own, in which a test writes a module."""
    package = tmp_path / "own_plugins"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def written(text: str) -> Path:
        (package / "mine.py").write_text(text)
        return package / "mine.py"

    yield written
    for name in [name for name in sys.modules if name.startswith("own_plugins")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Options = 3\n", "does not define 'terms'; see own_plugins's own docstring"),
        ("terms = 3\nclass Options: pass\n", "'terms' is no function"),
        ("def terms(): pass\nclass Options: pass\n", "'Options' is no class of settings; derive it from Settings"),
        ("def terms(:\n", "cannot be imported (SyntaxError: "),
        ("import no_such_library\n", "cannot be imported (ModuleNotFoundError: No module named 'no_such_library')"),
        ("1 / 0\n", "cannot be imported (ZeroDivisionError: "),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_its_file(text, says, plugin):
    file = plugin(text)
    with pytest.raises(InputError) as error:
        plugins.load("own_plugins", "mine", ("terms", "Options"))
    assert str(error.value).startswith(f"{file}: {says}") and "\n" not in str(error.value)


@pytest.mark.parametrize("reader_file", ["png_folder", "nyud2"])
def test_a_reader_without_its_function_is_refused(reader_file, monkeypatch, tmp_path):
    module = plugins.load("semcom.data.readers", reader_file)
    for name in ("open_scenes", "MODALITIES", *(["files_read"] if reader_file == "png_folder" else [])):
        with monkeypatch.context() as without:
            without.delattr(module, name)
            folder = png_scenes(tmp_path / name, {"train": 2}) if reader_file == "png_folder" else None
            with pytest.raises(InputError, match=rf"{reader_file}.py: does not define '{name}'"):
                png_config(folder) if folder else load_config(ROOT / "config/config.yaml")
