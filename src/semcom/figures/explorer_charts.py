"""The charts of the explorer: the numbers that they show, put together over the seeds, and how Vega-Lite is to draw them.

A curve is the mean over the seeds that did not diverge and its band; of more than `MOST_POINTS` evaluations every n-th
is kept, and the last. What a reader chooses are parameters of the chart, which the page sets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semcom.common.spelling import spelled_number
from semcom.figures import panels, style

MOST_POINTS = 12_000  # of all curves of a chart: some hundred kilobytes
FEWEST_POINTS = 40  # of a curve, however many there are
LINE_WIDTH = 2  # pixels; dashes are multiples of it, as in the figures
HEIGHT = 380  # pixels, of a chart
STEP = 5  # per cent, to which the limits of the accuracy are rounded
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # names the language; nothing is fetched
AIRTIME_UNITS = [(1.0, "ms", 1000.0), (600.0, "s", 1.0), (36_000.0, "min", 1 / 60), (np.inf, "h", 1 / 3600)]
FREE, PRICED = "free", "priced"  # stage I

Spec = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """What may stand on the axis of the curves."""

    name: str
    label: str
    title: str
    tick: str  # in D3's notation


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


@dataclass(frozen=True)
class Drawn:
    """How all charts of a page are drawn.

    Attributes:
        looks: of the methods, in their order.
        called: what each is called.
        accuracy: the title of the vertical axis.
        majority: share of the most frequent class, for a reference line, or None.
    """

    looks: Mapping[str, style.MethodStyle]
    called: Callable[[str], str]
    accuracy: str
    majority: float | None


def rounds_spec(curves: Sequence[Mapping[str, Any]], axes: Sequence[Axis], drawn: Drawn) -> Spec:
    """The chart of `rounds_chart`; its parameters: axis, stage_one (`FREE` or `PRICED`), snr, labels, shown (methods)."""
    params = {
        "axis": axes[0].name,
        "stage_one": FREE,
        "titles": {axis.name: axis.title for axis in axes},
        "ticks": {axis.name: axis.tick for axis in axes},
    }
    return _chart(
        curves,
        drawn,
        params=params,
        chosen=["snr", "labels"],
        also=f"(stage_one == '{FREE}' || isValid(datum.before[axis]))",
        lists=[axis.name for axis in axes],
        x=f"datum[axis] + (stage_one == '{PRICED}' ? datum.before[axis] : 0)",
        title="titles[axis]",
        tick="format(datum.value, ticks[axis])",
        below=[],
        points=0,
    )


def tested_spec(curves: Sequence[Mapping[str, Any]], drawn: Drawn) -> Spec:
    """The chart of `tested_chart`; its parameters: at (the SNR that is marked), condition, snr, labels, shown."""
    marked = {
        "data": {"values": [{}]},
        "transform": [{"calculate": "at", "as": "x"}],
        "mark": {"type": "rule", "color": "#94a3b8", "strokeWidth": 6, "opacity": 0.4},
        "encoding": {"x": {"field": "x", "type": "quantitative"}},
    }
    return _chart(
        curves,
        drawn,
        params={"at": curves[0]["tested"][0]},
        chosen=["condition", "snr", "labels"],
        also="true",
        lists=["tested"],
        x="datum.tested",
        title="'SNR at test (dB)'",
        tick="replace(format(datum.value, '~r'), '-', '\N{MINUS SIGN}')",
        below=[marked],
        points=1,
    )


def _chart(
    curves: Sequence[Mapping[str, Any]],
    drawn: Drawn,
    *,
    params: Mapping[str, Any],
    chosen: Sequence[str],
    also: str,
    lists: Sequence[str],
    x: str,
    title: str,
    tick: str,
    below: Sequence[Spec],
    points: float,
) -> Spec:
    """Curves with their bands.

    Args:
        params: the chart's parameters by their first values, beside `chosen` and shown.
        chosen: names both of parameters and of fields of a curve, which must be equal for it to be shown.
        also: what else must hold of a curve, an expression of Vega's.
        lists: fields that have a value for each point, beside mean, low and high.
        x, title, tick: expressions of a point's place, of the axis' title, and of a tick's label.
        below: layers under the curves.
        points: opacity of the points; where they cannot be seen, they still say their values under the pointer.
    """
    first = curves[0] if curves else {}
    params = {**params, **{name: first.get(name, "") for name in chosen}, "shown": list(drawn.looks)}
    here = [*(f"datum.{name} == {name}" for name in chosen), also, "indexof(shown, datum.method) >= 0"]
    text = {"fontSize": 13, "fontWeight": "normal"}
    return {
        "$schema": SCHEMA,
        "description": drawn.accuracy,
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "title": {"text": {"expr": title}, "orient": "bottom", "anchor": "middle", **text},
        "data": {"values": [{**curve, "called": drawn.called(curve["method"])} for curve in curves]},
        "transform": [
            {"filter": " && ".join(here)},
            {"flatten": ["mean", "low", "high", *lists]},
            {"calculate": x, "as": "x"},
        ],
        "layer": [*below, *_layers(curves, drawn, tick, points)],
        "config": {
            "axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal"},
            "view": {"stroke": None},
        },
    }


def _layers(curves: Sequence[Mapping[str, Any]], drawn: Drawn, tick: str, points: float) -> list[Spec]:
    """The reference line, bands, lines and points, on axes whose limits are those of all curves."""
    edges = [edge for curve in curves for name in ("mean", "low", "high") for edge in curve[name] if edge is not None]
    edges += [100 * drawn.majority] if drawn.majority is not None else []
    limits = [STEP * np.floor(min(edges) / STEP), min(100, STEP * np.ceil(max(edges) / STEP))] if edges else [0, 100]
    ticks = {"labelExpr": tick, "labelOverlap": True, "labelFlush": True, "tickCount": 8, "grid": False, "title": None}
    x = {"field": "x", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": ticks}
    y = {"field": "mean", "type": "quantitative", "title": drawn.accuracy, "scale": {"domain": limits}}
    color = _by_method(drawn, [look.color for look in drawn.looks.values()])
    dash = _by_method(drawn, [dashes(look) for look in drawn.looks.values()])
    tooltip = [
        {"field": "called", "title": "method"},
        {"field": "x", "type": "quantitative", "title": "at", "format": ",~r"},
    ]
    tooltip += [
        {"field": name, "type": "quantitative", "title": f"{name} (%)", "format": ".1f"}
        for name in ("mean", "low", "high")
    ]
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "opacity": 0.16},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color},
    }
    line = {
        "mark": {"type": "line", "strokeWidth": LINE_WIDTH},
        "encoding": {"x": x, "y": y, "color": color, "strokeDash": dash},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": points},
        "encoding": {"x": x, "y": y, "color": color, "tooltip": tooltip},
    }
    reference = {
        "data": {"values": [] if drawn.majority is None else [{"mean": round(100 * drawn.majority, 2)}]},
        "mark": {"type": "rule", "color": "#64748b", "strokeDash": [6, 4]},
        "encoding": {"y": y},
    }
    return [reference, band, line, point]


def _by_method(drawn: Drawn, values: Sequence[Any]) -> Spec:
    """An encoding that gives each method its own; the page has the legend."""
    scale = {"domain": list(drawn.looks), "range": list(values)}
    return {"field": "method", "type": "nominal", "legend": None, "scale": scale}


def dashes(look: style.MethodStyle) -> list[float]:
    """A line's dashes and gaps in pixels; one without gaps is drawn through."""
    if isinstance(look.linestyle, str):
        return [1, 0]
    return [LINE_WIDTH * length for length in look.linestyle[1]]
