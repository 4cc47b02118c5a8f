"""Data flows one way: what the package says of its order, and what its files import."""

import re

from conftest import ROOT

import semcom
from semcom.sources import _imports, source_files

PACKAGE = ROOT / "src/semcom"
# The configuration looks up a loss's own options when it checks a method; nothing else looks upwards.
ORDER = [
    re.split(r", ", line.strip().split("   ")[0]) for line in semcom.__doc__.splitlines() if line.startswith("    ")
]


def level(module: str) -> int | None:
    name = module.split(".")[1] if "." in module else None
    return next((i for i, names in enumerate(ORDER) if name in names), None)


def test_every_module_has_its_place():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    listed = {name for names in ORDER for name in names}
    assert modules - {"__init__", "config_reference"} == listed


def test_nothing_imports_what_stands_below_it():
    upward = []
    for path in PACKAGE.rglob("*.py"):
        own = level(".".join(("semcom", *path.relative_to(PACKAGE).with_suffix("").parts)))
        if own is not None:
            upward += [f"{path.name}: {name}" for name in _imports(path) if (level(name) or 0) > own]
    assert not upward


def test_a_stage_lists_all_that_it_imports():
    pretrain = {path.rpartition("semcom/")[2] for path in source_files("semcom.pretrain", "semcom.losses.simclr")}
    assert {"pretrain.py", "augment.py", "encoders.py", "rng.py", "losses/simclr.py", "data/scenes.py"} <= pretrain
    assert not {"finetune.py", "figures.py", "tables.py", "losses/decoupled.py", "config.py"} & pretrain
