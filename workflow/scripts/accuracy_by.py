"""Glue: accuracy at the end of training against an axis."""

from semcom.analysis.accuracy_by import accuracy_by_table
from semcom.analysis.records import collect_rounds, told_split, write_csv
from semcom.common.reporting import reported_to
from semcom.config.figure_axes import AccuracyBy
from semcom.config.sections import GridSettings, TableSettings
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    given = snakemake.params
    shown, grid = AccuracyBy(**given.shown), GridSettings(**given.grid)
    rounds = collect_rounds(snakemake.input.rounds, methods=grid.methods)
    table = accuracy_by_table(rounds, shown, grid, TableSettings(**given.tables), split=told_split(rounds))
    write_csv(table, snakemake.output.table)
    figure = accuracy_by_figure(table, labels=given.labels, axis_label=shown.label, scale=shown.scale)
    save(figure, snakemake.output[:3])
