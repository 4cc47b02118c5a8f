"""Glue: the pace of a stage and method."""

import time

began = time.monotonic()

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from semcom.analysis.records import write_csv
from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.config.stage import Stage
from semcom.data.scenes import load_scenes
from semcom.planning.calibration import calibrate
from semcom.runs.alone import alone
from semcom.runs.devices import choose
from semcom.training.process import set_up

given = {"job": snakemake.params.job, "inputs": snakemake.input}
with reported_to(snakemake.log[0]), alone(snakemake.output, **given) as waited:  # as an attempt, it reads all inputs
    job, seed = Stage(snakemake.wildcards.stage).job_type(**snakemake.params.job), snakemake.params.seed
    output = Path(snakemake.output[0])
    check_derived(snakemake.input)
    set_up(job.compute)
    device = choose(job.compute)
    scenes = load_scenes(
        snakemake.input.scenes,
        snakemake.input.splits,
        device=device,
        modalities=job.modalities,
        in_memory_mb=job.compute.data_in_memory_mb,
    )
    pace = calibrate(job, scenes, seed, began=began + waited, checkpoint=output.with_suffix(".pt"))
    write_csv(pd.DataFrame([asdict(pace)]), output)
