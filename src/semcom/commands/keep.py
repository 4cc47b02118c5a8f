"""Keeps what a reader needs of a finished experiment: tables, figures, configuration, and a table of provenance.

    python -m semcom.commands.keep results/nyud2-small

Writes `results/reference/nyud2-small/` in the place of an earlier one, whole or not at all, and takes nothing away that
the new one does not have. It holds neither models nor images of scenes. Tables of other methods than the experiment's
`config.yaml` names are refused.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from semcom.analysis.provenance_table import provenance_table, write_provenance
from semcom.common.errors import InputError
from semcom.common.files import unreadable
from semcom.common.reporting import reported
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.loading import load_config
from semcom.runs.grid import FINISHED, grid_state
from semcom.runs.lock import held

SUMMARY, COUNTS = "tables/summary.csv", "data/class_counts.csv"
SHOWS_SCENES = "contact_sheet.png"


def keep(folder: Path) -> Path:
    """Copy a finished experiment to `reference/` beside its folder.

    Args:
        folder: `results/<experiment>`, of any working directory.

    Returns:
        The copy's folder.

    Raises:
        InputError: the experiment is not finished, its tables are of other methods than its configuration, the earlier
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
    _check_tables(config, folder, remedy)
    target = folder.parent / "reference" / config.experiment
    staged = target.with_name(f"{target.name}.tmp")
    with held(target.with_name(f"{target.name}.lock")):
        _keep(config, folder, root, target, staged)
    return target


def _keep(config: Config, folder: Path, root: Path, target: Path, staged: Path) -> None:
    """Copy what is kept to `staged`, and put that in the place of `target`."""
    shutil.rmtree(staged, ignore_errors=True)
    try:
        for file in _kept(folder):
            copy = staged / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        write_provenance(provenance_table(config, root), staged / "provenance.csv")
        _refuse_loss(target, staged)
        _exchange(target, staged)
    except OSError as error:
        fault = unreadable(error, error.filename or target, "run the same command again")
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
            f"{target}: holds {', '.join(lost)}, which this experiment does not have; move them away if they are to go, or "
            "make them here too"
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


def _check_tables(config: Config, folder: Path, remedy: str) -> None:
    """Tables that an earlier configuration left must not be kept beside the present one."""
    for name in (SUMMARY, COUNTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; {remedy}")
    summary = folder / SUMMARY
    shown = set(pd.read_csv(summary)["method"])
    if shown != set(config.grid.methods):
        raise InputError(
            f"{summary}: shows {', '.join(sorted(shown))}, and config.yaml names "
            f"{', '.join(sorted(config.grid.methods))}; {remedy}"
        )


def _kept(folder: Path) -> list[Path]:
    figures = [path for path in sorted(folder.glob("figures/*.png")) if path.name != SHOWS_SCENES]
    return [folder / "config.yaml", folder / COUNTS, *sorted(folder.glob("tables/*.csv")), *figures]


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.keep", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a finished experiment: results/<experiment>")
    print(f"kept in {keep(parser.parse_args(arguments).folder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
