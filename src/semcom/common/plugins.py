"""Modules found by name: a loss, a channel or a data set is added by adding a file.

`names("semcom.losses")` lists what can be named in the configuration without importing it, so that the workflow does
not pay for torch while it builds the graph.
"""

import difflib
import importlib.util
import pkgutil
from types import ModuleType

from semcom.common.errors import InputError


def names(package: str) -> list[str]:
    """Names of the public modules of a package, sorted."""
    path = importlib.util.find_spec(package).submodule_search_locations
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def load(package: str, name: str, offers: tuple[str, ...] = ()) -> ModuleType:
    """Import the module `name` of `package`.

    Args:
        offers: names that it must define.

    Raises:
        InputError: there is no such module, or it lacks a name; the message lists those that exist, or the one missing.
    """
    known = names(package)
    if name not in known:
        raise InputError(f"unknown {package.rpartition('.')[2]} entry '{name}'{did_you_mean(name, known)}")
    module = importlib.import_module(f"{package}.{name}")
    for offered in offers:
        if not hasattr(module, offered):
            raise InputError(f"{module.__file__}: does not define '{offered}'; see {package}'s own docstring")
    return module


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint to end an error message with: the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known) or 'none'}"
