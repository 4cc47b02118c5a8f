"""Glue: the figure of an evaluation."""

from semcom.analysis.evaluations import collect_evaluations, scenes_by_split
from semcom.analysis.records import told_split
from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.figures import evaluations
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    given = snakemake.params
    table = collect_evaluations([snakemake.input.table], methods=given.methods)
    split = told_split(table)
    table = table[(table["split"] == split) & (table["label_fraction"] == table["label_fraction"].max())]
    scenes = scenes_by_split(snakemake.input.splits)[split]
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
