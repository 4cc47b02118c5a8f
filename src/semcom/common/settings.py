"""The base of every typed setting, the ways to declare one (from the paper, or our own choice), and its error messages.

Kept apart from `semcom.config`, and free of torch, so that a loss file can declare its own settings and the workflow can
check them while it builds the graph.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semcom.common.plugins import did_you_mean


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


def _sentence(model: type[Settings], fault: Any, key: str) -> str:
    kind, value = fault["type"], fault["input"]
    if kind == "extra_forbidden":
        siblings = _siblings(model, fault["loc"])
        return f"{key}: unknown key (value {value!r}){did_you_mean(str(fault['loc'][-1]), siblings)}"
    if kind == "missing":
        return f"{key}: missing key; see config/config.yaml for its meaning and a value"
    if kind == "value_error":  # raised by a check of ours, which names what it needs
        message = str(fault["ctx"]["error"])
        return f"{key}: {message}" if key else message
    remedy = fault["msg"][0].lower() + fault["msg"][1:]
    if kind == "float_type" and isinstance(value, str):
        remedy += " (YAML reads 1e-3 as text: write 1.0e-3)"
    return f"{key}: value {value!r} is not possible; {remedy}"


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
