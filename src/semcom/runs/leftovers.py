"""What lies in an experiment's folder that its configuration does not name, such as runs of a method taken out of it.

Nothing deletes what is finished. So it is told, lest it be taken for a part of the experiment.
"""

from collections.abc import Sequence
from pathlib import Path

from semcom.config import artefacts, paths
from semcom.config.experiment import Config
from semcom.config.stage import Stage

PAGE = ".html"  # of a table, for the report


def unnamed_runs(config: Config, folder: Path = Path()) -> list[str]:
    """Folders of runs outside the grid, finished or begun, relative to the experiment's.

    Args:
        folder: that Snakemake runs in.
    """
    results = folder / paths.results(config.experiment)
    named = {run.fill(run.stage.cell) for run in paths.runs(config)}
    found = set()
    for stage in Stage:
        anywhere = stage.cell.format(method="*", snr_db="*", label_fraction="*", seed="*")
        done = [run for run in results.glob(anywhere) if any((run / name).exists() for name in stage.outputs)]
        begun = results.glob(f"checkpoints/{anywhere}.pt")
        found |= {str(run.relative_to(results)) for run in done}
        found |= {str(run.relative_to(results / "checkpoints").with_suffix("")) for run in begun}
    return sorted(found - named)


def unnamed_files(config: Config, folder: Path = Path()) -> list[str]:
    """Tables and figures that neither `all` nor anything else of this configuration makes, relative as above."""
    results = folder / paths.results(config.experiment)
    asked = artefacts.asked_for(config)
    named = {"tables": [*artefacts.tables(config), *asked], "figures": [*artefacts.figures(config), *asked]}
    suffixes = {"tables": (".csv", PAGE), "figures": artefacts.FORMATS}
    return [
        f"{kind}/{path.name}"
        for kind, names in named.items()
        for path in sorted(results.glob(f"{kind}/*"))
        if path.suffix in suffixes[kind] and path.stem not in names
    ]


def told(config: Config, folder: Path = Path()) -> str:
    """One line on all of it; empty where there is nothing."""
    runs, files = unnamed_runs(config, folder), unnamed_files(config, folder)
    things = [_counted("run", runs)] if runs else []
    for kind in ("table", "figure"):
        things += _named(kind, [file for file in files if file.startswith(f"{kind}s/")])
    if not things:
        return ""
    return f"{paths.results(config.experiment)} also holds what this configuration does not name: {'; '.join(things)}"


def _counted(what: str, found: Sequence[str]) -> str:
    return f"{len(found)} {what}s, such as {found[0]}" if len(found) > 1 else f"{what} {found[0]}"


def _named(what: str, files: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(Path(file).stem for file in files))
    return [f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
