"""Glue: the figure of stage I."""

from semcom.curves import save
from semcom.progress import reported_to
from semcom.records import collect_steps
from semcom.traces import pretraining_figure

with reported_to(snakemake.log[0]):
    methods = snakemake.params.methods
    save(pretraining_figure(collect_steps(snakemake.input.steps, methods=methods), methods=methods), snakemake.output)
