"""Whether what a file holds is laid out as this program writes it: keys, kinds of values, shapes. Free of torch.

A layout is written as an example: a mapping has just these keys; a list of one layout stands for any number of such
entries; a type, or several with `|`, for a value of it; a frozen set for one of its members; an array or tensor for one of
its shape and type.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import Any, get_type_hints

NUMBER = int | float


def fault(found: Any, layout: Any, name: str) -> str | None:
    """The first thing in which `found` is not of this layout, such as "lacks 'step'"; None where all is.

    Args:
        name: what `found` is called in the answer.
    """
    if isinstance(layout, Mapping):
        if not isinstance(found, Mapping):
            return f"{name} is no mapping"
        for key in layout:
            if key not in found:
                return f"{name} lacks {key!r}"
        for key in found:
            if key not in layout:
                return f"{name} has {key!r}, which this version does not know"
        return _first(fault(found[key], inner, f"{name}.{key}") for key, inner in layout.items())
    if isinstance(layout, list):
        if not isinstance(found, list):
            return f"{name} is no list"
        return _first(fault(entry, layout[0], f"{name}[{place}]") for place, entry in enumerate(found))
    if isinstance(layout, frozenset):
        right = isinstance(found, str) and found in layout
        return None if right else f"{name} is {found!r}, expected {' or '.join(sorted(layout))}"
    if isinstance(layout, type | UnionType):
        # True is an int to Python, and to nobody else.
        right = isinstance(found, layout) and not (isinstance(found, bool) and not _takes_bool(layout))
        return None if right else f"{name} is {type(found).__name__}, expected {_called(layout)}"
    ours, theirs = ((getattr(value, "shape", None), getattr(value, "dtype", None)) for value in (layout, found))
    return None if ours == theirs else f"{name} has another shape or type"


def layout_of(record: type) -> dict[str, Any]:
    """The layout of a dataclass's fields, a float taking whole numbers too."""
    hints = get_type_hints(record)
    return {field.name: _widened(hints[field.name]) for field in fields(record)}


def _widened(hint: Any) -> Any:
    return hint | int if hint is float or (isinstance(hint, UnionType) and float in hint.__args__) else hint


def _takes_bool(layout: type | UnionType) -> bool:
    return bool in _alternatives(layout)


def _alternatives(layout: type | UnionType) -> Sequence[type]:
    return layout.__args__ if isinstance(layout, UnionType) else (layout,)


def _called(layout: type | UnionType) -> str:
    return " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in _alternatives(layout))


def _first(faults: Iterable[str | None]) -> str | None:
    return next(filter(None, faults), None)
