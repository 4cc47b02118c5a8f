"""The state of every run of a grid, read from what the runs leave on disk.

    done, diverged          all outputs are there, made with the settings of now
    running                 a process holds the run's lock
    failed, interrupted     it has a record and no process: ended by an error, or killed, to go on from its checkpoint
    waiting                 none of these; also a run that has lost an output

A change of code or data is Snakemake's to judge: `snakemake -n` says what it would run again.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from semcom.common.reading import fault_of_surroundings
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.runs.record import RunRecord, is_alive, read_record

DONE, RUNNING, WAITING, INTERRUPTED, FAILED, DIVERGED = STATES = (
    "done", "running", "waiting", "interrupted", "failed", "diverged",
)  # fmt: skip
FINISHED = (DONE, DIVERGED)
_TAIL_BYTES = 2**16  # of a table: hundreds of rows, of which the last few are wanted


@dataclass(frozen=True)
class RunState:
    """Where one run stands.

    Attributes:
        log: path of its log, whether or not it exists.
        done, total: epochs in stage I, rounds in stage II; None or 0 while the total is not known.
        accuracy: a share, of the last evaluation on `split`: the validation scenes where there are any.
        reason: why it failed, or why it waits although there is something of it.
        record: of the attempt that runs, failed or was interrupted.
    """

    run: Run
    state: str
    log: str
    done: int | None = None
    total: int | None = None
    accuracy: float | None = None
    split: str | None = None
    reason: str | None = None
    record: RunRecord | None = None


def grid_state(config: Config, folder: Path = Path()) -> list[RunState]:
    """The state of every run of the grid, in its order.

    Args:
        folder: that Snakemake runs in.
    """
    states: list[RunState] = []
    failed: dict[tuple[str, int], Run] = {}
    for run in paths.runs(config):
        state = _run_state(config, run, folder)
        if run.stage is Stage.PRETRAIN and state.state == FAILED:
            failed[run.method, run.seed] = run
        first = failed.get((config.stage_one(run.method), run.seed))
        if run.stage is Stage.FINETUNE and state.state == WAITING and first:
            state = RunState(run, WAITING, state.log, reason=f"starts from a stage I that failed: {first}")
        states.append(state)
    return states


def _run_state(config: Config, run: Run, folder: Path) -> RunState:
    log = run.fill(paths.log(config.experiment, run.stage))
    record_path = folder / Path(run.fill(paths.checkpoint(config.experiment, run.stage))).with_suffix(".json")
    record = read_record(record_path)
    progress = {}
    if record:
        progress = {name: getattr(record, name) for name in ("done", "total", "accuracy", "split")} | {"record": record}
    if is_alive(record_path):
        return RunState(run, RUNNING, log, **progress)
    results = folder / run.fill(paths.folder(config.experiment, run.stage))
    try:
        lost = [name for name in run.stage.outputs if not (results / name).is_file()]
        if not lost:
            return _finished(config, run, log, results)
    except OSError as error:
        return RunState(run, FAILED, log, reason=str(fault_of_surroundings(error.filename or results, error) or error))
    if record:
        return RunState(run, FAILED if record.error else INTERRUPTED, log, reason=record.error, **progress)
    if len(lost) < len(run.stage.outputs):
        return RunState(run, WAITING, log, reason=f"has lost {' and '.join(lost)}; target `all` makes the run again")
    return RunState(run, WAITING, log)


def _finished(config: Config, run: Run, log: str, results: Path) -> RunState:
    """The state of a run whose outputs are all there."""
    job = run.stage.job(config, run.method, run.snr_db, run.label_fraction)
    try:
        made_with = json.loads((results / "provenance.json").read_text())["settings"]
        if made_with != json.loads(json.dumps(job.model_dump())):
            return RunState(run, WAITING, log, reason="its results are of other settings; a new run replaces them")
        read = _pretrained if run.stage is Stage.PRETRAIN else _finetuned
        return RunState(run, log=log, **read(results, job.schedule.epochs))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        if fault := fault_of_surroundings(getattr(error, "filename", None) or results, error):
            return RunState(run, FAILED, log, reason=str(fault))
        fault = " ".join(f"{type(error).__name__}: {error}".split())
        again = f"make it again: snakemake --forcerun {results / 'provenance.json'}"
        return RunState(run, FAILED, log, reason=f"{results}: not the results of a run ({fault}); {again}")


def _pretrained(results: Path, epochs: int) -> dict:
    last = _last_rows(results / "steps.csv")[-1]
    return {"state": _outcome(last["status"]), "done": math.floor(float(last["epoch"])), "total": epochs}


def _finetuned(results: Path, epochs: int) -> dict:
    rows = _last_rows(results / "rounds.csv")
    watched = "validation" if any(row["split"] == "validation" for row in rows) else "test"
    rows = [row for row in rows if row["split"] == watched]
    scored = [float(row["accuracy"]) for row in rows if row["accuracy"]]
    done, epoch = int(rows[-1]["round"]), float(rows[-1]["epoch"])
    return {
        "state": _outcome(rows[-1]["status"]),
        "done": done,
        "total": round(done / epoch * epochs) if epoch else None,
        "accuracy": scored[-1] if scored else None,
        "split": watched,
    }


def _outcome(status: str) -> str:
    return DONE if status == "ok" else DIVERGED


def _last_rows(path: Path) -> list[dict[str, str]]:
    """The whole rows at the end of a CSV file, as text, without reading the thousands before them."""
    with path.open("rb") as file:
        header = file.readline().decode()
        start = max(file.tell(), path.stat().st_size - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().decode().splitlines()
    return list(csv.DictReader([header, *(lines if start == len(header) else lines[1:])]))
