"""Glue: a study of baselines, of one seed."""

from pathlib import Path

from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.runs.alone import alone

with reported_to(snakemake.log[0]), alone(snakemake.output, snakemake.params.job, snakemake.input):
    from semcom.analysis.records import write_csv, write_rounds
    from semcom.baselines.study import Study
    from semcom.config.jobs import BaselinesJob
    from semcom.data.scenes import load_scenes
    from semcom.models.kept_system import load_system
    from semcom.runs.devices import choose
    from semcom.training.process import set_up

    check_derived(snakemake.input)
    job = BaselinesJob(**snakemake.params.job)
    set_up(job.compute)
    scenes = load_scenes(
        snakemake.input.scenes,
        snakemake.input.splits,
        device=choose(job.compute),
        modalities=job.modalities,
        in_memory_mb=job.compute.data_in_memory_mb,
    )
    systems = {}
    for path in snakemake.input.systems:
        kept = load_system(Path(path), scenes)
        systems.setdefault(kept.job.method, []).append(kept)
    answers, training = Study(job, systems, scenes, int(snakemake.wildcards.seed)).answers()
    write_rounds(answers, snakemake.output.answers)
    write_csv(training, snakemake.output.training)
