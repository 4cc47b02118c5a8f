"""Glue: one evaluation of all methods and seeds as one table, and its summary over the seeds."""

import pandas as pd

from semcom.analysis.evaluations import collect_evaluations, summary
from semcom.analysis.records import write_csv, write_rounds
from semcom.common.reporting import reported_to

with reported_to(snakemake.log[0]):
    methods = snakemake.params.methods
    table = collect_evaluations(snakemake.input.parts, methods=methods)
    write_rounds(table, snakemake.output.table)
    write_csv(summary(table, pd.read_csv(snakemake.input.counts), methods=methods), snakemake.output.summary)
