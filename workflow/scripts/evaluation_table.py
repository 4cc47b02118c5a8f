"""Glue: one evaluation of all methods and seeds as one table."""

from semcom.analysis.evaluations import collect_evaluations
from semcom.analysis.records import write_rounds
from semcom.common.reporting import reported_to

with reported_to(snakemake.log[0]):
    write_rounds(collect_evaluations(snakemake.input.parts, methods=snakemake.params.methods), snakemake.output[0])
