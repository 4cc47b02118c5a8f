"""What the typed configuration says about itself, for people and editors; tests hold both in step with the files.

python -m semcom.config.reference schema     workflow/schemas/config.schema.yaml
python -m semcom.config.reference choices    the README's table of choices on which the paper is silent
"""

import sys
from collections.abc import Iterator
from typing import Any

import yaml

from semcom.common import plugins
from semcom.common.settings import Settings
from semcom.config.experiment import LINK_OFFERS, Config, load_config
from semcom.config.sections import ChannelSettings, FinetuneSettings, MethodSettings, PretrainSettings


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


def choices(config: Config) -> str:
    """Markdown table of every setting on which the paper is silent: key, value in `config`, meaning, reason."""
    rows = ["| Setting | Value | What it is | Why this value |", "|---|---|---|---|"]

    def add(key: str, value: Any, field: Any) -> None:
        extra = field.json_schema_extra or {}
        if extra.get("paper") == "silent":
            shown = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
            rows.append(f"| `{key}` | {shown} | {field.description} | {extra['why']} |")

    for key, field in leaves(Config):
        if "<method>" not in key and not field.exclude:
            value: Any = config.model_dump()
            for step in key.split("."):
                value = None if value is None else value[step]  # a section may be null
            add(key, value, field)
    for kind in LINK_OFFERS:
        block = getattr(config.channel, kind)
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
    return "\n".join(rows) + "\n"


def schema() -> str:
    """The JSON schema of a configuration file, as YAML, for editors."""
    head = "# Written by `python -m semcom.config.reference schema`; the source is src/semcom/config/experiment.py.\n"
    return head + yaml.safe_dump(Config.model_json_schema(), sort_keys=False, width=110)


if __name__ == "__main__":
    actions = {"schema": lambda _: schema(), "choices": lambda path: choices(load_config(path))}
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        sys.exit("usage: python -m semcom.config.reference schema | choices config/config.yaml")
    print(actions[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "config/config.yaml"), end="")
