"""What every run of an experiment was made from, a row a run: its `provenance.json` without the settings.

The settings follow from the configuration. In their place stands a digest, which says whether they still do.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from semcom.common.files import write_text
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.paths import Run

DIGEST = "settings_sha256"


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of a run's settings, as JSON with sorted keys and without spaces."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def provenance_row(run: Run, record: Mapping[str, Any]) -> dict[str, Any]:
    """One run's row.

    Args:
        record: its `provenance.json`. What is a mapping there, such as `versions`, gets a column a key; the checksums of
            its files get none.
    """
    cell = {"snr_db": None, "label_fraction": None} | run.spelled()
    row: dict[str, Any] = {"stage": str(run.stage), "method": run.method, **cell, "seed": run.seed}
    for name, value in record.items():
        if isinstance(value, Mapping) and name not in ("settings", "files"):
            row |= value
        elif name not in ("stage", "seed", "settings", "files"):
            row[name] = value
    return row | {DIGEST: settings_digest(record["settings"])}


def provenance_table(config: Config, root: Path) -> pd.DataFrame:
    """A row a run of the configuration's grid, in its order; runs that it does not name are left out.

    Args:
        root: the folder that Snakemake ran in. Every run of the grid is finished.
    """
    rows = []
    for run in paths.runs(config):
        file = root / run.fill(paths.folder(config.experiment, run.stage)) / "provenance.json"
        rows.append(provenance_row(run, json.loads(file.read_text())))
    table = pd.DataFrame(rows, dtype=object)
    return table[[*table.columns.drop(DIGEST), DIGEST]]


def write_provenance(table: pd.DataFrame, path: Path) -> None:
    """Write the table with every digit of its records."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
