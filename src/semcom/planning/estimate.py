"""What an experiment takes in full: jobs, hours and memory, predicted from a calibration, and compared with the runs.

    seconds a job = start + steps x step + evaluations x evaluation + a checkpoint a minute

Hours are of one job: with N at once, the grid takes an Nth of the sum on the clock, yet never less than a stage I and the
stage II that starts from it. Waiting in a queue is not in it. On CPUs that other work shares, time is that of cores as
busy as they were during the calibration.
"""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.common.structure import fault, layout_of
from semcom.common.usage import Spent
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.config.sections import FinetuneSettings, PretrainSettings
from semcom.config.stage import Stage
from semcom.data.splits import label_subset
from semcom.runs.environment import checkpoint_seconds
from semcom.runs.grid import DONE, RunState
from semcom.training.schedule import total_steps

KEY = ["stage", "method", "label_fraction"]  # runs that differ in SNR or seed only take the same
PREDICTED = [
    *KEY, "jobs", "steps", "evaluations", "start_s", "step_s", "evaluation_s", "checkpoint_s", "hours_per_job", "hours",
    "peak_memory_mb", "peak_device_memory_mb", "device", "threads",
]  # fmt: skip
PACE = [
    "stage", "method", "device", "threads", "start_s", "steps", "step_s", "evaluation_s", "checkpoint_s",
    "peak_memory_mb", "peak_device_memory_mb",
]  # fmt: skip
COMPARED = [
    *KEY, "jobs", "finished", "predicted_hours_per_job", "measured_hours_per_job", "hours_ratio", "predicted_memory_mb",
    "measured_memory_mb", "memory_ratio", "predicted_device_memory_mb", "measured_device_memory_mb", "device_memory_ratio",
]  # fmt: skip

# What the profile is advised to ask for, beyond what is predicted.
TIME_MARGIN = 1.5  # nodes and their neighbours differ; a job that its time limit stops goes on later, but waits again
MEMORY_MARGIN = 1.25  # a job over its memory is killed
SNAKEMAKE_MB = 500  # two processes of Snakemake's own run beside a job's Python


def predict(config: Config, paces: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Jobs, hours and memory of every kind of run of the grid.

    Args:
        paces: a row a stage and method, the fields of `calibration.Pace`.
        splits: of `splits.split_table`.

    Returns:
        `PREDICTED`, a row a stage, method and label fraction (NaN in stage I).

    Raises:
        InputError: a stage and method has no pace, or its scenes do not fill a batch.
    """
    train = splits[splits["split"] == "train"]
    labels = train["class"].map(sorted(train["class"].unique()).index).to_numpy()
    known = {(pace["stage"], pace["method"]): pace for pace in paces.to_dict("records")}
    jobs: dict[tuple, int] = {}
    for run in paths.runs(config):
        key = (run.stage, run.method, run.label_fraction)
        jobs[key] = jobs.get(key, 0) + 1
    rows = []
    for (stage, method, fraction), count in jobs.items():
        if (stage, method) not in known:
            raise InputError(
                f"no calibration of {stage} {method}; make it again: snakemake --forcerun calibrate sizing"
            )
        if stage == Stage.PRETRAIN:
            steps, evaluations = stage_one_work(config.pretrain_settings(method), len(train))
        else:
            kept = len(label_subset(labels, fraction, 0))  # every seed keeps as many
            steps, evaluations = stage_two_work(config.finetune_settings(method), kept)
        pace = known[stage, method]
        hours = job_seconds(pace, steps, evaluations) / 3600
        work = {"jobs": count, "steps": steps, "evaluations": evaluations}
        work |= {"hours_per_job": hours, "hours": count * hours}
        rows.append({**pace, "label_fraction": fraction, **work})
    return pd.DataFrame(rows)[PREDICTED].astype({"label_fraction": float, "peak_device_memory_mb": float})


def read_paces(paths: Iterable[str | Path]) -> pd.DataFrame:
    """What calibrations wrote: a row a stage and method, the fields of `calibration.Pace`.

    Raises:
        InputError: a file cannot be read, or was written by another version; names it and how to make it again.
    """
    tables = []
    for path in paths:
        remedy = f"make it again: snakemake --forcerun calibrate {path}"
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); {remedy}") from None
        wrong = {*PACE} ^ {*table.columns}
        if wrong or not len(table):
            told = (
                f"column {min(wrong)} is {'missing' if min(wrong) in PACE else 'not known'}"
                if wrong
                else "holds no row"
            )
            raise InputError(f"{path}: {told}, so another version wrote it; {remedy}")
        for name in table.columns.difference(["stage", "method", "device"]):
            if not pd.api.types.is_numeric_dtype(table[name]):
                raise InputError(f"{path}: column {name} holds no numbers; {remedy}")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def stage_one_work(schedule: PretrainSettings, scenes: int) -> tuple[int, int]:
    """Steps and evaluations of a run of stage I; it has none of the latter."""
    return total_steps(scenes, schedule), 0


def stage_two_work(schedule: FinetuneSettings, scenes: int) -> tuple[int, int]:
    """Steps and evaluations of a run of stage II: one before the first round, one after the last."""
    steps = total_steps(scenes, schedule)
    return steps, 1 + math.ceil(steps / schedule.evaluate_every_rounds)


def job_seconds(pace: dict, steps: int, evaluations: int) -> float:
    """What a run takes from its process's first moment to its last."""
    trained = steps * pace["step_s"] + evaluations * pace["evaluation_s"]
    saved = 1 + trained // max(checkpoint_seconds(os.environ), pace["step_s"])  # the last one when it is trained
    return pace["start_s"] + trained + saved * pace["checkpoint_s"]


def shortest_hours(config: Config, predicted: pd.DataFrame) -> float:
    """What the grid takes with any number of jobs at once: the longest stage II with the stage I that it starts from."""
    hours = predicted.set_index(["stage", "method"])["hours_per_job"].groupby(level=[0, 1]).max()
    return max(
        hours[Stage.FINETUNE, method] + (hours[Stage.PRETRAIN, first] if (first := config.stage_one(method)) else 0)
        for method in config.grid.methods
    )


def advised(predicted: pd.DataFrame) -> pd.DataFrame:
    """What to ask for in a profile: `runtime` (minutes) and `mem_mb` of each stage's jobs, with the margins above."""
    largest = predicted.groupby("stage", sort=False)[["hours_per_job", "peak_memory_mb"]].max()
    minutes = largest["hours_per_job"] * 60 * TIME_MARGIN
    memory = largest["peak_memory_mb"] * MEMORY_MARGIN + SNAKEMAKE_MB
    return pd.DataFrame({"runtime": _up(minutes, 10), "mem_mb": _up(memory, 500)})


def _up(values: pd.Series, step: int) -> pd.Series:
    return ((values / step).map(math.ceil) * step).astype(int)


def read_prediction(path: str | Path) -> pd.DataFrame:
    """What `predict` once wrote.

    Raises:
        InputError: nothing was predicted, or the file is damaged.
    """
    try:
        table = pd.read_csv(path)
        return table[PREDICTED].astype({"label_fraction": float, "peak_device_memory_mb": float})
    except FileNotFoundError:
        raise InputError(
            f"{path}: not found; make a prediction first, with target `sizing` in place of this one"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a prediction ({' '.join(str(error).split())}); make it again: snakemake --forcerun predict sizing"
        ) from None


def measured(states: Iterable[RunState], config: Config, folder: Path = Path()) -> pd.DataFrame:
    """What each finished run took: `KEY`, seconds, peak_memory_mb, peak_device_memory_mb.

    Runs that diverged are left out: they end early. Seconds are those of Snakemake's benchmark, which knows the last
    attempt alone, or of the run's own account of all its attempts, which knows no start of a process; the larger is
    nearer the truth.
    """
    rows = []
    for state in states:
        if state.state != DONE:
            continue
        run = state.run
        provenance = folder / run.fill(paths.folder(config.experiment, run.stage)) / "provenance.json"
        told = json.loads(provenance.read_text())
        amounts = layout_of(Spent)
        if wrong := fault({name: told[name] for name in amounts if name in told}, amounts, "it"):
            raise InputError(
                f"{provenance}: {wrong}, so another version wrote it; run `snakemake all` with this one first"
            )
        benchmark = folder / run.fill(paths.benchmark(config.experiment, run.stage))
        seconds = pd.read_csv(benchmark, sep="\t")["s"].max() if benchmark.is_file() else 0.0
        rows.append(
            {
                "stage": run.stage,
                "method": run.method,
                "label_fraction": run.label_fraction,
                "seconds": max(seconds, told["wall_time_s"]),
                "peak_memory_mb": told["peak_memory_mb"],
                "peak_device_memory_mb": told["peak_device_memory_mb"],
            }
        )
    columns = [*KEY, "seconds", "peak_memory_mb", "peak_device_memory_mb"]
    return pd.DataFrame(rows, columns=columns).astype({"label_fraction": float, "peak_device_memory_mb": float})


def compare(predicted: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Prediction and measurement side by side.

    Args:
        predicted: of `predict`.
        runs: of `measured`.

    Returns:
        `COMPARED`, a row as in `predicted`; hours are means over finished runs, memory the largest of them, and a ratio
        is measured over predicted.
    """
    groups = runs.groupby(KEY, dropna=False)
    took = groups.agg(
        finished=("seconds", "size"), measured_hours_per_job=("seconds", "mean"),
        measured_memory_mb=("peak_memory_mb", "max"), measured_device_memory_mb=("peak_device_memory_mb", "max"),
    ).reset_index()  # fmt: skip
    took["measured_hours_per_job"] /= 3600
    names = {"hours_per_job": "predicted_hours_per_job", "peak_memory_mb": "predicted_memory_mb"}
    names |= {"peak_device_memory_mb": "predicted_device_memory_mb"}
    table = predicted.rename(columns=names).merge(took, on=KEY, how="left")
    table["finished"] = table["finished"].fillna(0).astype(int)
    for what, unit in (("hours", "hours_per_job"), ("memory", "memory_mb"), ("device_memory", "device_memory_mb")):
        table[f"{what}_ratio"] = table[f"measured_{unit}"] / table[f"predicted_{unit}"]
    return table[COMPARED]
