"""The explorer: one page of curves, trained links at other SNRs, and tables that can be sorted.

It carries all that it shows and asks nothing of a network: Vega-Lite draws, inlined by vl-convert; numbers are put in
here. Seeds are put together before: a curve is the mean over the seeds that did not diverge and its band, and of more
than `MOST_POINTS` evaluations every n-th is kept, and the last.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import vl_convert

from semcom.analysis.records import told_split
from semcom.common.spelling import spelled_number, spelled_percent
from semcom.figures import explorer_tables, panels, style

MOST_POINTS = 12_000  # of all curves of a chart: some hundred kilobytes
FEWEST_POINTS = 40  # of a curve, however many there are
LINE_WIDTH = 2  # pixels; dashes are multiples of it, as in the figures
HEIGHT = 380  # pixels, of a chart
SCHEMA = (
    "https://vega.github.io/schema/vega-lite/v6.json"  # by which the library knows its language; nothing is fetched
)
AIRTIME_UNITS = [(1.0, "ms", 1000.0), (600.0, "s", 1.0), (36_000.0, "min", 1 / 60), (np.inf, "h", 1 / 3600)]


@dataclass(frozen=True)
class Parts:
    """What the page is put together from, beside numbers: its frame, its looks and its script, as text."""

    frame: str
    looks: str
    script: str


@dataclass(frozen=True)
class Axis:
    """What may stand on the axis of the curves."""

    name: str
    label: str
    title: str
    tick: str  # in D3's notation


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
    curves, axes = rounds_chart(rounds[rounds["split"] == split], looks)
    y = f"Accuracy on {split} scenes (%)"
    charts = {"curves": _spec(curves, looks, called, y, axes=axes, majority=majority_accuracy)}
    reference = (
        f" Dashed: the most frequent class, {explorer_tables.percent(majority_accuracy)} %."
        if majority_accuracy
        else ""
    )
    sections = [_curves_section(curves, axes, looks, called, reference)]
    for name, (table, conditions) in evaluations.items():
        told = table[table["split"] == split]
        cells = tested_chart(told)
        if cells:
            charts[f"tested-{name}"] = _spec(cells, looks, called, y, axes=None, majority=majority_accuracy)
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


def rounds_chart(
    rounds: pd.DataFrame, looks: Mapping[str, style.MethodStyle]
) -> tuple[list[dict[str, Any]], list[Axis]]:
    """A curve for every method, SNR and label fraction, and what may stand on the axis.

    Args:
        rounds: of one split, as `costs.with_costs` has them, with airtime.

    Returns:
        Of each curve: method, snr, labels, seeds, diverged; lists of one length: round, and what was spent by then of
        channel_uses, bits and airtime, and mean, low, high (in per cent; the band that `panels.band` chooses, None where
        there is none); and `before`, what stage I costs by the same names where the devices are apart, None where it is
        not known. Where every seed diverged, the lists are empty.
    """
    groups = list(rounds.groupby(["label_fraction", "snr_db"]))
    cells = {(method, key): group[group["method"] == method] for key, group in groups for method in looks}
    by_seed = {key: panels.by_seed(cell, "round", "accuracy", diverged=False) for key, cell in cells.items()}
    band, _ = panels.band(by_seed.values())
    drawn = {key: values for key, values in by_seed.items() if len(cells[key])}
    most = max(FEWEST_POINTS, MOST_POINTS // max(1, len(drawn)))
    unit, scale = _airtime_unit(float((rounds["airtime"] + rounds["stage_one_airtime"].fillna(0)).max()))
    scales = {"channel_uses": 1.0, "bits": 1.0, "airtime": scale}
    curves = []
    for (method, (fraction, snr)), values in drawn.items():
        cell = cells[method, (fraction, snr)]
        values = values.iloc[_thinned(len(values), most)]
        # What is sent depends on the round alone, so that seeds differ in nothing here.
        spent = cell.groupby("round")[list(scales)].max().loc[values.index]
        prices = {name: _short(cell[f"stage_one_{name}"].max() * scales[name]) for name in scales}
        curve = {"method": method, "snr": spelled_number(snr), "labels": spelled_number(fraction)}
        curve |= {"seeds": values.shape[1], "diverged": panels.diverged_count(cell)[0]}
        curve |= {"round": values.index.tolist(), "before": {"round": 0, **prices}}
        curve |= {name: [_short(value * scales[name]) for value in spent[name]] for name in scales}
        curves.append(curve | _mean_and_band(values, band))
    axes = [
        Axis("round", "rounds", "Communication rounds", ",~r"),
        Axis("channel_uses", "channel uses", "Channel uses so far, up and down, all devices", "~s"),
        Axis("bits", "bits", "Bits so far, up and down, all devices", "~s"),
        Axis("airtime", "airtime", f"Airtime so far, up and down, all devices one after the other ({unit})", ",~r"),
    ]
    return curves, axes


def _short(value: float) -> float | int | None:
    """A number to six digits, which take less room; whole numbers whole, None for NaN."""
    if np.isnan(value):
        return None
    return int(value) if value % 1 == 0 else float(f"{value:.6g}")


def tested_chart(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A curve for every method, condition, trained SNR and label fraction of an evaluation with several tested SNRs.

    Args:
        table: of `evaluations.collect_evaluations`, of one split.

    Returns:
        As `rounds_chart`, with condition, and `tested` (dB) in the place of rounds and costs; empty where no system was
        tested at two SNRs.
    """
    key = ["condition", "method", "snr_db", "label_fraction"]
    cells = {
        place: panels.by_seed(cell, "tested_snr_db", "accuracy", diverged=False)
        for place, cell in table.groupby(key, sort=False)
    }
    band, _ = panels.band(cells.values())
    return [
        {"condition": condition, "method": method, "snr": spelled_number(snr), "labels": spelled_number(fraction),
         "seeds": values.shape[1], "tested": values.index.tolist()} | _mean_and_band(values, band)
        for (condition, method, snr, fraction), values in cells.items()
        if len(values) > 1 and values.size
    ]  # fmt: skip


def _mean_and_band(values: pd.DataFrame, band: Callable | None) -> dict[str, list[float | None]]:
    """Per cent to a hundredth, which no screen shows apart."""
    shares = values.to_numpy().T  # (seeds, X)
    if not len(shares):
        return {"mean": [], "low": [], "high": []}
    low, high = band(shares) if band is not None and len(shares) > 1 else (None, None)
    rounded = {"mean": shares.mean(axis=0), "low": low, "high": high}
    return {
        name: [None] * shares.shape[1] if row is None else np.round(100 * row, 2).tolist()
        for name, row in rounded.items()
    }


def _thinned(length: int, most: int) -> list[int]:
    """Positions of every n-th of so many evaluations, the first and the last among them."""
    if length <= most:
        return list(range(length))
    return sorted({*range(0, length, -(-length // most)), length - 1})


def _airtime_unit(longest_s: float) -> tuple[str, float]:
    """The unit that suits the longest airtime, and how many of it a second is."""
    return next((unit, scale) for bound, unit, scale in AIRTIME_UNITS if longest_s < bound)


# Vega-Lite


def _spec(
    curves: Sequence[Mapping[str, Any]],
    looks: Mapping[str, style.MethodStyle],
    called: Callable[[str], str],
    y_title: str,
    *,
    axes: Sequence[Axis] | None,
    majority: float | None,
) -> dict[str, Any]:
    """The chart of curves: against what `axis` names, or, without axes, against the SNR at test with a line at `at`.

    Its parameters are set by the controls of the page, by the same names.
    """
    first = curves[0] if curves else {}
    chosen = ["snr", "labels"] if axes else ["condition", "snr", "labels"]
    params = [{"name": name, "value": first.get(name, "")} for name in chosen]
    params.append({"name": "shown", "value": list(looks)})
    lists = ["mean", "low", "high"]
    if axes:
        lists += [axis.name for axis in axes]
        params += [
            {"name": "axis", "value": axes[0].name},
            {"name": "stage_one", "value": "free"},
            {"name": "titles", "value": {axis.name: axis.title for axis in axes}},
            {"name": "ticks", "value": {axis.name: axis.tick for axis in axes}},
        ]
        title, tick = "titles[axis]", "format(datum.value, ticks[axis])"
        x_transform = {"calculate": "datum[axis] + (stage_one == 'priced' ? datum.before[axis] : 0)", "as": "x"}
    else:
        lists.append("tested")
        params.append({"name": "at", "value": first.get("tested", [0])[0]})
        title, tick = "'SNR at test (dB)'", "replace(format(datum.value, '~r'), '-', '\N{MINUS SIGN}')"
        x_transform = {"calculate": "datum.tested", "as": "x"}
    edges = [edge for curve in curves for name in ("mean", "low", "high") for edge in curve[name] if edge is not None]
    edges += [100 * majority] if majority is not None else []
    limits = [5 * np.floor(min(edges) / 5), min(100, 5 * np.ceil(max(edges) / 5))] if edges else [0, 100]
    here = " && ".join(f"datum.{name} == {name}" for name in chosen)
    here += " && (stage_one == 'free' || isValid(datum.before[axis]))" if axes else ""
    methods = list(looks)
    color = {"field": "method", "type": "nominal", "legend": None, "scale": {"domain": methods, "range": [look.color for look in looks.values()]}}  # fmt: skip
    dash = {"field": "method", "type": "nominal", "legend": None, "scale": {"domain": methods, "range": [_dashes(look) for look in looks.values()]}}  # fmt: skip
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"zero": False, "nice": False},
        "axis": {
            "title": None,
            "labelExpr": tick,
            "labelOverlap": True,
            "labelFlush": True,
            "tickCount": 8,
            "grid": False,
        },
    }
    y = {"field": "mean", "type": "quantitative", "title": y_title, "scale": {"domain": limits}}
    tooltip = [
        {"field": "called", "title": "method"},
        {"field": "x", "type": "quantitative", "title": "at", "format": ",~r"},
    ]
    tooltip += [
        {"field": name, "type": "quantitative", "title": f"{name} (%)", "format": ".1f"}
        for name in ("mean", "low", "high")
    ]
    layer: list[dict[str, Any]] = [
        {"mark": {"type": "area", "opacity": 0.16}, "transform": [{"filter": "isValid(datum.low)"}],
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color}},
        {"mark": {"type": "line", "strokeWidth": LINE_WIDTH}, "encoding": {"x": x, "y": y, "color": color, "strokeDash": dash}},
        {"mark": {"type": "point", "filled": True, "size": 60, "opacity": {"expr": "0"} if axes else 1},
         "encoding": {"x": x, "y": y, "color": color, "tooltip": tooltip}},
    ]  # fmt: skip
    if not axes:
        layer.insert(0, {
            "data": {"values": [{}]}, "transform": [{"calculate": "at", "as": "x"}],
            "mark": {"type": "rule", "color": "#94a3b8", "strokeWidth": 6, "opacity": 0.4},
            "encoding": {"x": {"field": "x", "type": "quantitative"}},
        })  # fmt: skip
    if majority is not None:
        layer.insert(0, {
            "data": {"values": [{"mean": round(100 * majority, 2)}]},
            "mark": {"type": "rule", "color": "#64748b", "strokeDash": [6, 4]}, "encoding": {"y": y},
        })  # fmt: skip
    return {
        "$schema": SCHEMA,
        "description": y_title,
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": params,
        "title": {"text": {"expr": title}, "orient": "bottom", "anchor": "middle", "fontSize": 13, "fontWeight": "normal"},
        "data": {"values": [{**curve, "called": called(curve["method"])} for curve in curves]},
        "transform": [
            {"filter": f"{here} && indexof(shown, datum.method) >= 0"},
            {"flatten": lists},
            x_transform,
        ],
        "layer": layer,
        "config": {"axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal"}, "view": {"stroke": None}},
    }  # fmt: skip


def _dashes(look: style.MethodStyle) -> list[float]:
    """A line's dashes and gaps in pixels; one without gaps is drawn through."""
    if isinstance(look.linestyle, str):
        return [1, 0]
    return [LINE_WIDTH * length for length in look.linestyle[1]]


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
            "stage_one", "Stage I", {"free": "free, recorded together", "priced": "priced, devices apart"}
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
        f'stroke-width="{LINE_WIDTH}" stroke-dasharray="{" ".join(map(str, _dashes(look)))}"/></svg>{escape(called(method))}</label>'
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
