"""Glue: gradient norm of stage II."""

from semcom.curves import save
from semcom.progress import reported_to
from semcom.records import collect_round_steps
from semcom.traces import gradient_figure

with reported_to(snakemake.log[0]):
    grid = snakemake.params.grid
    steps = collect_round_steps(snakemake.input.steps, methods=grid["methods"])
    save(gradient_figure(steps, **grid), snakemake.output)
