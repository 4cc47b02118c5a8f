"""Whether the environment of make lies where it was installed and runs this checkout; one line, and status 1, if not.

    .venv/bin/python -I envs/placed.py            what there is of it, before more is installed
    .venv/bin/python -I envs/placed.py --whole    all of it

A folder that was moved or copied brings an environment along whose commands lead to where it lay before.
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
ANEW = "remove it with 'make clean', and the next make installs it anew"
# The Python that a command starts, in its first line, or in the second where its path has a space.
STARTED = re.compile(r"""^(?:#!|'''exec' )["']?(/.*/bin)/python[\d.]*(?=["'\s]|$)""", re.MULTILINE)


def fault(*, whole: bool) -> str | None:
    """What is wrong with the environment of the Python that runs this, and the remedy."""
    commands = Path(sys.prefix, "bin")
    snakemake = commands / "snakemake"
    if snakemake.exists():
        head = snakemake.read_text(encoding="utf-8", errors="replace").splitlines()[:2]
        started = STARTED.search("\n".join(head))
        if started and not (Path(started[1]).exists() and Path(started[1]).samefile(commands)):
            return f"{sys.prefix} was installed as {Path(started[1]).parent}, where its commands still lead; {ANEW}"
    found = find_spec("semcom")
    if found and not Path(found.origin).resolve().is_relative_to(CHECKOUT):
        return f"{sys.prefix} runs the package of another folder, {Path(found.origin).parents[2]}; {ANEW}"
    if whole and not (snakemake.exists() and found):
        return f"{sys.prefix} lacks semcom or snakemake: see whether `pip config list` names another target; {ANEW}"
    return None


if __name__ == "__main__":
    sys.exit(fault(whole="--whole" in sys.argv))
