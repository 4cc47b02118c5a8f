"""Glue: recall and precision of each class, and confusion matrices."""

from semcom.analysis.confusion import collect_answers, confusion_table, per_class_table
from semcom.analysis.records import write_csv
from semcom.common.reporting import reported_to
from semcom.figures.confusion import confusion_figure
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    given = snakemake.params
    cells, split = collect_answers(snakemake.input.answers)
    asked = {"split": split, "methods": given.methods}
    table = confusion_table(cells, **asked)
    write_csv(table, snakemake.output.confusion)
    write_csv(per_class_table(cells, **asked), snakemake.output.per_class)
    shown = {"methods": given.methods, "snr_db": given.snr_db, "label_fraction": given.label_fraction}
    save(confusion_figure(table, labels=given.labels, **shown), snakemake.output[:3])
