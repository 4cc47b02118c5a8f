"""Glue: tables of stage II."""

from semcom.analysis.records import collect_rounds, told_split, write_csv, write_rounds
from semcom.analysis.tables import rounds_to_target, summary
from semcom.common.reporting import reported_to
from semcom.config.sections import TableSettings

with reported_to(snakemake.log[0]):
    settings, methods = TableSettings(**snakemake.params.settings), snakemake.params.methods
    rounds = collect_rounds(snakemake.input.rounds, methods=methods)
    write_rounds(rounds, snakemake.output.rounds)
    write_csv(summary(rounds, settings, methods=methods), snakemake.output.summary)
    targets = rounds_to_target(rounds, settings, methods=methods, split=told_split(rounds))
    write_csv(targets, snakemake.output.rounds_to_target)
