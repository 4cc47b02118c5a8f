"""Benchmarks of several kinds of processor side by side: `python -m benchmarks.kinds FOLDER`, of `results/benchmarks`.

Prints the table as Markdown and writes it to the folder's README.md.
"""

import sys
from pathlib import Path

import pandas as pd

from semcom.common.files import write_text

# (benchmark, start of the case, heading); {} in a heading is the row's target. In the order of the table.
ROWS = (
    ("arithmetic", "bfloat16, channels-last", "bfloat16 and channels-last, of float32's time"),
    ("arithmetic", "float32, channels-last", "float32 and channels-last, of float32's time"),
    ("allocator", "freed memory kept", "freed memory kept, of the time without"),
    ("threads", "2 jobs of 1 thread", "two jobs of one thread, scenes/s of one job of two"),
    ("steps", "stage I step", "stage I step, of its bare arithmetic ({})"),
    ("steps", "stage II step", "stage II step, of its bare arithmetic ({})"),
    ("evaluation", "evaluation on", "evaluation, of one encoding ({})"),
    ("start", "a job's start", "a job's start beyond importing torch, to its first step ({} s)"),
    ("demo", "make demo", "`make demo` after installation, minutes (at most 5 with bfloat16, 8 without)"),
)


def side_by_side(folder: Path) -> str:
    """Markdown: a column a kind of processor, a row a benchmark, the ratio where there is one and else the value."""
    kinds = {each.name: _rows(each) for each in sorted(folder.iterdir()) if each.is_dir()}
    lines = [f"| | {' | '.join(_name(rows, kind) for kind, rows in kinds.items())} |", "|---" * (1 + len(kinds)) + "|"]
    lines.append(f"| arithmetic of `auto` | {' | '.join(_first(rows, 'arithmetic') for rows in kinds.values())} |")
    for benchmark, case, heading in ROWS:
        found = [_row(rows, benchmark, case) for rows in kinds.values()]
        target = next((row["target"] for row in found if row is not None and isinstance(row["target"], str)), "")
        lines.append(f"| {heading.format(target)} | {' | '.join(map(_cell, found))} |")
    return "\n".join(lines) + "\n"


PARTS = {  # what a step spends, and the rows of the benchmark `parts` that it adds up
    "encoders forward, all networks backward": ("encoders, forward", "all networks, backward"),
    "random views": ("views",),
    "optimizer, with clipping": ("optimizer, clipping",),
    "norms of gradients and weights": ("gradient norms", "weight norms"),
    "loss, forward": ("loss, forward",),
    "all else: batch, head or decoder forward, channel, ledger, log": ("batch", "all else"),
}


def parts(folder: Path) -> str:
    """Markdown: what a step of each stage spends, in % of its bare arithmetic, of each kind that has it in these parts."""
    kinds = {each.name: _rows(each) for each in sorted(folder.iterdir()) if each.is_dir()}
    of_kind = {
        _name(rows, kind): rows[rows["benchmark"] == "parts"].set_index("case")["ratio"] for kind, rows in kinds.items()
    }
    shown = {name: ratio for name, ratio in of_kind.items() if "stage I: optimizer, clipping" in ratio}
    columns = [(name, stage) for name in shown for stage in ("stage I", "stage II")]
    lines = [f"| % of the bare step | {' | '.join(f'{name}, {stage}' for name, stage in columns)} |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for heading, cases in PARTS.items():
        sums = [sum(shown[name].get(f"{stage}: {case}", 0.0) for case in cases) for name, stage in columns]
        lines.append(f"| {heading} | {' | '.join(f'{100 * total:.1f}' if total else '' for total in sums)} |")
    return "\n".join(lines) + "\n"


def _rows(folder: Path) -> pd.DataFrame:
    files = [file for file in sorted(folder.glob("*.csv")) if file.stem != "targets"]
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


def _row(rows: pd.DataFrame, benchmark: str, case: str) -> pd.Series | None:
    chosen = rows[(rows["benchmark"] == benchmark) & rows["case"].str.startswith(case)]
    return None if chosen.empty else chosen.iloc[0]


def _cell(row: pd.Series | None) -> str:
    if row is None:
        return "not measured"
    number = row["ratio"] if pd.notna(row["ratio"]) else row["value"]
    missed = " (missed)" if isinstance(row["target"], str) and not row["met"] else ""
    return f"{number:.2f}{missed}"


def _first(rows: pd.DataFrame, column: str) -> str:
    values = rows[column].dropna() if column in rows else []
    return values.iloc[0] if len(values) else "not recorded"


def _name(rows: pd.DataFrame, kind: str) -> str:
    device = _first(rows, "device").removeprefix("cpu: ")
    return kind.replace("-", " ") if device == "x86_64" else device


def main(folder: str) -> None:
    table = side_by_side(Path(folder))
    head = (
        "# Benchmarks by kind of processor\n\nWritten by `python -m benchmarks.kinds`, of what `make bench` writes on each; "
        "medians. Each folder has all rows, their quartiles and commands.\n\n"
    )
    spent = parts(Path(folder))
    write_text(Path(folder) / "README.md", f"{head}{table}\nWhat a step spends, medians:\n\n{spent}")
    print(f"{table}\n{spent}", end="")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results/benchmarks")
