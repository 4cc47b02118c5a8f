"""Glue: tables of stage II."""

from semcom.analysis.costs import with_costs
from semcom.analysis.records import collect_rounds, read_table, told_split, write_csv, write_rounds
from semcom.analysis.tables import rounds_to_target, summary
from semcom.common.reporting import reported_to
from semcom.config.sections import TableSettings

with reported_to(snakemake.log[0]):
    settings, methods = TableSettings(**snakemake.params.settings), snakemake.params.methods
    rounds = collect_rounds(snakemake.input.rounds, methods=methods)
    write_rounds(rounds, snakemake.output.rounds)
    write_csv(summary(rounds, settings, methods=methods), snakemake.output.summary)
    overhead = snakemake.input.get("overhead")
    priced = with_costs(rounds, read_table(overhead), snakemake.params.stage_one) if overhead else rounds
    targets = rounds_to_target(priced, settings, methods=methods, split=told_split(rounds))
    write_csv(targets, snakemake.output.rounds_to_target)
