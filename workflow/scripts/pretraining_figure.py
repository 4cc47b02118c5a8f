"""Glue: the figure of stage I."""

from semcom.analysis.records import collect_steps
from semcom.common.reporting import reported_to
from semcom.figures.panels import save
from semcom.figures.training_curves import pretraining_figure

with reported_to(snakemake.log[0]):
    methods = snakemake.params.methods
    steps = collect_steps(snakemake.input.steps, methods=methods)
    save(pretraining_figure(steps, methods=methods, labels=snakemake.params.labels), snakemake.output)
