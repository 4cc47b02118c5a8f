"""Glue: table of trials."""

from semcom.analysis.records import collect_rounds, collect_steps, write_csv
from semcom.analysis.tables import run_accuracy
from semcom.analysis.trials import trial_table
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config

with reported_to(snakemake.log[0]):
    config = parse_config(snakemake.params.config)
    rounds = collect_rounds(snakemake.input.rounds, methods=config.grid.methods)
    files = snakemake.input.get("steps")
    steps = collect_steps(files, methods=config.grid.methods) if files else None
    write_csv(trial_table(run_accuracy(rounds, config.tables), steps, config), snakemake.output[0])
