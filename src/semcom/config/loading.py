"""Configuration files: read with what they extend, and checked as a whole.

One file is one experiment: it names the file that it `extends:`, which names the next, and says itself what differs.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from semcom.common.errors import InputError
from semcom.common.settings import validated
from semcom.config.experiment import Config
from semcom.config.merging import merged, with_inherited

DEFAULT = Path("config/config.yaml")  # runs where no file is given, and is what a file without `extends:` stands on


def parse_config(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Check a configuration as a whole.

    Raises:
        InputError: one line with the first fault's key, its value and the remedy.
    """
    try:
        if isinstance(raw.get("methods"), Mapping):
            raw = {**raw, "methods": with_inherited(raw["methods"])}
        return validated(Config, raw, "")
    except (ValueError, InputError) as error:
        raise InputError(f"{source}: {error}") from None


def load_config(path: str | Path = DEFAULT, settings: Mapping[str, Any] | None = None) -> Config:
    """Read and check the configuration that a file stands for.

    Args:
        settings: of `--config`, merged over what the files say.

    Raises:
        InputError: as `parse_config` and `read_layers`; the message names the file, or `--config` where that brings the
            fault in.
    """
    if "extends" in (settings or {}):
        raise InputError("--config extends=...: only a file can say what it extends; give that file as --configfile")
    layers = read_layers(path)
    raw: dict[str, Any] = {}
    for layer in layers.values():
        raw = merged(raw, {key: value for key, value in layer.items() if key != "extends"})
    *bases, given = map(_shown, layers)
    source = f"{given} (extends {', '.join(reversed(bases))})" if bases else given
    if not settings:
        return parse_config(raw, source)
    try:
        return parse_config(merged(raw, settings))
    except InputError as error:
        fault = _without_source(error)
    try:
        parse_config(raw)
    except InputError as error:
        section = re.split(r"[.:]", fault)[0]
        if _without_source(error) == fault or section not in settings:
            raise InputError(f"{source}: {fault}") from None
    raise InputError(f"--config, over {source}: {fault}")


def _without_source(error: InputError) -> str:
    return str(error).partition(": ")[2]


def given_file(paths: Sequence[str | Path]) -> Path:
    """The one configuration file of a command line, or the default where it names none.

    Raises:
        InputError: several files; the message says how to make them one.
    """
    if len(paths) > 1:
        *_, base, last = map(Path, paths)
        name = os.path.relpath(base, last.parent)
        raise InputError(
            f"--configfile: takes one file, got {' '.join(map(_shown, paths))}; write `extends: {name}` into "
            f"{_shown(last)} and give that alone"
        )
    return Path(paths[0]) if paths else DEFAULT


def given_settings(entries: Sequence[str]) -> dict[str, Any]:
    """The settings of a command line's `--config KEY=VALUE ...`.

    A value is read as YAML, so that `pretrain={epochs: 5}` replaces that one key of a section.

    Raises:
        InputError: an entry is no KEY=VALUE, a key is given twice, or a value is not YAML.
    """
    settings: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", key):
            raise InputError(
                f"--config: '{entry}' is not KEY=VALUE; write a key of the file's top level, as in experiment=mine or "
                "'pretrain={epochs: 5}'"
            )
        if key in settings:
            raise InputError(f"--config: key '{key}' is given twice; keep one, as in '{key}={{a: 1, b: 2}}'")
        settings[key] = _parsed(value, f"--config {key}")
    return settings


def check_given_once(arguments: Sequence[str]) -> None:
    """Refuse `--configfile` or `--config` where it is given twice: Snakemake takes the last of them, without a word.

    Args:
        arguments: of Snakemake's command line.

    Raises:
        InputError: names the option and its values.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="append", default=[])
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[])
    given = parser.parse_known_args(arguments)[0]
    if len(given.configfile) > 1:
        given_file([name for names in given.configfile for name in names])
    if len(given.config) > 1:
        entries = " ".join(f"'{entry}'" for some in given.config for entry in some)
        raise InputError(
            f"--config: is given {len(given.config)} times, of which the last alone counts; write --config {entries}"
        )


def read_layers(path: str | Path) -> dict[Path, dict[str, Any]]:
    """A configuration file and all that it stands on, the lowest first, each with its own keys.

    Raises:
        InputError: a file cannot be read, or what it extends is no file, itself in the end, or named by an absolute path.
    """
    layers: dict[Path, dict[str, Any]] = {}
    seen: list[Path] = []
    step: Path | None = Path(path)
    while step is not None:
        if step.resolve() in [other.resolve() for other in seen]:
            circle = " -> ".join(map(_shown, [*seen, step]))
            raise InputError(f"{_shown(seen[-1])}: extends: a circle, {circle}; one of them must say `extends: null`")
        seen.append(step)
        layers[step] = _read(step)
        step = _base(step, layers[step])
    return dict(reversed(layers.items()))


def _base(path: Path, raw: Mapping[str, Any]) -> Path | None:
    """The file that a configuration file stands on."""
    name, where = raw.get("extends", DEFAULT), f"{_shown(path)}: extends"
    if name is DEFAULT:
        if not DEFAULT.is_file():
            raise InputError(f"{where}: missing key, and there is no {DEFAULT} here; name a file, or null for none")
        return DEFAULT
    if name is None:
        return None
    if not isinstance(name, str):
        raise InputError(f"{where}: takes the name of one file, got {name!r}; that file may extend the next")
    if Path(name).is_absolute():
        raise InputError(
            f"{where}: '{name}' is an absolute path, which no other machine has; write it relative to the folder of "
            f"this file: {os.path.relpath(name, path.parent)}"
        )
    base = Path(os.path.normpath(path.parent / name))
    if not base.is_file():
        known = [DEFAULT.parent / name, Path(name)]
        hint = next((f"; did you mean '{os.path.relpath(file, path.parent)}'" for file in known if file.is_file()), "")
        raise InputError(f"{where}: no file '{_shown(base)}'; write its path relative to the folder of this file{hint}")
    return base


def _read(path: Path) -> dict[str, Any]:
    """The keys of one file."""
    shown = _shown(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}); give the path of a configuration file") from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{shown}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file in that encoding"
        ) from None
    raw = _parsed(text, shown)
    if not isinstance(raw, dict):
        raise InputError(f"{shown}: holds no keys; write what differs from {DEFAULT}, such as `experiment: mine`")
    return raw


def _parsed(text: str, shown: str) -> Any:
    """The content of a YAML text, which messages call `shown`."""
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except _RepeatedKeyError as error:
        raise InputError(f"{shown}: {error}; keep one") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        told = [getattr(error, part, None) for part in ("context", "problem")]
        problem = "; ".join(filter(None, told)) or " ".join(str(error).split())
        remedy = "indent with spaces" if "'\\t'" in problem else "correct it there, or shortly before"
        raise InputError(f"{shown}{line}: not valid YAML: {problem}; {remedy}") from None


def _shown(path: str | Path) -> str:
    """A path as a message names it: from the working directory where it lies below."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith(os.pardir) else shown


class _RepeatedKeyError(ValueError):
    pass


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML would silently keep the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise _RepeatedKeyError(f"key '{key.value}' stands twice, in lines {lines[key.value]} and {line}")
                lines[key.value] = line
        return node
