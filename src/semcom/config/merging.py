"""How configurations are laid one on another: mappings are merged, methods take what they are `like`."""

from collections.abc import Mapping
from typing import Any

from semcom.common import plugins


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: a mapping in both is merged in turn, anything else is replaced.

    Another `name` is another thing with options of its own: of {name: rician, k_factor: 3.0} nothing stays in one that
    is named otherwise.
    """
    both = {
        key: merged(base[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) and not _named_anew(base[key], value)
    }
    return {**base, **changes, **both}


def _named_anew(base: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    return isinstance(changes.get("name"), str) and changes["name"] != base.get("name")


def with_inherited(methods: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `methods:`, each with what it takes from the one that it is `like`.

    The label stays the other's own. An entry with a loss of its own does not take the other's options; one with a
    backbone of its own takes neither the other's backbone options nor its weights.

    Raises:
        ValueError: an entry is like one that does not exist, or like itself in the end.
    """

    def complete(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
        entry = methods[name]
        base = entry.get("like") if isinstance(entry, Mapping) else None
        if base is None:
            return entry
        where = f"methods.{name}.like"
        if base not in methods:
            raise ValueError(f"{where}: no method '{base}'{plugins.did_you_mean(str(base), list(methods))}")
        if base in seen:
            raise ValueError(f"{where}: '{base}' is itself like '{name}'; one of them must stand on its own")
        inherited = complete(base, (*seen, base))
        if not isinstance(inherited, Mapping):
            return entry  # its own check says what is wrong with the other
        inherited = {key: value for key, value in inherited.items() if key != "label"}  # that names the other alone
        if entry.get("loss", inherited.get("loss")) != inherited.get("loss"):
            inherited = {key: value for key, value in inherited.items() if key != "options"}
        theirs, own = inherited.get("encoder"), entry.get("encoder")
        if isinstance(theirs, Mapping) and isinstance(own, Mapping):
            if own.get("backbone", theirs.get("backbone")) != theirs.get("backbone"):
                theirs = {key: value for key, value in theirs.items() if key not in ("options", "weights")}
                inherited = {**inherited, "encoder": theirs}
        return merged(inherited, entry)

    return {name: complete(name, (name,)) for name in methods}
