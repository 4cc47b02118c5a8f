"""Glue: tables of stage I."""

from semcom.analysis.records import collect_steps, write_csv
from semcom.analysis.tables import pretraining_summary
from semcom.common.reporting import reported_to
from semcom.config.jobs import PretrainJob
from semcom.config.sections import BlockSettings
from semcom.link.pretraining_overhead import pretraining_overhead

with reported_to(snakemake.log[0]):
    jobs = {method: PretrainJob(**job) for method, job in snakemake.params.jobs.items()}
    steps = collect_steps(snakemake.input.steps, methods=list(jobs))
    write_csv(pretraining_summary(steps, methods=list(jobs)), snakemake.output.summary)
    modulations = {m: BlockSettings.model_validate(given) for m, given in snakemake.params.modulations.items()}
    overhead = pretraining_overhead(jobs, steps, modulations, snakemake.params.bits_per_value, snakemake.params.pilots)
    write_csv(overhead, snakemake.output.overhead)
