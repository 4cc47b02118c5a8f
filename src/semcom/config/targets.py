"""What to say of a target that no rule makes: which part of a run's path is not of the grid, or what is near it."""

import os
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import PurePath

from semcom.common.spelling import spelled_number
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.stage import Stage

NEAR = 0.7  # of difflib's ratio, from which a name counts as near
MOST = 3  # near targets named


def explained(target: str, config: Config, source: str, rules: Sequence[str], files: Iterable[str]) -> str:
    """One line on a target that no rule makes.

    Args:
        source: the configuration file.
        rules: that can be targets.
        files: that rules make, the more important first.
    """
    path = os.path.relpath(target) if os.path.isabs(target) else os.path.normpath(target)
    if path != target and path in {*rules, *files}:
        return f"target '{target}': write it as {path}"
    if fault := _outside_grid(path, config):
        return f"target '{target}': {fault} of {source}; add it there, or ask for one of these"
    parts = PurePath(path).parts
    if parts[0] == "results" and len(parts) > 2 and parts[1] != config.experiment:
        return (
            f"target '{target}': {source} is of experiment '{config.experiment}'; give the file of '{parts[1]}' as "
            "--configfile"
        )
    near = _near(path, rules, files)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(rules)}; `snakemake -n all` names files"
    )
    return f"target '{target}': no rule makes it; {hint}"


def _outside_grid(path: str, config: Config) -> str | None:
    """Which values of a run's path are not of the grid, and which are; None for a path that is of no run at all."""
    for stage in Stage:
        for pattern in (paths.folder, paths.log, paths.benchmark):
            text = re.escape(pattern(config.experiment, stage)).replace(r"\{", "{").replace(r"\}", "}")
            named = re.sub(r"\{(\w+)\}", lambda wildcard: f"(?P<{wildcard[1]}>[^/]+)", text)
            if found := re.fullmatch(f"{named}(/.*)?", path):
                return _strangers(stage, found.groupdict(), config)
    return None


def _strangers(stage: Stage, given: dict[str, str], config: Config) -> str | None:
    grid = config.grid
    methods = config.pretrained_methods() if stage is Stage.PRETRAIN else grid.methods
    known = {
        "method": ("grid.methods with a stage I" if stage is Stage.PRETRAIN else "grid.methods", methods),
        "snr_db": ("grid.snr_db", [spelled_number(snr) for snr in grid.snr_db]),
        "label_fraction": ("grid.label_fractions", [spelled_number(share) for share in grid.label_fractions]),
        "seed": ("grid.seeds", [str(seed) for seed in grid.seeds]),
    }
    faults = [
        f"{name} {value} is not one of {known[name][0]} ({', '.join(known[name][1])})"
        for name, value in given.items()
        if value not in known[name][1]
    ]
    return ", ".join(faults) or None


def _near(path: str, rules: Sequence[str], files: Iterable[str]) -> list[str]:
    """Rules and files whose whole name, or last part, is near; of files that differ by their ending, the first."""
    scored: dict[str, tuple[float, str]] = {}
    for name in [*rules, *files]:
        whole, part = PurePath(name), PurePath(path)
        pairs = {(name, path), (whole.name, part.name), (whole.stem, part.stem)}
        score = max(SequenceMatcher(None, a.lower(), b.lower()).ratio() for a, b in pairs)
        if score >= NEAR and score > scored.get(str(whole.with_suffix("")), (0.0, ""))[0]:
            scored[str(whole.with_suffix(""))] = score, name
    return [name for _, name in sorted(scored.values(), key=lambda one: -one[0])[:MOST]]
