"""Glue: the figure of an evaluation."""

import pandas as pd

from semcom.analysis.evaluations import collect_evaluations
from semcom.analysis.records import told_split
from semcom.common.reporting import reported_to
from semcom.figures import evaluations
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    given = snakemake.params
    table = collect_evaluations([snakemake.input.table], methods=given.methods)
    split = told_split(table)
    table = table[(table["split"] == split) & (table["label_fraction"] == table["label_fraction"].max())]
    scenes = pd.read_csv(snakemake.input.counts)[split]
    asked = {"methods": given.methods, "labels": given.labels}
    if given.figure == "map":
        figure = evaluations.map_figure(table, over_range=given.over_range, spans=given.spans, **asked)
    elif given.figure == "uses":
        figure = evaluations.uses_figure(table, lines=given.lines, shares=scenes / scenes.sum(), labels=given.labels)
    else:
        draw = {"curves": evaluations.curves_figure, "conditions": evaluations.conditions_figure}[given.figure]
        majority = scenes.max() / scenes.sum()
        figure = draw(table, conditions=given.conditions, majority_accuracy=majority, **asked)
    save(figure, snakemake.output)
