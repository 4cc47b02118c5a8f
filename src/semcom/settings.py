"""The base of every typed setting, and the two ways to declare one: from the paper, or our own choice.

Kept apart from `config.py`, and free of torch, so that a loss file can declare its own settings and the workflow can
check them while it builds the graph.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Immutable, strictly typed settings; an unknown key is an error, and no value has a hidden default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def from_paper(description: str, where: str, **bounds: Any) -> Any:
    """Declare a setting that the paper prints; `where` is the equation or section."""
    return Field(description=description, json_schema_extra={"paper": where}, **bounds)


def silent(description: str, why: str, **bounds: Any) -> Any:
    """Declare a setting on which the paper is silent; `why` is the reason for our value."""
    return Field(description=description, json_schema_extra={"paper": "silent", "why": why}, **bounds)


def ours(description: str, **bounds: Any) -> Any:
    """Declare a setting of the pipeline itself, which no paper could print (paths, threads, devices)."""
    return Field(description=description, **bounds)
