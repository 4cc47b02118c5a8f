"""Glue: the kept systems of one method and seed under the conditions of an evaluation."""

from pathlib import Path

from semcom.common.checksums import check_derived
from semcom.common.reporting import Progress, reported_to
from semcom.runs.alone import alone

with reported_to(snakemake.log[0]), alone(snakemake.output, snakemake.params.job, snakemake.input):
    import pandas as pd

    from semcom.analysis.records import write_rounds
    from semcom.config.jobs import EvaluationJob
    from semcom.data.scenes import load_scenes
    from semcom.models.kept_system import load_system
    from semcom.runs.devices import choose
    from semcom.training.process import set_up
    from semcom.training.reevaluation import reevaluate

    check_derived(snakemake.input)
    job = EvaluationJob(**snakemake.params.job)
    set_up(job.compute)
    scenes = load_scenes(
        snakemake.input.scenes,
        snakemake.input.splits,
        device=choose(job.compute),
        modalities=snakemake.params.modalities,
        in_memory_mb=job.compute.data_in_memory_mb,
    )
    progress = Progress(f"evaluate {job.evaluation} {job.method}", len(snakemake.input.systems), "system")
    tables = []
    for done, path in enumerate(snakemake.input.systems, 1):
        tables.append(reevaluate(job, load_system(Path(path), scenes), scenes))
        progress(done)
    write_rounds(pd.concat(tables, ignore_index=True), snakemake.output[0])
