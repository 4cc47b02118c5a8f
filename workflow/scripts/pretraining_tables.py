"""Glue: tables of stage I."""

from semcom.jobs import PretrainJob
from semcom.pretrain import pretraining_overhead
from semcom.progress import reported_to
from semcom.records import collect_steps, write_csv
from semcom.sections import ChannelSettings
from semcom.tables import pretraining_summary

with reported_to(snakemake.log[0]):
    jobs = {method: PretrainJob(**job) for method, job in snakemake.params.jobs.items()}
    steps = collect_steps(snakemake.input.steps, methods=list(jobs))
    write_csv(pretraining_summary(steps, methods=list(jobs)), snakemake.output.summary)
    channel = ChannelSettings(**snakemake.params.channel)
    overhead = pretraining_overhead(jobs, steps, channel, snakemake.params.bits_per_value)
    write_csv(overhead, snakemake.output.overhead)
