"""The table as a figure and a short page."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.timing import COLUMNS
from semcom.common.files import write_text, written_atomically
from semcom.figures import style

FOLDER = Path("results/benchmarks")


def folder_of(device: str) -> Path:
    """Where the benchmarks of a device lie, by its name and arithmetic: times of one processor say little of another's."""
    return FOLDER / re.sub(r"[^a-z0-9]+", "-", device.removeprefix("cpu: ").lower()).strip("-")


def write_rows(name: str, rows: Sequence[dict], folder: Path) -> Path:
    """Rows of one benchmark, in place of its last ones; the summary, figure and page are made anew from all there are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    with written_atomically(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    tables = [pd.read_csv(each) for each in sorted(folder.glob("*.csv")) if each.stem != "targets"]
    everything = pd.concat([each for each in tables if len(each)], ignore_index=True)
    targets = everything[everything["target"].notna()]
    with written_atomically(folder / "targets.csv") as temporary:
        targets.to_csv(temporary, index=False, float_format="%.5g")
    if len(targets):
        with style.applied(), written_atomically(folder / "targets.png") as temporary:
            targets_figure(targets).savefig(temporary, format="png", metadata={"Software": None})
    write_text(folder / "README.md", page(everything))
    return path


def targets_figure(targets: pd.DataFrame) -> Figure:
    """Each target's measurement as a share of its bound, with quartiles; right of 1 is missed, or for a lower bound left."""
    names = [_case(row) for row in targets.to_dict("records")]
    bounds = targets["target"].str.split().str[1].astype(float)
    judged, low, high = (targets[r].fillna(targets[v]) / bounds for r, v in _JUDGED)
    figure = Figure((style.DOUBLE_COLUMN, 0.9 + 0.19 * len(targets)), layout="constrained")
    axes = figure.add_subplot()
    at = range(len(targets))
    lower = targets["target"].str.startswith(">=")
    for chosen, marker, label in ((~lower, "o", "to be at most"), (lower, ">", "to be at least")):
        if chosen.any():
            spread = [(judged - low)[chosen].clip(lower=0), (high - judged)[chosen].clip(lower=0)]
            y = [position for position, is_chosen in zip(at, chosen, strict=True) if is_chosen]
            axes.errorbar(judged[chosen], y, xerr=spread, fmt=marker, ms=4, capsize=2, lw=1, label=label)
    axes.axvline(1, color="0.3", lw=0.8)
    axes.set(yticks=list(at), yticklabels=names, xlabel="measured / target (median and quartiles)")
    axes.invert_yaxis()
    figure.legend(loc="outside upper right", ncols=2)
    return figure


_JUDGED = (("ratio", "value"), ("ratio_low", "low"), ("ratio_high", "high"))


def _case(row: dict) -> str:
    against = f" / {row['against']}" if isinstance(row["against"], str) else ""
    size = f" ({row['size']})" if "scenes" in str(row["size"]) else ""
    return f"{row['case']}{size}{against}"


def page(table: pd.DataFrame) -> str:
    """All rows as Markdown, a table a benchmark under the command that makes it."""
    lines = [
        "# Benchmarks",
        "",
        "Medians and quartiles, both sides of a ratio by turns. Written by `make bench`; `targets.csv` and `targets.png`",
        "are the rows that have a target.",
        "",
        "![Targets](targets.png)",
    ]
    for (name, command), rows in table.groupby(["benchmark", "command"], sort=False):
        where = {column: ", ".join(rows[column].dropna().unique()) for column in ("device", "arithmetic")}
        lines += ["", f"## {name}", "", f"    {command}", "", f"On {where['device']}, in {where['arithmetic']}.", ""]
        lines += [
            "| What | Size | Value | Against | Its value | Ratio | Target | Met |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in rows.astype(object).where(rows.notna(), "").to_dict("records"):
            value = f"{_span(row, 'value', 'low', 'high')} {row['unit']}"
            reference = f"{_number(row['reference'])} {row['unit']}" if row["reference"] != "" else ""
            ratio = _span(row, "ratio", "ratio_low", "ratio_high")
            met = {True: "yes", False: "no"}.get(row["met"], "")
            cells = (row["case"], row["size"], value, row["against"], reference, ratio, row["target"], met)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _span(row: dict, middle: str, low: str, high: str) -> str:
    if row[middle] == "":
        return ""
    spread = f" ({_number(row[low])} to {_number(row[high])})" if row["repeats"] > 1 else ""
    return _number(row[middle]) + spread


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
