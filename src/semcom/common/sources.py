"""Which source files decide a stage's result: the module that runs it and all that it imports from this package.

Snakemake tracks a script, not the modules it imports. The rules therefore list these files as input, stage by stage, so
that a changed loss trains again and a changed figure does not. Imports are read, not run.
"""

import ast
from pathlib import Path

PACKAGE = "semcom"
ROOT = Path(__file__).resolve().parents[2]
# Packages that carry values and messages from place to place. The values themselves reach a rule as its parameters, so
# that a new key, a new error text or a new log line trains nothing again.
NEUTRAL = ("semcom.common", "semcom.config", "semcom.runs")


def source_files(*modules: str) -> list[str]:
    """Files of the given modules and of every module of the package that they import, sorted.

    Args:
        modules: dotted names, e.g. "semcom.training.pretrain". Modules loaded by name at run time (losses, channels, readers)
            are not found by reading imports: name them too.
    """
    for module in modules:
        if _file(module) is None:
            raise ValueError(f"no module '{module}' under {ROOT}")
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or is_neutral(module):
            continue
        path = _file(module)
        if path is not None:
            found[module] = path
            waiting += _imports(path)
    return sorted(map(str, found.values()))


def is_neutral(module: str) -> bool:
    """Whether a module decides no result: it is of a neutral package, or the package itself."""
    return module == PACKAGE or module.startswith(NEUTRAL)


def _file(module: str) -> Path | None:
    """The file of a module of the package; None for a name that is imported from a module."""
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> list[str]:
    """Dotted names that a file imports from the package; `from a import b` gives both `a` and `a.b`."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE]
