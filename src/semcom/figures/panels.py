"""What figures of runs have in common: curves by seed with their mean and band, diverged and missing runs, legend, notes.

And `save`, which writes a figure's files.
"""

import math
import re
import textwrap
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from semcom.analysis.statistics import t_interval
from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.common.spelling import INFINITY, spelled_number, spelled_percent
from semcom.figures import style

INTERVAL_SEEDS = 4  # with fewer, t-intervals say little (t = 12.7 for two), so the band shows the extremes instead
MARKERS = 7  # a curve
FEW_DECADES = 30  # the last over the first value of a logarithmic axis, below which decades alone say too little
PLAIN_BANDS = 4  # in an axes; with more, each is fainter, or they would cover one another
MINUS = "\N{MINUS SIGN}"  # wider than the hyphen that Python writes, as figures on axes have it


def check_one_experiment(runs: pd.DataFrame) -> None:
    """Raise InputError where runs of several experiments are mixed."""
    experiments = sorted(runs["experiment"].unique())
    if len(experiments) > 1:
        raise InputError(f"runs of {', '.join(experiments)}: a figure shows one experiment; draw each by itself")


def labels(fraction: float) -> str:
    """A label fraction in a panel's title."""
    return {1.0: "Full labels", 0.5: "Half of the labels"}.get(fraction, f"{spelled_percent(fraction)} % of the labels")


def decibels(snr_db: float) -> str:
    """An SNR with its unit, and a true minus sign."""
    return f"{on_axis(snr_db)} dB"


def on_axis(value: float) -> str:
    """A number as an axis has it: a true minus sign, and a sign for infinity."""
    return spelled_number(value).replace("-", MINUS).replace("inf", INFINITY)


def cell_title(number: int, label_fraction: float | None, snr_db: float | None, *, of: int = 2) -> str:
    """A panel's title with its letter, e.g. "(a) Full labels, SNR = 10 dB"; None leaves a part out, a lone panel the letter."""
    parts = [labels(label_fraction)] if label_fraction is not None else []
    parts += [f"SNR = {decibels(snr_db)}"] if snr_db is not None else []
    return (f"({chr(97 + number)}) " if of > 1 else "") + ", ".join(parts)


def in_a_row(count: int) -> tuple[Figure, list[Axes]]:
    """Axes in rows of two over the page's width, or one in a column."""
    columns = min(count, 2)
    rows = -(-count // 2)
    width = style.DOUBLE_COLUMN if columns == 2 else style.SINGLE_COLUMN
    figure = Figure(figsize=(width, 2.15 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def logarithmic_from(axes: Axes, low: float, high: float) -> None:
    """A logarithmic horizontal axis with decades named, or 1, 2 and 5 of each where there are few."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    few = high / low < FEW_DECADES
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(math.inf, math.inf)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def by_seed(cell: pd.DataFrame, x: str, y: str, *, diverged: bool) -> pd.DataFrame:
    """(X, seeds) values of `y`, a column a seed; those that diverged (NaN beyond their end) or those that did not.

    The latter only where all of them have a value, so that a mean never changes its company along the curve.
    """
    ended = cell.groupby("seed")["status"].last().ne("ok")
    chosen = cell[cell["seed"].map(ended).astype(bool) == diverged]
    curves = chosen.pivot(index=x, columns="seed", values=y)
    return curves if diverged else curves.dropna()


def band(groups: Iterable[pd.DataFrame], *, logarithmic: bool = False) -> tuple[Callable | None, str]:
    """The band that suits the figure's smallest group of seeds, and a sentence on it; no band where there are no two.

    On a logarithmic axis that is always the range of the seeds: a t-interval would reach below 0.
    """
    counts = [curves.shape[1] for curves in groups]
    sizes = [count for count in counts if count > 1]
    if not sizes:
        return None, "Line: a single seed." if any(counts) else ""
    seeds = f"{min(sizes)} seeds" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)} seeds"
    seeds += ", without a band where there is one" if 1 in counts else ""
    if min(sizes) >= INTERVAL_SEEDS and not logarithmic:
        return lambda values: t_interval(values)[1:], f"Line and band: mean and 95 % t-interval over {seeds}."
    return lambda values: (
        values.min(axis=0),
        values.max(axis=0),
    ), f"Line and band: mean, minimum and maximum over {seeds}."


def bar_note(seeds: Iterable[int]) -> str:
    """A sentence on points with bars, of which each is over so many seeds; no bar is spoken of where there is none."""
    counts = sorted({int(count) for count in seeds if count})
    if not counts:
        return ""
    if counts[-1] == 1:
        return "Accuracy at the end of training, a single seed."
    many = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"Mean at the end of training and its 95 % t-interval over {many}{', no bar for one' * (counts[0] == 1)}."


def draw_mean(
    axes: Axes, curves: pd.DataFrame, look: style.MethodStyle, band: Callable | None, *, order: int = 0, of: int = 1
) -> None:
    """Mean over the seeds and its band, of line number `order` of so many in the axes."""
    x, values = curves.index.to_numpy(), curves.to_numpy().T  # (seeds, X)
    if band is not None and len(values) > 1:
        axes.fill_between(x, *band(values), color=look.color, alpha=0.16 * min(1, PLAIN_BANDS / of), linewidth=0)
    # Methods mark different rounds, or the markers of close curves would hide each other.
    spacing = max(1, len(x) // MARKERS)
    axes.plot(
        x, values.mean(axis=0), color=look.color, linestyle=look.linestyle, marker=look.marker,
        markersize=look.size, markevery=(int(order / of * spacing), spacing), **look.marker_face, zorder=3,
    )  # fmt: skip


def draw_diverged(axes: Axes, curves: pd.DataFrame, look: style.MethodStyle, *, level: float) -> None:
    """Each diverged run by itself, up to a cross at its last finite value; without one, at `level` of the axes.

    A run that ended before it has a place on the axis, as at 0 of a logarithmic one, has its cross at the left edge.
    """
    cross = {"color": look.color, "marker": "x", "markersize": 5.5, "markeredgewidth": 1.4, "clip_on": False}
    for seed in curves:
        run = curves[seed].dropna()
        if run.empty:
            place = axes.get_xlim()[0] if curves.empty else curves.index[0]
            axes.plot(place, level, transform=axes.get_xaxis_transform(), zorder=5, **cross)
            continue
        axes.plot(run.index, run, color=look.color, linewidth=0.6, alpha=0.7, zorder=2)
        axes.plot(run.index[-1], run.iloc[-1], zorder=5, **cross)


def diverged_count(cell: pd.DataFrame) -> tuple[int, int]:
    """How many of a cell's runs diverged, and how many there are."""
    last = cell.groupby("seed")["status"].last()
    return int(last.ne("ok").sum()), len(last)


def diverged_note(counts: Sequence[tuple[int, int]]) -> str:
    """` (1 of 5 diverged)`, with the panels' letters where they differ; nothing where none diverged."""
    if not any(diverged for diverged, _ in counts):
        return ""
    if len(set(counts)) == 1:
        return f" ({counts[0][0]} of {counts[0][1]} diverged)"
    notes = [f"{chr(97 + number)}: {d} of {of}" for number, (d, of) in enumerate(counts) if d]
    return f" ({', '.join(notes)} diverged)"


def missing_runs(
    cells: Mapping[tuple[str, Hashable], pd.DataFrame],
    looks: Mapping[Hashable, style.MethodStyle],
    seeds: Mapping[Hashable, Sequence[int]],
) -> list[str]:
    """A sentence on the runs that are not there, if there are any; cells by (place, e.g. ", 10 dB", and method).

    Args:
        seeds: that each method should have.
    """
    notes, count = [], 0
    for place in dict.fromkeys(place for place, _ in cells):
        absent = {
            method: sorted(set(seeds[method]) - set(cell["seed"]))
            for (other, method), cell in cells.items()
            if other == place
        }
        count += sum(map(len, absent.values()))
        if all(cells[place, method].empty for method in absent):
            notes.append(f"all methods{place}")
            continue
        for method, without in absent.items():
            which = f", seed{'s' * (len(without) > 1)} {' '.join(map(str, without))}"
            if without or cells[place, method].empty:
                notes.append(f"{looks[method].label}{place}{'' if cells[place, method].empty else which}")
    expected = sum(len(seeds[method]) for _, method in cells)
    how_many = f" {count} of {expected} runs" if count else ""
    return [f"Missing{how_many}: {'; '.join(notes)}."] if notes else []


def legend_handle(look: style.MethodStyle, label: str) -> Line2D:
    """A method's entry in a legend."""
    return Line2D(
        [], [], color=look.color, linestyle=look.linestyle, marker=look.marker, markersize=look.size,
        **look.marker_face, label=label,
    )  # fmt: skip


def legend_above(figure: Figure, handles: list[Line2D]) -> None:
    """One legend for all panels, in as few rows as fit the figure's width, for which the figure grows."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
        box = legend.get_window_extent()
        if columns == 1 or box.width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)


def note_below(figure: Figure, *paragraphs: str) -> None:
    """Small text under the panels, for which the figure grows."""
    width = int(22 * figure.get_figwidth())  # characters an inch at this size
    # Neither math nor a number and its unit may be parted by a line's end; a zero byte stands for their spaces meanwhile.
    kept = [
        re.sub(rf"\$[^$]*\$|[\d{INFINITY}] dB", lambda m: m[0].replace(" ", "\0"), text)
        for text in filter(None, paragraphs)
    ]
    lines = [line.replace("\0", " ") for text in kept for line in textwrap.wrap(text, width)]
    figure.supxlabel("\n".join(lines), fontsize=7.5, color="0.3", linespacing=1.2)
    figure.set_figheight(figure.get_figheight() + 0.13 * len(lines))


def save(figure: Figure, paths: Iterable[str | Path]) -> None:
    """Write a figure in the formats that the paths end in (.pdf, .svg, .png), as the same bytes at every rebuild.

    Each path appears only when it is whole.
    """
    without_dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}
    for path in map(Path, paths):
        suffix = path.suffix.lstrip(".")
        if suffix not in without_dates:
            raise InputError(f"{path}: figures are written as {', '.join(without_dates)}; choose one of these endings")
        with style.applied(), written_atomically(path) as temporary:
            figure.savefig(temporary, format=suffix, metadata=without_dates[suffix])
