"""Glue: gradient norm of stage II."""

from semcom.analysis.records import collect_round_steps
from semcom.common.reporting import reported_to
from semcom.figures.panels import save
from semcom.figures.training_curves import gradient_figure

with reported_to(snakemake.log[0]):
    grid = snakemake.params.grid
    steps = collect_round_steps(snakemake.input.steps, methods=grid["methods"])
    save(gradient_figure(steps, **grid, labels=snakemake.params.labels), snakemake.output)
