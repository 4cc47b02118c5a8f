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
        InputError: there is no such module, it cannot be imported, or it lacks a name or has another thing by it; the
            message lists those that exist, or names the file and what is wrong in it.
    """
    known = names(package)
    if name not in known:
        raise InputError(f"unknown {package.rpartition('.')[2]} entry '{name}'{did_you_mean(name, known)}")
    try:
        module = importlib.import_module(f"{package}.{name}")
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a file of the user's own may fail in any way
        file = importlib.util.find_spec(f"{package}.{name}").origin
        fault = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{file}: cannot be imported ({fault}); correct it there") from error
    for offered in offers:
        if not hasattr(module, offered):
            raise InputError(f"{module.__file__}: does not define '{offered}'; see {package}'s own docstring")
        found = getattr(module, offered)
        if offered == "Options" and not hasattr(found, "model_fields"):
            raise InputError(f"{module.__file__}: 'Options' is no class of settings; derive it from Settings")
        if offered.islower() and not callable(found):
            raise InputError(f"{module.__file__}: '{offered}' is no function; see {package}'s own docstring")
    return module


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint to end an error message with: the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known) or 'none'}"
