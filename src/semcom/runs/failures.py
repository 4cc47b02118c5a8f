"""What is said of a job that failed, when the workflow ends: rule, wildcards, the job's own reason, and its log.

Snakemake prints the first of these only where it is not told to be quiet about rules, and the reason not at all where a
rule sends its output to its log.
"""

import os
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

LOGGED = re.compile(r"\d\d:\d\d:\d\d ")  # how a line of our own jobs begins
RAISED = re.compile(
    r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b(:| in .*:)"
)  # a traceback's last line, or Snakemake's
LONGEST = 500  # characters of a reason
NOTHING = "it ended without a word in its log; what was printed above may say why"

Stamps = dict[str, tuple[int, int]]


def stamps(logs: Iterable[str]) -> Stamps:
    """How logs of earlier attempts look before the jobs begin: time and size of those that exist."""
    found = {log: _stamp(log) for log in logs}
    return {log: stamp for log, stamp in found.items() if stamp}


def failure(rule: str, wildcards: Mapping[str, object], logs: Iterable[str], earlier: Stamps) -> str:
    """One line on a job that failed.

    Args:
        logs: of the job; the first is read.
        earlier: of `stamps`, so that no reason is taken from a log that this attempt has not written to.
    """
    cell = ", ".join(f"{name} {value}" for name, value in wildcards.items())
    job = f"{rule} ({cell})" if cell else rule
    log = next(iter(logs), None)
    if log is None:
        return f"failed: {job}: {NOTHING} (it has no log)"
    if _stamp(log) in (None, earlier.get(log)):
        return f"failed: {job}: {NOTHING} (log: {log})"
    return f"failed: {job}: {reason(_text(log))} (log: {log})"


def reason(text: str) -> str:
    """Why a job failed, as its log says it, in one line.

    That is the log's last line if it is an error or interruption of one of our jobs; else what was raised last, with
    the lines that explain it; else that it says nothing, and where it stood.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if not lines:
        return NOTHING
    last = lines[-1]
    if LOGGED.match(last):
        said = LOGGED.sub("", last, count=1)
        if said.startswith(("error: ", "interrupted")):
            return _shortened(said.removeprefix("error: "))
        return _shortened(f"killed, or ended without saying why; its last line was: {said}")
    tail = lines[1 + max((i for i, line in enumerate(lines) if LOGGED.match(line)), default=-1) :]
    raised = [i for i, line in enumerate(tail) if RAISED.match(line)]
    if not raised:
        return _shortened(last.strip())
    headings = [i for i in raised if tail[i].endswith(":")]  # Snakemake's: what it means stands in the lines below
    first = headings[-1] if headings else raised[-1]
    return _shortened(" ".join(line for line in tail[first:] if not line.startswith(" ")))


def _shortened(text: str) -> str:
    return textwrap.shorten(text, LONGEST, placeholder=" ...")


def _stamp(log: str) -> tuple[int, int] | None:
    try:
        status = os.stat(log)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _text(log: str) -> str:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{NOTHING}; the log cannot be read ({error.strerror})"
