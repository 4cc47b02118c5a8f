"""How the figures look: IEEE column widths, fonts, and one colour, line style and marker a method.

Nothing here depends on the user's own matplotlib settings, and nothing touches pyplot, so that a figure is the same
bytes wherever it is rebuilt.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib.style

SINGLE_COLUMN = 3.5  # inches, IEEE Transactions
DOUBLE_COLUMN = 7.16

RC = {
    "font.family": "STIXGeneral",  # comes with matplotlib; Times-like, as IEEE's text
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.handletextpad": 0.5,
    "legend.borderpad": 0.1,
    "legend.borderaxespad": 0.2,
    "legend.labelspacing": 0.3,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.25",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType, which IEEE's checker accepts; the default Type 3 it does not
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "svg.hashsalt": "semcom",  # else element ids are drawn at random
}


@dataclass(frozen=True)
class MethodStyle:
    """A method's name in the legend, and its look; colours are Okabe and Ito's, told apart by the colour-blind."""

    label: str
    color: str
    linestyle: str | tuple
    marker: str


_KNOWN = {
    "proposed": MethodStyle("Proposed", "#D55E00", "-", "o"),
    "simclr": MethodStyle("SimCLR", "#0072B2", (0, (5, 1.5)), "s"),
    "barlow_twins": MethodStyle("Barlow Twins", "#009E73", (0, (4, 1.2, 1, 1.2)), "^"),
    "supervised": MethodStyle("Supervised", "#333333", (0, (1.2, 1.2)), "D"),
}
_SPARE = [
    ("#CC79A7", (0, (6, 1.2, 1, 1.2, 1, 1.2)), "v"),
    ("#E69F00", (0, (2.5, 1)), "P"),
    ("#56B4E9", (0, (8, 2)), "X"),
    ("#B8A800", (0, (1, 2)), "<"),
]


def method_styles(methods: list[str]) -> dict[str, MethodStyle]:
    """A style for each method; those of the paper keep theirs in whatever company, others take spare ones in turn."""
    styles = {}
    for method in methods:
        spare = _SPARE[sum(name not in _KNOWN for name in styles) % len(_SPARE)]
        styles[method] = _KNOWN.get(method) or MethodStyle(method.replace("_", " "), *spare)
    return styles


def applied() -> AbstractContextManager:
    """Matplotlib's defaults and `RC` on top, within a `with` block; needed while drawing and while saving."""
    return matplotlib.style.context(RC, after_reset=True)
