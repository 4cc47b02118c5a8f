"""The explorer: one page of curves, trained links at other SNRs, and tables that can be sorted.

It carries all that it shows and asks nothing of a network: Vega-Lite draws, inlined by vl-convert; numbers are put in
here, by `explorer_charts` and `explorer_tables`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Any

import pandas as pd
import vl_convert

from semcom.analysis.records import told_split
from semcom.common.spelling import spelled_percent
from semcom.figures import explorer_charts, explorer_tables, panels, style
from semcom.figures.explorer_charts import Axis


@dataclass(frozen=True)
class Parts:
    """What the page is put together from, beside numbers: its frame, its looks and its script, as text."""

    frame: str
    looks: str
    script: str


def page(
    parts: Parts,
    *,
    experiment: str,
    methods: Sequence[str],
    labels: Mapping[str, str],
    rounds: pd.DataFrame,
    majority_accuracy: float | None,
    evaluations: Mapping[str, tuple[pd.DataFrame, Mapping[str, str]]],
    tables: Sequence[str],
) -> str:
    """The whole page.

    Args:
        methods: of the grid, in its order.
        labels: what methods are called.
        rounds: of `costs.with_costs`, with airtime.
        majority_accuracy: share of the test scenes' most frequent class, for a reference line, or None.
        evaluations: each a table of `evaluations.collect_evaluations`, and what its conditions are called.
        tables: further sections, of `explorer_tables`.
    """
    called = explorer_tables.named_methods(labels)
    looks = style.method_styles(methods, labels)
    split = told_split(rounds)
    drawn = explorer_charts.Drawn(looks, called, f"Accuracy on {split} scenes (%)", majority_accuracy)
    curves, axes = explorer_charts.rounds_chart(rounds[rounds["split"] == split], looks)
    charts = {"curves": explorer_charts.rounds_spec(curves, axes, drawn)}
    reference = (
        f" Dashed: the most frequent class, {explorer_tables.percent(majority_accuracy)} %."
        if majority_accuracy
        else ""
    )
    sections = [_curves_section(curves, axes, looks, called, reference)]
    for name, (table, conditions) in evaluations.items():
        told = table[table["split"] == split]
        cells = explorer_charts.tested_chart(told)
        if cells:
            charts[f"tested-{name}"] = explorer_charts.tested_spec(cells, drawn)
            sections.append(_tested_section(name, cells, looks, called, conditions, reference))
    whole = [
        explorer_tables.evaluation(name, table, called, conditions) for name, (table, conditions) in evaluations.items()
    ]
    sections += [*tables, *whole]
    return Template(parts.frame).substitute(
        title=escape(f"Experiment {experiment}"),
        looks=parts.looks,
        contents=_contents(sections),
        sections="\n".join(sections),
        charts=json.dumps(charts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        library=vl_convert.javascript_bundle().replace("</script", "<\\/script"),
        script=parts.script,
    )


# The sections of the page


def _curves_section(
    curves: Sequence[Mapping[str, Any]],
    axes: Sequence[Axis],
    looks: Mapping[str, style.MethodStyle],
    called: Callable[[str], str],
    reference: str,
) -> str:
    controls = _choice("axis", "Against", {axis.name: axis.label for axis in axes})
    if any(curve["before"]["bits"] != 0 for curve in curves):
        controls += _choice(
            "stage_one",
            "Stage I",
            {explorer_charts.FREE: "free, recorded together", explorer_charts.PRICED: "priced, devices apart"},
        )
    controls += _places(curves) + _methods(looks, called)
    lost = [
        f"{called(curve['method'])} at {explorer_tables.decibels(float(curve['snr']))} dB, "
        f"{spelled_percent(float(curve['labels']))} % of the labels: {curve['diverged']} of {curve['diverged'] + curve['seeds']}"
        for curve in curves
        if curve["diverged"]
    ]
    note = f" Diverged and left out: {'; '.join(lost)}." if lost else ""
    return _section(
        "curves",
        "Accuracy curves",
        f"Line: mean over the seeds that did not diverge. Band: {_band_text(curves)} Stage I "
        f"sends nothing where the scenes of all devices were recorded together; where the devices are apart, the curve begins "
        f"at what it sends.{reference}{note}",
        controls,
    )


def _tested_section(
    name: str,
    cells: Sequence[Mapping[str, Any]],
    looks: Mapping[str, style.MethodStyle],
    called: Callable[[str], str],
    conditions: Mapping[str, str],
    reference: str,
) -> str:
    tested = sorted({snr for cell in cells for snr in cell["tested"]})
    used = dict.fromkeys(cell["condition"] for cell in cells)
    asked = {method for cell in cells for method in [cell["method"]]}
    controls = _choice("condition", "Condition", {key: conditions.get(key, key) for key in used})
    controls += _places(cells, snr="Trained at")
    controls += _methods({method: look for method, look in looks.items() if method in asked}, called)
    identity = f"tested-{name}"
    slider = (
        f'<label class="slider">SNR at test <input type="range" name="at" min="0" max="{len(tested) - 1}" step="1" value="0" '
        f"data-values='{json.dumps(tested)}' aria-describedby=\"{escape(identity)}-at\"> "
        f'<output id="{escape(identity)}-at"></output></label>'
    )
    return _section(
        identity,
        f"SNR at test: {name}",
        f"Trained links, tested at other SNRs than they were trained at. Line: mean over the seeds that did not diverge. "
        f"Band: {_band_text(cells)} The table has the values at the SNR of the slider.{reference}",
        controls + slider,
        '<div class="scrolls" tabindex="0" role="region" aria-label="Values at this SNR"><table class="values" '
        'aria-live="polite"><thead><tr><th>Method</th><th class="number">Accuracy (%)</th><th class="number">Band</th>'
        '<th class="number">Seeds</th></tr></thead><tbody></tbody></table></div>',
    )


def _band_text(curves: Sequence[Mapping[str, Any]]) -> str:
    """What the band is, as `panels.band` chooses it."""
    sizes = [curve["seeds"] for curve in curves if curve["seeds"] > 1]
    if not sizes:
        return "none, of a single seed."
    return (
        "95 % t-interval over the seeds."
        if min(sizes) >= panels.INTERVAL_SEEDS
        else "minimum and maximum over the seeds."
    )


def _section(identity: str, title: str, note: str, controls: str, more: str = "") -> str:
    return (
        f'<section id="{escape(identity)}">\n<h2>{escape(title)}</h2>\n<p>{escape(note)}</p>\n'
        f'<form class="controls" data-chart="{escape(identity)}">{controls}</form>\n'
        f'<div class="chart" id="chart-{escape(identity)}"></div>\n{more}\n</section>\n'
    )


def _places(curves: Sequence[Mapping[str, Any]], snr: str = "SNR") -> str:
    snrs = sorted({curve["snr"] for curve in curves}, key=float)
    fractions = sorted({curve["labels"] for curve in curves}, key=float, reverse=True)
    return _choice("snr", snr, {value: f"{explorer_tables.decibels(float(value))} dB" for value in snrs}) + _choice(
        "labels", "Labels", {value: f"{spelled_percent(float(value))} %" for value in fractions}
    )


def _choice(name: str, legend: str, options: Mapping[str, str]) -> str:
    """Buttons of which one is pressed; a list where there are many."""
    if len(options) > 6:
        items = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options.items())
        return f'<label class="list">{escape(legend)} <select name="{name}">{items}</select></label>\n'
    buttons = "".join(
        f'<label><input type="radio" name="{name}" value="{escape(value)}"{" checked" * (number == 0)}> {escape(text)}</label>'
        for number, (value, text) in enumerate(options.items())
    )
    return f"<fieldset><legend>{escape(legend)}</legend>{buttons}</fieldset>\n"


def _methods(looks: Mapping[str, style.MethodStyle], called: Callable[[str], str]) -> str:
    """The methods to show, each with a piece of its line: the legend."""
    boxes = "".join(
        f'<label><input type="checkbox" name="shown" value="{escape(method)}" checked>'
        f'<svg width="34" height="10" aria-hidden="true"><line x1="1" y1="5" x2="33" y2="5" stroke="{look.color}" '
        f'stroke-width="{explorer_charts.LINE_WIDTH}" stroke-dasharray="{" ".join(map(str, explorer_charts.dashes(look)))}"/></svg>{escape(called(method))}</label>'
        for method, look in looks.items()
    )
    return f"<fieldset><legend>Methods</legend>{boxes}</fieldset>\n"


def _contents(sections: Sequence[str]) -> str:
    """Links to the sections, by their ids and headings."""
    found = [section.split("\n", 2)[:2] for section in sections]
    items = "".join(
        f'<li><a href="#{first.split(chr(34))[1]}">{second.removeprefix("<h2>").removesuffix("</h2>")}</a></li>'
        for first, second in found
    )
    return f"<ul>{items}</ul>"
