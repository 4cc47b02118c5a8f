"""Which runs a figure of final accuracy shows, and which values its horizontal axis has: `figures.accuracy_by`.

An axis is one of the grid's (`GRID_AXES`), or any setting in which methods differ, by its key, such as
`encoder.features`, `options.temperature` or `channel.fading`.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan

from semcom.common.plugins import did_you_mean
from semcom.common.settings import Settings
from semcom.common.spelling import spelled_number
from semcom.config.sections import AccuracyBySettings, GridSettings

GRID_AXES = {"label_fraction": "label_fractions", "snr_db": "snr_db"}  # the axis, and its key under `grid:`
TAKEN = (  # figures and tables that rules of their own make
    *(f"{figure}{cost}" for figure in ("figure4", "figure5") for cost in ("", "_channel_uses", "_bits", "_airtime")),
    *("pretraining", "gradients", "contact_sheet", "confusion", "per_class", "class_counts"),
    *("rounds", "summary", "rounds_to_target", "pretraining_overhead", "claims", "claim_tests"),
)


class Point(Settings):
    """A value of the axis, and the method whose runs have it."""

    line: str
    method: str
    x: Annotated[float, AllowInfNan()] | str  # an SNR may be infinite


class AccuracyBy(Settings):
    """What a figure of final accuracy shows: its axis, and its points in the order of the lines."""

    x: str
    label: str | None
    scale: Literal["linear", "log"]
    points: list[Point]

    @property
    def lines(self) -> list[str]:
        return list(dict.fromkeys(point.line for point in self.points))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(point.method for point in self.points))


def accuracy_by(
    name: str,
    asked: AccuracyBySettings,
    grid: GridSettings,
    settings: Mapping[str, Mapping[str, Any]],
    families: Mapping[str, str],
) -> AccuracyBy:
    """The points of a figure.

    On an axis of the grid every method is a line. On a setting, methods of one family that differ in it are a line, named
    by the family, or as `lines` puts them together.

    Args:
        settings: in force for each method of the grid, `flattened`.
        families: of each method of the grid, the entry that it goes back to by `like`.

    Raises:
        ValueError: the axis is unknown, has a single value, or has one value twice on a
            line; a method is not of the grid, or lacks the setting.
    """
    where = f"figures.accuracy_by.{name}"
    if asked.methods and asked.lines:
        raise ValueError(f"{where}: methods and lines both say what is shown; leave one of them out")
    chosen = asked.methods or [method for line in (asked.lines or {}).values() for method in line]
    for method in chosen:
        if method not in grid.methods:
            key = "lines" if asked.lines else "methods"
            hint = did_you_mean(method, grid.methods)
            raise ValueError(f"{where}.{key}: '{method}' is not one of grid.methods{hint}")
    if asked.x in GRID_AXES:
        key = f"grid.{GRID_AXES[asked.x]}"
        if asked.lines:
            raise ValueError(f"{where}.lines: on {asked.x} every method is a line; leave lines out, or take methods")
        values = getattr(grid, GRID_AXES[asked.x])
        points = [Point(line=method, method=method, x=x) for method in chosen or grid.methods for x in values]
    else:
        key = "methods of the grid that differ in it"
        points = _points(where, asked, chosen, settings, families)
    values = list(dict.fromkeys(point.x for point in points))
    if len(values) < 2:
        raise ValueError(
            f"{where}.x: {asked.x} has the single value {spelled(values[0])}; give more by {key}, or drop the figure"
        )
    if asked.scale == "log" and not all(isinstance(x, float) and x > 0 for x in values):
        raise ValueError(f"{where}.scale: {asked.x} is not above 0 throughout, as log needs; take linear")
    return AccuracyBy(x=asked.x, label=asked.label, scale=asked.scale, points=points)


def _points(
    where: str,
    asked: AccuracyBySettings,
    chosen: list[str],
    settings: Mapping[str, Mapping[str, Any]],
    families: Mapping[str, str],
) -> list[Point]:
    """A point a method that has the setting, line by line."""
    known = sorted({key for flat in settings.values() for key in flat})
    if asked.x not in known:
        hint = did_you_mean(asked.x, known) if known else ""
        hint = hint if "did you mean" in hint else ""
        raise ValueError(
            f"{where}.x: no method of the grid has a setting '{asked.x}'{hint}; take {' or '.join(GRID_AXES)}, or a key "
            "of a method such as encoder.features"
        )
    for method in chosen:
        if asked.x not in settings[method]:
            raise ValueError(f"{where}: '{method}' has no {asked.x}; leave it out")
    found = {method: settings[method][asked.x] for method in chosen or settings if asked.x in settings[method]}
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found.values())
    values = {method: float(value) if numeric else spelled(value) for method, value in found.items()}
    if asked.lines:
        lines = dict(asked.lines)
    else:
        lines = {}
        for family in dict.fromkeys(families[method] for method in values):
            members = [method for method in values if families[method] == family]
            if len({values[method] for method in members}) > 1:
                lines[family] = members
            else:  # the axis tells them not apart, so that each is a point by itself
                lines |= {method: [method] for method in members}
    for line, members in lines.items():
        holders: dict[float | str, str] = {}
        for method in members:
            other = holders.setdefault(values[method], method)
            if other != method:
                raise ValueError(
                    f"{where}: '{other}' and '{method}', on the line '{line}', both have {asked.x} "
                    f"{spelled(found[method])}; say which methods make a line, as `lines: {{NAME: [METHOD, ...]}}`"
                )
    points = [
        Point(line=line, method=method, x=values[method]) for line, members in lines.items() for method in members
    ]
    return sorted(points, key=lambda p: (list(lines).index(p.line), p.x)) if numeric else points


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted key; a block {name: ..., option: ...} gives its name and its options."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if "name" in value:
                yield f"{prefix}{key}", value["name"]
            yield from flattened({k: v for k, v in value.items() if k != "name"}, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def spelled(value: Any) -> str:
    """A setting's value as a figure and a message spell it."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(spelled, value))
    return spelled_number(value) if isinstance(value, int | float) else str(value)
