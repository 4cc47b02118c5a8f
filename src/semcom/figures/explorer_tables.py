"""Tables of results as HTML that a reader can sort: shares in per cent, means with their intervals in one cell.

Every cell has what it is sorted by beside what is read, so that the page's script need not read numbers from text.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from semcom.analysis.statistics import t_interval
from semcom.common.spelling import INFINITY, spelled_number, spelled_percent
from semcom.config.experiment import default_label

MOST_ROWS = 3000  # of a table; with more, a browser takes seconds to sort it, and the page grows by megabytes
MINUS = "\N{MINUS SIGN}"
LONG = 40  # characters of words, beyond which they take several lines
TARGET_UNITS = {  # in which the way to a target is counted
    "rounds": "Rounds",
    "channel_uses": "Channel uses",
    "channel_uses_apart": "Channel uses with stage I",
    "bits": "Bits",
}
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"  # between thousands

Row = Mapping[str, object]


@dataclass(frozen=True)
class Cell:
    """What is read in a cell, and what the column is sorted by; None comes last whichever way it is sorted."""

    text: str
    key: float | str | None


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, its cells, and whether they are numbers, which stand at the right."""

    heading: str
    cell: Callable[[Row], Cell]
    number: bool = True


def named_methods(labels: Mapping[str, str]) -> Callable[[str], str]:
    """What a page calls a method: as figures do, but for math, which a browser would show as it is typed."""

    def called(method: str) -> str:
        label = labels.get(method) or default_label(method)
        return method.replace("_", " ") if "$" in label else label

    return called


def html_table(title: str, note: str, rows: Iterable[Row], columns: Sequence[Column]) -> str:
    """A section with a table; columns in which every cell is empty are left out.

    Args:
        title: of the section, of which its id is made.
        note: what the table shows, as plain text.
        rows: by the names of a CSV's columns.
    """
    rows = list(rows)
    more = f" The first {MOST_ROWS} of {len(rows)} rows." if len(rows) > MOST_ROWS else ""
    table = [[column.cell(row) for column in columns] for row in rows[:MOST_ROWS]]
    said = [place for place in range(len(columns)) if any(cells[place].text for cells in table)]
    name = title.lower().replace(" ", "-")
    head = "".join(
        f'<th scope="col"{_right(columns[place])}><button type="button">{escape(columns[place].heading)}</button></th>'
        for place in said
    )
    body = "\n".join(f"<tr>{''.join(_cell(cells[place], columns[place]) for place in said)}</tr>" for cells in table)
    return (
        f'<section id="{escape(name)}">\n<h2>{escape(title)}</h2>\n<p>{escape(note)}{more}</p>\n'
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n</section>\n"
    )


def _right(column: Column) -> str:
    return ' class="number"' if column.number else ""


def _cell(cell: Cell, column: Column) -> str:
    key = f' data-key="{escape(str(cell.key))}"' if cell.key is not None and str(cell.key) != cell.text else ""
    kind = _right(column) or ' class="long"' * (len(cell.text) > LONG)
    return f"<td{kind}{key}>{escape(cell.text)}</td>"


# Columns


def text(heading: str, name: str, say: Callable[[str], str] = str) -> Column:
    """Words."""

    def cell(row: Row) -> Cell:
        said = "" if _absent(row[name]) else say(str(row[name]))
        return Cell(said, said or None)

    return Column(heading, cell, number=False)


def number(heading: str, name: str, say: Callable[[float], str] | None = None) -> Column:
    """A number, as `say` writes it; thousands apart without it."""

    def cell(row: Row) -> Cell:
        if _absent(row[name]):
            return Cell("", None)
        value = float(row[name])  # type: ignore[arg-type]
        return Cell((say or counted)(value), value)

    return Column(heading, cell)


def interval(
    heading: str, name: str, say: Callable[[float], str], *, mean: str = "{}_mean", bound: str = "{}_ci95_{}"
) -> Column:
    """A value with its interval, "47.4 (45.8 to 49.0)"; alone where there is none.

    Args:
        mean, bound: patterns of the columns' names; the latter of `name` and of `low` and `high`.
    """

    def cell(row: Row) -> Cell:
        value = row[mean.format(name)]
        if _absent(value):
            return Cell("", None)
        ends = [row.get(bound.format(name, end)) for end in ("low", "high")]
        between = "" if any(map(_absent, ends)) else " ({} to {})".format(*(say(float(end)) for end in ends))  # type: ignore[arg-type]
        return Cell(say(float(value)) + between, float(value))  # type: ignore[arg-type]

    return Column(heading, cell)


def percent(share: float) -> str:
    """A measured share in per cent, to a tenth."""
    return signed(f"{100 * share:.1f}") if math.isfinite(share) else signed(str(share))


def points(share: float) -> str:
    """A difference of shares, in points with its sign."""
    return ("+" if share > 0 else "") + percent(share)


def decibels(snr_db: float) -> str:
    """An SNR, without its unit."""
    return signed(spelled_number(snr_db))


def counted(value: float) -> str:
    """A count with its thousands apart, or a number to four significant digits."""
    if not math.isfinite(value) or value % 1 == 0:
        return signed(f"{value:,.0f}".replace(",", NARROW_SPACE))
    return signed(f"{value:.4g}")


def ratio(value: float) -> str:
    """A ratio, to two decimals."""
    return signed(f"{value:.2f}")


def signed(number: str) -> str:
    """A number with a true minus sign, and a sign for infinity."""
    return number.replace("-", MINUS).replace("inf", INFINITY)


def _absent(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


# The tables of an experiment


def summary(table: pd.DataFrame, called: Callable[[str], str]) -> str:
    """`tables/summary.csv`."""
    return html_table(
        "Accuracy at the end of training",
        "In per cent: mean of the last evaluations of each seed, then mean and 95 % t-interval over the seeds that did not "
        "diverge. The difference is to supervised training of the same seed, in points.",
        table.to_dict("records"),
        [*_cell_columns(called), text("Split", "split"), number("Seeds", "seeds"), number("Diverged", "diverged"),
         interval("Accuracy (%)", "accuracy", percent), interval("Mean over classes (%)", "mean_class_accuracy", percent),
         interval("Last evaluation (%)", "final_accuracy", percent),
         interval("To supervised (points)", "accuracy_difference", points)],
    )  # fmt: skip


def rounds_to_target(table: pd.DataFrame, called: Callable[[str], str]) -> str:
    """`tables/rounds_to_target.csv`."""
    table = table.assign(
        of=[f"{row.reached:.0f} of {row.seeds}" if row.reached == row.reached else "" for row in table.itertuples()]
    )
    units = [name for name in TARGET_UNITS if f"median_{name}" in table]
    return html_table(
        "Communication to reach a target",
        "Rounds, channel uses and bits, up and down, of all devices, until the accuracy holds a share of the plateau of "
        'supervised training: median over the seeds and bootstrap 95 % interval. "> R": not reached within R. Stage I counts '
        "where the heading says so, as it would cost if the devices were apart.",
        table.to_dict("records"),
        [*_cell_columns(called), number("Share of plateau (%)", "target_share", spelled_percent),
         number("Target (%)", "target_accuracy", percent), text("Reached", "of"), *map(_cost, units),
         *(number(f"{TARGET_UNITS[name]}, to supervised", f"{name}_ratio_to_supervised", ratio)
           for name in units if f"{name}_ratio_to_supervised" in table)],
    )  # fmt: skip


def _cost(unit: str) -> Column:
    heading = TARGET_UNITS[unit]
    known = interval(heading, unit, counted, mean="median_{}", bound="ci95_{1}_{0}")

    def cell(row: Row) -> Cell:
        value, said = row[f"median_{unit}"], row[f"{unit}_text"]
        if isinstance(value, float) and math.isinf(value) and isinstance(said, str) and said.startswith(">"):
            return Cell(f"> {counted(float(said.removeprefix('>')))}", math.inf)
        return known.cell(row)

    return Column(heading, cell)


def claims(table: pd.DataFrame) -> str:
    """`tables/claims.csv`."""
    return html_table(
        "The claims of the paper",
        "Each claim with the verdict on it, and how many of its tests hold, are contradicted or are not shown.",
        table.to_dict("records"),
        [text("Claim", "claim", _spaced), text("Statement", "statement"), text("Verdict", "verdict"), number("Tests", "tests"),
         number("Hold", "tests_holds"), number("Contradicted", "tests_contradicted"), number("Not shown", "tests_not_shown")],
    )  # fmt: skip


def claim_tests(table: pd.DataFrame, called: Callable[[str], str]) -> str:
    """`tables/claim_tests.csv`."""

    def say(row: Row) -> Callable[[float], str]:
        return points if str(row["statistic"]).startswith("accuracy") else counted

    def estimate(row: Row) -> Cell:
        return interval("", "estimate", say(row), mean="{}", bound="ci95_{1}").cell(row)

    def threshold(row: Row) -> Cell:
        return Cell(f"{row['side']} {say(row)(float(row['threshold']))}", float(row["threshold"]))  # type: ignore[arg-type]

    return html_table(
        "The tests of each claim",
        "A statistic per seed, both methods on the same scenes, labels and noise, and its 95 % interval. Differences of "
        "accuracies are in points.",
        table.to_dict("records"),
        [text("Claim", "claim", _spaced), text("Statistic", "statistic"), text("Against", "compared_to", called),
         number("Labels (%)", "label_fraction", spelled_percent), number("SNR (dB)", "snr_db", decibels), number("Seeds", "seeds"),
         Column("Estimate", estimate), Column("Claimed", threshold), text("Verdict", "verdict")],
    )  # fmt: skip


def per_class(table: pd.DataFrame, called: Callable[[str], str]) -> str:
    """`tables/per_class.csv`."""
    return html_table(
        "Recall and precision of each class",
        "In per cent, at the end of training: mean over the channel draws and over the seeds that did not diverge, with "
        "the 95 % t-interval of recall over the seeds.",
        table.to_dict("records"),
        [text("Class", "class"), *_cell_columns(called), number("Scenes", "scenes"), number("Seeds", "seeds"),
         interval("Recall (%)", "recall", percent, mean="{}"), number("Precision (%)", "precision", percent)],
    )  # fmt: skip


def pretraining_overhead(table: pd.DataFrame, called: Callable[[str], str]) -> str:
    """`tables/pretraining_overhead.csv`."""
    costs = [name for name in table if str(name).endswith(("_channel_uses", "_bits"))]
    return html_table(
        "Stage I if the devices were apart",
        "What stage I would take if each modality's scenes stayed on their device. It is no part of the rounds, channel "
        "uses and bits of stage II.",
        table.to_dict("records"),
        [text("Method", "method", called), number("Seed", "seed", spelled_number), number("Steps", "steps"),
         *(number(name.replace("_", " ").capitalize(), name) for name in costs)],
    )  # fmt: skip


def evaluation(name: str, table: pd.DataFrame, called: Callable[[str], str], conditions: Mapping[str, str]) -> str:
    """An evaluation (`analysis.evaluations.collect_evaluations`), over the seeds that did not diverge."""
    cell = ["condition", "method", "snr_db", "label_fraction", "tested_snr_db", "split"]
    rows = []
    for key, runs in table.groupby(cell, sort=False):
        survived = runs[runs["status"] == "ok"]
        row = dict(zip(cell, key, strict=True)) | {"seeds": len(survived), "channel_uses": runs["channel_uses"].mean()}
        for share in ("accuracy", "mean_class_accuracy"):
            ends = zip(("mean", "ci95_low", "ci95_high"), t_interval(survived[share].to_numpy()), strict=True)
            row |= {f"{share}_{end}": float(value) for end, value in ends}
        rows.append(row)
    return html_table(
        f"Evaluation {name}",
        "Trained links at test, in per cent: mean over the channel draws, then mean and 95 % t-interval over the seeds "
        "that did not diverge. Channel uses are those of one inference, up, of all devices that send.",
        rows,
        [text("Condition", "condition", lambda key: conditions.get(key, key)), text("Method", "method", called),
         number("Trained at (dB)", "snr_db", decibels), number("Tested at (dB)", "tested_snr_db", decibels),
         number("Labels (%)", "label_fraction", spelled_percent), text("Split", "split"), number("Seeds", "seeds"),
         interval("Accuracy (%)", "accuracy", percent), interval("Mean over classes (%)", "mean_class_accuracy", percent),
         number("Channel uses", "channel_uses")],
    )  # fmt: skip


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _cell_columns(called: Callable[[str], str]) -> list[Column]:
    return [
        text("Method", "method", called),
        number("SNR (dB)", "snr_db", decibels),
        number("Labels (%)", "label_fraction", spelled_percent),
    ]
