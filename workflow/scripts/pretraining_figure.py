"""Glue: the figure of stage I."""

from semcom.figures import pretraining_figure, save
from semcom.progress import reported_to
from semcom.tables import collect_steps

with reported_to(snakemake.log[0]):
    methods = snakemake.params.methods
    save(pretraining_figure(collect_steps(snakemake.input.steps, methods=methods), methods=methods), snakemake.output)
