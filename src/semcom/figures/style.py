"""How the figures look: IEEE column widths, fonts, and one colour, line style and marker a method.

Nothing here depends on the user's own matplotlib settings, and nothing touches pyplot, so that a figure is the same
bytes wherever it is rebuilt.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib.style
from matplotlib import cbook
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.mathtext import MathTextParser

from semcom.common.errors import InputError
from semcom.config.experiment import default_label

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
    marker: str | tuple
    filled: bool = True

    @property
    def marker_face(self) -> dict[str, str | float]:
        """Colours of the marker: filled with a white edge, which parts it from what is below, or hollow."""
        if self.filled:
            return {"markerfacecolor": self.color, "markeredgecolor": "white", "markeredgewidth": 0.4}
        return {"markerfacecolor": "white", "markeredgecolor": self.color, "markeredgewidth": 0.8}

    @property
    def size(self) -> float:
        """Of the marker, in points; thin ones are larger, so that all weigh about the same."""
        return {"*": 7, "P": 5, "X": 5, "d": 5, "p": 5, (4, 1, 0): 6}.get(self.marker, RC["lines.markersize"])


_PAPER = {
    "proposed": ("#D55E00", "-", "o"),
    "simclr": ("#0072B2", (0, (5, 1.5)), "s"),
    "barlow_twins": ("#009E73", (0, (4, 1.2, 1, 1.2)), "^"),
    "supervised": ("#333333", (0, (1.2, 1.2)), "D"),
}
_OTHERS = [  # beside the paper's four the first eight have markers of their own; a test measures how far apart all are
    ("#CC79A7", (0, (6, 1.2, 1, 1.2, 1, 1.2)), "v"),
    ("#E69F00", (0, (2.5, 1)), "P"),
    ("#56B4E9", (0, (8, 2)), "X"),
    ("#B8A800", (0, (1, 2)), "<"),
    ("#543005", "-", ">"),
    ("#332288", (0, (4, 1.2, 1, 1.2)), "p"),
    ("#7B68EE", (0, (1.2, 1.2)), "*"),
    ("#A0522D", (0, (8, 2)), "d"),
    ("#888888", "-", "s"),
    ("#762A83", (0, (2.5, 1)), "o"),
    ("#B2182B", (0, (1, 2)), "^"),
    ("#000000", (0, (5, 1.5)), (4, 1, 0)),
]


def method_styles(methods: Sequence[str], labels: Mapping[str, str] | None = None) -> dict[str, MethodStyle]:
    """A style for each method; those of the paper keep theirs in whatever company, others take the rest in turn.

    Args:
        labels: what methods are called; those that it lacks go by `experiment.default_label`.
    """
    labels = labels or {}
    others = [method for method in methods if method not in _PAPER]
    looks = _PAPER | {method: _OTHERS[place % len(_OTHERS)] for place, method in enumerate(others)}
    return {method: MethodStyle(labels.get(method) or default_label(method), *looks[method]) for method in methods}


def check_texts(texts: Mapping[str, str], source: str) -> None:
    """Refuse what a figure could not show, before anything runs.

    Args:
        texts: label by the key of the configuration, or the option, that gives it.
        source: the file or command that gives them, for the message.

    Raises:
        InputError: math that matplotlib cannot read, or a character that the font lacks; names key and remedy.
    """
    with applied():
        font = get_font(findfont(FontProperties()))
        for key, text in texts.items():
            plain, math = text, cbook.is_math_text(text)
            if math:
                try:
                    MathTextParser("path").parse(text)
                except ValueError as error:
                    fault = str(error).strip().splitlines()[-1]
                    raise InputError(
                        f"{source}: {key}: '{text}' is not math that matplotlib can set ({fault}); correct what stands between the "
                        "$ signs, or write \\$ for a dollar"
                    ) from None
                plain = "".join(re.split(r"(?<!\\)\$", text)[::2])
            lacking = [character for character in plain if not font.get_char_index(ord(character))]
            if lacking:
                raise InputError(
                    f"{source}: {key}: '{text}' has '{lacking[0]}' (U+{ord(lacking[0]):04X}), which the figures' font "
                    f"{font.family_name} lacks; write it otherwise"
                )


def applied() -> AbstractContextManager:
    """Matplotlib's defaults and `RC` on top, within a `with` block; needed while drawing and while saving."""
    return matplotlib.style.context(RC, after_reset=True)
