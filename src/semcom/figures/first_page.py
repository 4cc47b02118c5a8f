"""What the report's first page shows of a finished experiment: a figure, and the verdicts on the paper's claims."""

import base64
import csv
import re
import textwrap
from pathlib import Path
from typing import Any

from semcom.common.spelling import spelled_percent
from semcom.config import artefacts, paths
from semcom.config.experiment import Config

LINE = 5000  # characters: docutils refuses lines of 10 000, and joins the lines of an address


def first_page(config: Config, folder: Path = Path()) -> dict[str, Any]:
    """What its template takes, as reStructuredText where it is text.

    Args:
        folder: that Snakemake runs in.

    Returns:
        figure, the title and the address of figure 4, or 5 where the configuration turns that off, else None; and
        verdicts, the claim, its verdict and how its tests ended, none where the grid has not what the claims are about.
    """
    results = folder / paths.results(config.experiment)
    shown = {name: share for name, share in artefacts.label_fractions(config).items() if share is not None}
    figure = None
    for name, share in list(shown.items())[:1]:
        drawing = base64.b64encode((results / f"figures/{name}.svg").read_bytes()).decode()
        title = f"Figure {name[-1]}: accuracy against communication round, {spelled_percent(share)} % of the labels"
        lines = textwrap.wrap(f"data:image/svg+xml;base64,{drawing}", LINE)
        figure = {"title": title, "address": "\n   ".join(lines)}
    verdicts = []
    if artefacts.speaks_to_claims(config):
        with open(results / "tables/claims.csv", encoding="utf-8", newline="") as file:
            verdicts = [
                {"claim": plain(row["statement"]), "verdict": row["verdict"], "tests": _how_tests_ended(row)}
                for row in csv.DictReader(file)
            ]
    return {"figure": figure, "verdicts": verdicts}


def plain(text: str) -> str:
    """Text with what reStructuredText would take for its own escaped."""
    return re.sub(r"([\\*_`|])", r"\\\1", text)


def _how_tests_ended(row: dict[str, str]) -> str:
    """Such as "11 of 12 hold, 1 not shown"."""
    tests, holds, contradicted, not_shown = (
        int(row[name]) for name in ("tests", "tests_holds", "tests_contradicted", "tests_not_shown")
    )
    if not tests:
        return "none: the grid lacks what it speaks of"
    parts = [f"{holds} of {tests} hold{'s' * (tests == 1)}"]
    parts += [f"{contradicted} contradicted"] * bool(contradicted) + [f"{not_shown} not shown"] * bool(not_shown)
    return ", ".join(parts)
