"""Data flows one way: what the package says of its order, what its files import, and what the rules list of them."""

import re

import semcom
from conftest import ROOT
from semcom.common.sources import NEUTRAL, _imports, source_files

PACKAGE = ROOT / "src/semcom"
ORDER = [line.split()[0] for line in semcom.__doc__.splitlines() if line.startswith("    ")]


def room(module: str) -> str | None:
    """The package, or lone module, of semcom that a dotted name lies in."""
    return module.split(".")[1] if "." in module else None


def test_every_package_has_its_place():
    found = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} == set(ORDER)
    assert len(list(PACKAGE.glob("*.py"))) == 2  # the package's own, and rng


def test_every_package_says_what_is_inside():
    assert all((path / "__init__.py").read_text().startswith('"""') for path in PACKAGE.iterdir() if path.is_dir()
               and path.name != "__pycache__")  # fmt: skip


def test_nothing_imports_what_stands_below_it():
    upward = []
    for path in PACKAGE.rglob("*.py"):
        own = room(".".join(("semcom", *path.relative_to(PACKAGE).with_suffix("").parts)))
        if own in ORDER:
            upward += [
                f"{path.relative_to(PACKAGE)}: {name}"
                for name in _imports(path)
                if room(name) in ORDER and ORDER.index(room(name)) > ORDER.index(own)
            ]
    assert not upward


def test_a_stage_lists_all_that_it_imports():
    files = source_files("semcom.training.pretrain", "semcom.losses.simclr")
    pretrain = {path.rpartition("semcom/")[2] for path in files}
    assert {
        *("training/pretrain.py", "training/optimization.py", "views/views.py", "models/encoders.py", "rng.py"),
        *("losses/simclr.py", "data/scenes.py"),
    } <= pretrain
    assert not {"training/finetune.py", "analysis/tables.py", "losses/decoupled.py"} & pretrain
    assert not [path for path in pretrain if path.startswith(tuple(name.removeprefix("semcom.") for name in NEUTRAL))]


def test_a_stage_lists_the_networks_of_its_own_loss_and_no_others():
    """Also where a loss file imports them inside a function."""
    networks = {"models/two_views.py", "models/predictor.py", "models/momentum.py"}
    for loss, expected in {
        "simclr": {"models/two_views.py"},
        "simsiam": networks - {"models/momentum.py"},
        "byol": networks,
    }.items():
        files = {
            path.rpartition("semcom/")[2] for path in source_files("semcom.training.pretrain", f"semcom.losses.{loss}")
        }
        assert files & networks == expected
        assert {path for path in files if path.startswith("losses/")} == {f"losses/{loss}.py"}


def test_a_stage_lists_its_own_backbone_and_no_other():
    """So that a new file leaves finished runs finished."""
    for stage in ("semcom.training.pretrain", "semcom.training.finetune"):
        files = source_files(stage, "semcom.models.backbones.resnet34")
        found = {path.rpartition("models/backbones/")[2] for path in files if "models/backbones/" in path}
        assert found == {"__init__.py", "_resnet.py", "resnet34.py"}


def test_every_rule_lists_its_script():
    """Dates of scripts decide nothing (profiles/default): a script that no rule lists could change unseen."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    run, listed = (set(re.findall(pattern, rules)) for pattern in (r'"\.\./scripts/(\w+\.py)"', r'script="(\w+\.py)"'))
    assert run == {path.name for path in (ROOT / "workflow/scripts").glob("*.py")}
    unlisted = {"download.py"}  # what is downloaded is known by its checksum
    assert run - listed == unlisted | {"partial.py", "sizing.py", "sizing_compared.py"}  # these run whenever asked for
