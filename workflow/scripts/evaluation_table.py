"""Glue: one evaluation of all methods and seeds as one table, and its summary over the seeds."""

from semcom.analysis.evaluations import collect_evaluations, scenes_by_split, summary
from semcom.analysis.records import write_csv, write_rounds
from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    methods = snakemake.params.methods
    table = collect_evaluations(snakemake.input.parts, methods=methods)
    write_rounds(table, snakemake.output.table)
    write_csv(summary(table, scenes_by_split(snakemake.input.splits), methods=methods), snakemake.output.summary)
