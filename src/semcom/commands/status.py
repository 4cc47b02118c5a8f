"""Shows the state of the whole grid: every run, how far it is and its last accuracy.

    python -m semcom.commands.status [--configfile FILE] [--config KEY=VALUE ...] [--csv]

Give it the options of the run. It takes no lock and imports no torch, so it answers within a second or two on a login
node, while Snakemake is at work or after it was stopped.
"""

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from semcom.common.reporting import duration, reported
from semcom.common.spelling import spelled_number
from semcom.config.experiment import Config
from semcom.config.loading import given_file, given_settings, load_config
from semcom.config.stage import Stage
from semcom.runs import leftovers
from semcom.runs.grid import DIVERGED, DONE, FAILED, INTERRUPTED, RUNNING, STATES, WAITING, RunState, grid_state

SHORT = {DONE: "done", RUNNING: "run", WAITING: "wait", INTERRUPTED: "cut", FAILED: "FAIL", DIVERGED: "div"}
LEGEND = (
    "A cell: state, share of its epochs or rounds, last accuracy (%). "
    "run: running; wait: waiting;\ncut: interrupted, goes on from its checkpoint if it has one; FAIL: failed; div: diverged."
)
CSV_COLUMNS = (
    "experiment", "stage", "method", "snr_db", "label_fraction", "seed", "state", "done", "total", "unit", "accuracy",
    "split", "started_utc", "updated_utc", "host", "slurm_job", "attempt", "reason", "log",
)  # fmt: skip


def table(config: Config, states: Sequence[RunState], *, width: int, now: datetime) -> str:
    """The state of a grid as plain text: a cell a run, the runs that are under way or need a look, and totals."""
    parts = [f"results/{config.experiment}: {len(states)} runs", LEGEND]
    for stage in Stage:
        chosen = [state for state in states if state.run.stage == stage]
        splits = sorted({state.split for state in chosen if state.split})
        heading = f"{stage.title}, accuracy on {' and '.join(splits)}" if splits else stage.title
        parts += ["\n".join([heading, *_cells(chosen, width)])] if chosen else []
    parts += [_listed(RUNNING, states, lambda state: _progress(state) + _whereabouts(state, now))]
    parts += [_listed(INTERRUPTED, states, lambda state: _progress(state) + _whereabouts(state, now))]
    parts += [_listed(FAILED, states, lambda state: f"{state.reason}\n    log: {state.log}")]
    parts += [_listed(DIVERGED, states, _progress)]
    parts += [_waiting(states)]
    return "\n\n".join(filter(None, [*parts, _totals(states)]))


def _cells(states: Sequence[RunState], width: int) -> list[str]:
    """A line a method, SNR and label fraction with a cell a seed; seeds that do not fit the width follow below."""
    second = states[0].run.stage is Stage.FINETUNE
    lines = {}
    for key, group in groupby(states, key=lambda state: (state.run.method, state.run.snr_db, state.run.label_fraction)):
        lines[key] = {state.run.seed: _cell(state) for state in group}
    names = [("method", "dB", "labels") if second else ("method",)]
    names += [
        (method, spelled_number(snr), spelled_number(labels)) if second else (method,) for method, snr, labels in lines
    ]
    widths = [max(map(len, column)) for column in zip(*names, strict=True)]
    left = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in names]
    seeds = list(next(iter(lines.values())))
    size = max(len(cell) for line in lines.values() for cell in [*line.values(), f"seed {max(seeds)}"])
    fit = max(1, (width - len(left[0])) // (size + 2))
    text = []
    for some in (seeds[start : start + fit] for start in range(0, len(seeds), fit)):
        rows = [[f"seed {seed}" for seed in some], *([line[seed] for seed in some] for line in lines.values())]
        for head, row in zip(left, rows, strict=True):
            text.append((head + "".join(f"  {cell:{size}}" for cell in row)).rstrip())
    return text


def _cell(state: RunState) -> str:
    parts = [SHORT[state.state]]
    if state.state not in (DONE, WAITING) and state.total:
        parts.append(f"{100 * state.done // state.total}%")
    if state.accuracy is not None:
        parts.append(f"{100 * state.accuracy:.1f}")
    return " ".join(parts)


def _listed(name: str, states: Sequence[RunState], detail: Callable[[RunState], str]) -> str:
    lines = [f"  {state.run}: {detail(state)}" for state in states if state.state == name]
    return "\n".join([name.capitalize(), *lines]) if lines else ""


def _waiting(states: Sequence[RunState]) -> str:
    """Why runs wait, where there is more to it than that their turn has not come; a line a reason."""
    by_reason: dict[str, list[RunState]] = {}
    for state in states:
        if state.state == WAITING and state.reason:
            by_reason.setdefault(state.reason, []).append(state)
    lines = [
        f"  {f'{len(same)} runs, e.g. ' if len(same) > 1 else ''}{same[0].run}: {reason}"
        for reason, same in by_reason.items()
    ]
    return "\n".join(["Waiting", *lines]) if lines else ""


def _progress(state: RunState) -> str:
    parts = []
    if state.total:
        parts.append(f"{state.run.stage.unit} {state.done}/{state.total}")
    if state.accuracy is not None:
        parts.append(f"{state.split} accuracy {100 * state.accuracy:.1f} %")
    return ", ".join(parts) or "just begun"


def _whereabouts(state: RunState, now: datetime) -> str:
    """Who last wrote the record, and when."""
    record = state.record
    if record is None:
        return ""
    job = f", SLURM job {record.slurm_job}" if record.slurm_job else f", process {record.pid}"
    attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
    # Clocks of two hosts may differ a little.
    age = max(0.0, (now - datetime.fromisoformat(record.updated_utc)).total_seconds())
    return f", {record.host}{job}{attempt}, {duration(age)} ago"


def _totals(states: Sequence[RunState]) -> str:
    columns = [*STATES, "all"]
    lines = ["Runs    " + "".join(f"  {name:>4}" for name in columns)]
    for stage in Stage:
        found = [state.state for state in states if state.run.stage == stage]
        numbers = [*(found.count(name) for name in STATES), len(found)]
        cells = "".join(f"  {number:{max(4, len(name))}}" for name, number in zip(columns, numbers, strict=True))
        lines.append(f"{stage.title:8}{cells}")
    return "\n".join(lines)


def write_csv(config: Config, states: Sequence[RunState], file) -> None:
    """The long form: `CSV_COLUMNS`, a row a run, an empty field where nothing is known."""
    writer = csv.DictWriter(file, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for state in states:
        record = vars(state.record) if state.record else {}
        known = {"experiment": config.experiment, "unit": state.run.stage.unit} | record | vars(state.run) | vars(state)
        writer.writerow({name: known[name] for name in CSV_COLUMNS if known.get(name) is not None})


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m semcom.commands.status", description="Shows the state of the whole grid."
    )
    parser.add_argument("--configfile", nargs="+", action="extend", default=[], metavar="FILE", type=Path,
                        help="as given to snakemake: one file; without it config/config.yaml")  # fmt: skip
    parser.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="as given to snakemake, e.g. experiment=mine")  # fmt: skip
    parser.add_argument("--csv", action="store_true", help="a row a run, with all that is known of it")
    given = parser.parse_args(arguments)
    config = load_config(given_file(given.configfile), settings=given_settings(given.config))
    states = grid_state(config)
    if given.csv:
        write_csv(config, states, sys.stdout)
    else:
        print(table(config, states, width=shutil.get_terminal_size((100, 24)).columns, now=datetime.now(UTC)))
        if line := leftovers.told(config):
            print(f"\n{line}")
    return 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
