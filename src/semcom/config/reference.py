"""What the typed configuration says about itself, for people and editors; tests hold both in step with the files.

python -m semcom.config.reference schema     prints workflow/schemas/config.schema.yaml
python -m semcom.config.reference choices    brings docs/choices.md in step; reasons in it are kept, new keys have none
"""

import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from semcom.common import plugins
from semcom.common.files import write_text
from semcom.common.settings import Settings, as_yaml
from semcom.config.experiment import LINK_OFFERS, Config
from semcom.config.loading import load_config
from semcom.config.sections import ChannelSettings, FinetuneSettings, MethodSettings, PretrainSettings

CHOICES = Path("docs/choices.md")


def leaves(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting below a model as (dotted key, pydantic field); a method's entry appears as `methods.<method>`."""
    for name, field in model.model_fields.items():
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        nested = [t for t in candidates if isinstance(t, type) and issubclass(t, Settings)]
        key = f"{prefix}{name}"
        if nested:
            inner = f"{key}.<method>." if name == "methods" else f"{key}."
            yield from leaves(nested[0], inner)
        else:
            yield key, field


def choices(config: Config) -> dict[str, tuple[str, str]]:
    """Every setting on which the paper is silent: dotted key to its value in `config`, as YAML, and its meaning."""
    found: dict[str, tuple[str, str]] = {}

    def add(key: str, value: Any, field: Any) -> None:
        if (field.json_schema_extra or {}).get("paper") == "silent":
            found[key] = as_yaml(value), field.description

    for key, field in leaves(Config):
        if "<method>" not in key and not field.exclude:
            value: Any = config.model_dump()
            for step in key.split("."):
                value = None if value is None else value[step]  # a section may be null
            add(key, value, field)
    for kind in LINK_OFFERS:
        block = getattr(config.channel, kind)
        if block.name == "auto":
            continue
        options_type = plugins.load(f"semcom.link.{kind}", block.name).Options
        for key, value in block.options.items():
            add(f"channel.{kind}.{key}", value, options_type.model_fields[key])
    for method, settings in config.methods.items():
        options = config.loss_options(method)
        if options is not None:
            add(f"methods.{method}.projector", settings.projector, MethodSettings.model_fields["projector"])
            for key, field in type(options).model_fields.items():
                add(f"methods.{method}.options.{key}", getattr(options, key), field)
        for section, model in (
            ("pretrain", PretrainSettings),
            ("finetune", FinetuneSettings),
            ("channel", ChannelSettings),
        ):
            for key, value in getattr(settings, section).items():
                add(f"methods.{method}.{section}.{key}", value, model.model_fields[key])
    return found


def reasons(page: str) -> dict[str, str]:
    """Key to reason, of every row of a page of choices."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", page, re.MULTILINE)
    return {key: cells.rpartition("|")[2].strip() for key, cells in rows}


def choices_page(config: Config, page: str) -> str:
    """A page of choices with its tables in step with `config`, one a section; its head and its reasons stay."""
    why = reasons(page)
    lines = [page.partition("\n## ")[0].rstrip("\n")]
    for section, rows in groupby(choices(config).items(), key=lambda row: row[0].partition(".")[0]):
        lines += ["", f"## {section}", "", "| Setting | Value | What it is | Why this value |", "|---|---|---|---|"]
        lines += [f"| `{key}` | {value} | {meaning} | {why.get(key, '')} |" for key, (value, meaning) in rows]
    return "\n".join(lines) + "\n"


def schema() -> str:
    """The JSON schema of a configuration file, as YAML, for editors. No key is required: a file says what differs."""
    head = "# Written by `python -m semcom.config.reference schema`; the source is src/semcom/config/experiment.py.\n"
    return head + yaml.safe_dump(_without_required(Config.model_json_schema()), sort_keys=False, width=110)


def _without_required(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema in which every key may be left out."""
    kept = {key: value for key, value in schema.items() if not (key == "required" and isinstance(value, list))}
    return {key: _without_required(value) if isinstance(value, Mapping) else value for key, value in kept.items()}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["schema"]:
            print(schema(), end="")
        case ["choices"]:
            write_text(CHOICES, choices_page(load_config(), CHOICES.read_text(encoding="utf-8")))
        case _:
            sys.exit("usage: python -m semcom.config.reference schema | choices")
