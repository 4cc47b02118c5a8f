"""Ways to the server side by side: accuracy against the channel uses of an inference.

In:  `analysis.baselines.collect_baselines`.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semcom.figures import panels, style
from semcom.link.capacity import uses_for

REFERENCE = {"color": "0.45", "linewidth": 0.8, "dashes": (6, 3), "zorder": 1}
CAPACITY = {"color": "0.45", "linewidth": 0.8, "dashes": (1, 2), "zorder": 1}


def baselines_figure(
    table: pd.DataFrame,
    *,
    lines: Mapping[str, Sequence[str]],
    labels: Mapping[str, str],
    classes: int,
    devices: int,
    majority_accuracy: float,
    split: str = "test",
) -> Figure:
    """Accuracy against channel uses, a panel an SNR: mean and band over the seeds.

    Args:
        lines: by name the senders whose points make it: a scheme alone, or methods of one family, that differ in K.
        labels: what lines are called.
        classes, devices: with them the channel uses in which capacity carries the label of every device, log2 C bits.
        majority_accuracy: share of the split's most frequent class, for a reference line.
    """
    table = table[table["split"] == split]
    tested = sorted(set(table["tested_snr_db"]))
    looks = style.method_styles(list(lines), labels)
    cells = {
        (snr, line): table[(table["tested_snr_db"] == snr) & table["sender"].isin(senders)]
        for snr in tested
        for line, senders in lines.items()
    }
    curves = {key: _curve(cell) for key, cell in cells.items()}
    band, band_note = panels.band(curves.values())
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(tested))
        for number, (axes, snr) in enumerate(zip(panel_axes, tested, strict=True)):
            axes.set_title(panels.cell_title(number, None, snr, of=len(tested)))
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda uses, place: f"{uses:g}")
            axes.set_xlabel("Channel uses of an inference, all devices")
            for line, look in looks.items():
                curve = curves[snr, line]
                if curve.empty:
                    continue
                x, values = curve.index.to_numpy(), 100 * curve.to_numpy().T
                if band is not None and len(values) > 1:
                    axes.fill_between(x, *band(values), color=look.color, alpha=0.14, linewidth=0)
                axes.plot(
                    x, values.mean(axis=0), color=look.color, linestyle=look.linestyle, marker=look.marker,
                    markersize=look.size, markeredgecolor="white", markeredgewidth=0.4, zorder=3,
                )  # fmt: skip
            axes.axhline(100 * majority_accuracy, **REFERENCE)
            if needed := capacity_uses(snr, classes, devices):  # none without noise: the axis has no place for 0
                axes.axvline(needed, **CAPACITY)
        panel_axes[0].set_ylabel(f"{split.capitalize()} accuracy (%)")
        handles = []
        for line, look in looks.items():
            counts = [_diverged_count(cells[snr, line]) for snr in tested]
            handles.append(panels.legend_handle(look, look.label + panels.diverged_note(counts)))
        shown = {name: value for name, value in REFERENCE.items() if name != "zorder"}
        handles.append(Line2D([], [], label=f"Majority class ({100 * majority_accuracy:.1f} %)", **shown))
        panels.legend_above(figure, handles)
        panels.note_below(
            figure,
            f"{band_note} Dotted: the channel uses in which capacity carries a label of {classes} classes from each device.",
        )
    return figure


def capacity_uses(snr_db: float, classes: int, devices: int) -> float:
    """Channel uses in which AWGN's capacity carries log2 C bits from each device."""
    return devices * uses_for(math.log2(classes), snr_db)


def _curve(cell: pd.DataFrame) -> pd.DataFrame:
    """(channel uses, seeds) accuracies, of seeds that have all points."""
    alive = cell[cell["status"] == "ok"]
    return alive.pivot_table(index="channel_uses", columns="seed", values="accuracy").dropna(axis=1)


def _diverged_count(cell: pd.DataFrame) -> tuple[int, int]:
    """Of how many seeds something diverged, so that they are left out, and how many there are."""
    lost = cell[cell["status"] != "ok"]["seed"].nunique()
    return lost, cell["seed"].nunique()
