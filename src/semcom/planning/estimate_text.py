"""The tables of `estimate.py` as plain text, for a terminal."""

import numpy as np
import pandas as pd

from semcom.common.reporting import duration
from semcom.common.spelling import spelled_number
from semcom.config.experiment import Config
from semcom.planning.estimate import MEMORY_MARGIN, SNAKEMAKE_MB, TIME_MARGIN, advised, shortest_hours

AT_ONCE = (1, 2, 4, 8, 16)


def prediction_text(config: Config, predicted: pd.DataFrame) -> str:
    """What the experiment takes in full, and what to ask a scheduler for."""
    total, shortest = predicted["hours"].sum(), shortest_hours(config, predicted)
    columns = {
        "stage": "stage", "method": "method", "label_fraction": "labels", "jobs": "jobs", "steps": "steps",
        "step_s": "s/step", "evaluations": "evaluations", "evaluation_s": "s/evaluation", "hours_per_job": "h/job",
        "hours": "h in all", "peak_memory_mb": "MB", "peak_device_memory_mb": "MB on GPU",
    }  # fmt: skip
    clock = "; ".join(f"{n} at once: {duration(3600 * max(total / n, shortest))}" for n in AT_ONCE)
    advice = [
        f"  {stage}: runtime={row['runtime']}, mem_mb={row['mem_mb']}" for stage, row in advised(predicted).iterrows()
    ]
    shown = predicted.assign(label_fraction=_fractions(predicted))
    lines = [
        f"results/{config.experiment} in full: {predicted['jobs'].sum()} training jobs, {_total(predicted)}",
        "",
        *_aligned([(heading, shown[name]) for name, heading in columns.items()]),
        "",
        f"Time on the clock (never less than a stage I and its stage II): {clock}",
        f"For the profile (time x {TIME_MARGIN:g}; memory x {MEMORY_MARGIN:g}, and {SNAKEMAKE_MB} MB for Snakemake):",
        *advice,
    ]
    return "\n".join(lines)


def comparison_text(config: Config, compared: pd.DataFrame) -> str:
    """Predicted and measured, for the runs that are finished."""
    columns = [(name, compared[name]) for name in ("stage", "method", "jobs", "finished")]
    columns.insert(2, ("labels", _fractions(compared)))
    for name, heading, unit in (("hours", "h/job", "hours_per_job"), ("memory", "MB", "memory_mb"),
                                ("device_memory", "MB on GPU", "device_memory_mb")):  # fmt: skip
        columns += [(f"{heading} predicted", compared[f"predicted_{unit}"])]
        columns += [("measured", compared[f"measured_{unit}"]), ("ratio", compared[f"{name}_ratio"])]
    done = compared[compared["finished"] > 0]
    predicted, took = ((done[f"{by}_hours_per_job"] * done["finished"]).sum() for by in ("predicted", "measured"))
    verdict = (
        f"predicted {duration(3600 * predicted)}, measured {duration(3600 * took)}, ratio {took / predicted:.2f}"
        if len(done)
        else ""
    )
    said = f"{done['finished'].sum()} of {compared['jobs'].sum()} runs finished, those that diverged left out"
    return "\n".join([f"results/{config.experiment}: {said}; {verdict}".rstrip("; "), "", *_aligned(columns)])


def _fractions(table: pd.DataFrame) -> pd.Series:
    """Label fractions with all their digits, as text; nothing in stage I."""
    return table["label_fraction"].map(spelled_number, na_action="ignore").astype(object)


def _total(predicted: pd.DataFrame) -> str:
    hours = predicted["hours"].sum()
    (device, *others), (threads, *_) = predicted["device"].unique(), predicted["threads"]
    several = f" and {', '.join(others)}" if others else ""
    if device.startswith("cuda"):
        return f"{duration(3600 * hours)} of GPU time ({device}{several}, one a job)"
    return f"{duration(3600 * hours)} of job time, {duration(3600 * hours * threads)} of CPU time ({device}{several}, {threads} threads a job)"


def _aligned(columns: list[tuple[str, pd.Series]]) -> list[str]:
    """Lines of a table: text to the left, numbers to the right; columns of which nothing is known are left out."""
    blocks = []
    for heading, values in columns:
        if values.notna().any():
            cells = [heading, *map(_shown, values)]
            width = max(map(len, cells))
            is_number = pd.api.types.is_numeric_dtype(values)
            blocks.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in cells])
    return ["  ".join(row).rstrip() for row in zip(*blocks, strict=True)]


def _shown(value: object) -> str:
    """Whole numbers in full, others with three digits, nothing for NaN."""
    if not isinstance(value, float | np.floating):
        return str(value)
    return "" if np.isnan(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
