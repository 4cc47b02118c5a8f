"""The base of every typed setting, the ways to declare one (from the paper, or our own choice), and its error messages.

Kept apart from `semcom.config`, and free of torch, so that a loss file can declare its own settings and the workflow can
check them while it builds the graph.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semcom.common.plugins import did_you_mean
from semcom.common.spelling import spelled_number


class Settings(BaseModel):
    """Immutable, strictly typed settings; an unknown key is an error, and no value that decides a result has a hidden default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def from_paper(description: str, where: str, **bounds: Any) -> Any:
    """Declare a setting that the paper prints; `where` is the equation or section."""
    return Field(description=description, json_schema_extra={"paper": where}, **bounds)


def silent(description: str, **bounds: Any) -> Any:
    """Declare a setting on which the paper is silent; docs/choices.md gives the reason for our value."""
    return Field(description=description, json_schema_extra={"paper": "silent"}, **bounds)


def ours(description: str, **bounds: Any) -> Any:
    """Declare a setting of the pipeline itself, which no paper could print (paths, threads, devices)."""
    return Field(description=description, **bounds)


def as_yaml(value: Any) -> str:
    """A value as a configuration file has it, in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=float("inf")).splitlines()[0]


def validated(model: type[Settings], raw: Mapping[str, Any], prefix: str) -> Any:
    """`model.model_validate` with its first fault as one line.

    Args:
        prefix: dotted key of the section that `raw` is, empty at the top.

    Raises:
        ValueError: names key, value and remedy.
    """
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join([prefix, *map(str, fault["loc"])] if prefix else map(str, fault["loc"]))
        raise ValueError(_sentence(model, fault, key)) from None


_LONGEST_VALUE = 80  # characters of a value in a message
_IN_WORDS = {  # pydantic's kinds of fault; of those that are not here, its own sentence is shown
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list, as in [a, b]",
    "dict_type": "must be keys with values, as in {key: value}",
    "model_type": "must be keys with values, as in {key: value}",
    "model_attributes_type": "must be keys with values, as in {key: value}",
}
_PATTERNS: dict[str, str] = {}


def in_words(pattern: str, words: str) -> str:
    """Give a regular expression that settings are held to its meaning, which messages show: "must be <words>"."""
    _PATTERNS[pattern] = words
    return pattern


def _sentence(model: type[Settings], fault: Any, key: str) -> str:
    kind, value = fault["type"], fault["input"]
    if kind in ("extra_forbidden", "invalid_key"):  # the latter is not even text
        siblings = _siblings(model, fault["loc"])
        given = f" (value {_shown(value)})" if kind == "extra_forbidden" else ""
        return f"{key}: unknown key{given}{did_you_mean(str(fault['loc'][-1]), siblings)}"
    if kind == "missing":
        return f"{key}: missing key; see config/config.yaml for its meaning and a value"
    if kind == "value_error":  # raised by a check of ours, which names what it needs
        message = str(fault["ctx"]["error"])
        return f"{key}: {message}" if key else message
    what = "value"
    if fault["loc"][-1:] == ("[key]",):  # of a mapping; pydantic names the key itself before that
        key, what = key.removesuffix(f"{fault['loc'][-2]}.[key]").rstrip("."), "name"
    return f"{key}: {what} {_shown(value)} is not possible; {_remedy(kind, value, fault)}"


def _remedy(kind: str, value: Any, fault: Any) -> str:
    """What a value must be."""
    context = fault.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"must be {_PATTERNS.get(context['pattern'], 'of the form ' + context['pattern'])}"
    if kind == "literal_error":
        return f"must be {context['expected'].replace('True', 'true').replace('False', 'false')}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        bound = "at least" if kind.endswith("short") else "at most"
        unit = "character" if kind.startswith("string") else "item"
        count = context.get("min_length", context.get("max_length"))
        return f"must have {bound} {count} {unit}{'s' * (count != 1)}"
    remedy = _IN_WORDS.get(kind) or (fault["msg"][0].lower() + fault["msg"][1:]).replace("input should be", "must be")
    if kind == "string_type" and isinstance(value, int | float):
        remedy += f", in quotes: '{value}'"
    if kind in ("float_type", "int_type") and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return remedy
        if kind == "float_type" or number.is_integer():
            remedy += f"; {value!r} is text: write {spelled_number(number)}"
    return remedy


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[: _LONGEST_VALUE - 4]} ..."


def _siblings(model: type[Settings], location: tuple) -> list[str]:
    """Known keys beside an unknown one, for a hint."""
    for step in location[:-1]:
        field = model.model_fields.get(step) if model is not None else None
        models = _models(field.annotation) if field else [model]
        if models:
            model = models[0]
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[Settings]]:
    """The settings that a type names, however deep: `dict[str, RemoteFile] | None` names `RemoteFile`."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]
