"""Keeps what a reader needs of a finished experiment: tables, figures, configuration, and a table of provenance.

    python -m semcom.commands.keep results/nyud2-small

Writes `results/reference/nyud2-small/` in the place of an earlier one, whole or not at all, and takes nothing away that
the new one does not have. It holds neither models nor images of scenes, and nothing that the experiment's `config.yaml`
does not name: tables and figures that an earlier configuration left are left out, and rows of another grid refused.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.analysis.provenance_table import provenance_table, write_provenance
from semcom.analysis.records import read_table
from semcom.common.errors import InputError
from semcom.common.files import outside_fault
from semcom.common.reporting import reported
from semcom.config import artefacts, paths
from semcom.config.experiment import Config
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.runs import leftovers
from semcom.runs.grid import FINISHED, grid_state
from semcom.runs.lock import held

ROUNDS, COUNTS = "tables/rounds.csv", "data/class_counts.csv"


def keep(folder: Path) -> Path:
    """Copy a finished experiment to `reference/` beside its folder.

    Args:
        folder: `results/<experiment>`, of any working directory.

    Returns:
        The copy's folder.

    Raises:
        InputError: the experiment is not finished, a table lacks runs of its configuration or has others, the earlier
            copy holds what the new one would not, or the copy cannot be written.
    """
    remedy = "run its target `all` to the end"
    if not (folder / "config.yaml").is_file():
        raise InputError(
            f"{folder}: no config.yaml, so no finished experiment lies here; {remedy}, or correct the path"
        )
    config = load_config(folder / "config.yaml")
    root = folder.resolve().parents[1]
    if root / paths.results(config.experiment) != folder.resolve():
        raise InputError(f"{folder}: its config.yaml is of experiment '{config.experiment}'; give the folder of that")
    states = grid_state(config, root)
    unfinished = [state for state in states if state.state not in FINISHED]
    if unfinished:
        first = unfinished[0]
        why = f"{first.state}: {first.reason}" if first.reason else first.state
        raise InputError(
            f"{folder}: {len(unfinished)} of {len(states)} runs are not finished, such as {first.run} ({why}); {remedy}"
        )
    kept = _kept(config, folder, remedy)
    _check_tables(config, folder, [file for file in kept if file.parent.name == "tables"], remedy)
    target = folder.parent / "reference" / config.experiment
    staged = target.with_name(f"{target.name}.tmp")
    with held(target.with_name(f"{target.name}.lock")):
        _keep(config, folder, root, kept, target, staged)
    return target


def _keep(config: Config, folder: Path, root: Path, kept: Sequence[Path], target: Path, staged: Path) -> None:
    """Copy what is kept to `staged`, and put that in the place of `target`."""
    shutil.rmtree(staged, ignore_errors=True)
    try:
        for file in kept:
            copy = staged / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        write_provenance(provenance_table(config, root), staged / "provenance.csv")
        _refuse_loss(target, staged)
        _exchange(target, staged)
    except OSError as error:
        about = error.filename or target
        fault = outside_fault(error, about) or f"{about}: {error.strerror}"
        raise InputError(f"{fault}; what {target} held stays") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _refuse_loss(target: Path, staged: Path) -> None:
    """Several studies may share an experiment's name; keeping one must not take away another's tables."""
    kept, fresh = (
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} for folder in (target, staged)
    )
    if lost := sorted(map(str, kept - fresh)):
        raise InputError(
            f"{target}: holds {', '.join(lost)}, which the configuration does not name; move them away if they are to go, "
            "or name them in it and make them here too"
        )


def _exchange(target: Path, staged: Path) -> None:
    """Put the new folder in the place of the old one, which comes back if that fails."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _kept(config: Config, folder: Path, remedy: str) -> list[Path]:
    """What is copied: all that the configuration names, but for images of scenes and second formats of a figure."""
    files = [
        "config.yaml",
        COUNTS,
        *(file for file in artefacts.files(config) if Path(file).suffix in (".csv", ".png")),
    ]
    files.remove(f"figures/{artefacts.CONTACT_SHEET}.png")
    for name in files:
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; {remedy}")
    asked = [file for name in artefacts.asked_for(config) for file in (f"tables/{name}.csv", f"figures/{name}.png")]
    return [folder / name for name in [*files, *(name for name in asked if (folder / name).is_file())]]


def _check_tables(config: Config, folder: Path, files: Sequence[Path], remedy: str) -> None:
    """Tables that an earlier configuration left must not be kept beside the present one."""
    runs = [run for run in paths.runs(config) if run.stage is Stage.FINETUNE]
    cells = read_table(folder / ROUNDS)[["method", "seed", "snr_db", "label_fraction"]].drop_duplicates()
    found = {Run(Stage.FINETUNE, *cell) for cell in cells.itertuples(index=False, name=None)}
    for lacking, which in ((set(runs) - found, "lacks"), (found - set(runs), "has, beside those of config.yaml,")):
        if lacking:
            first = min(lacking, key=str)
            raise InputError(f"{folder / ROUNDS}: {which} {len(lacking)} runs, such as {first}; {remedy}")
    grid, methods = config.grid, {*config.grid.methods, *config.pretrained_methods()}
    named = {"method": methods, "trial": methods, "seed": grid.seeds}
    named |= {"snr_db": grid.snr_db, "label_fraction": grid.label_fractions}
    for file in files:
        table = read_table(file)
        for column, values in named.items():
            others = set(table[column].dropna()) - set(values) if column in table else ()
            if others:
                raise InputError(f"{file}: {column} {min(others)} is not in config.yaml; make it again: {remedy}")


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.keep", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a finished experiment: results/<experiment>")
    folder = parser.parse_args(arguments).folder
    target = keep(folder)
    print(f"kept in {target}")
    if line := leftovers.told(load_config(target / "config.yaml"), folder.resolve().parents[1]):
        print(f"not kept: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
