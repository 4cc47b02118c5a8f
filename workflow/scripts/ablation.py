"""Glue: table and figure of an ablation."""

from semcom.analysis.records import collect_round_steps, collect_rounds, collect_steps, write_csv
from semcom.analysis.tables import run_accuracy
from semcom.analysis.trials import ablation_table
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config
from semcom.figures import panels
from semcom.figures.ablation import ablation_figure

with reported_to(snakemake.log[0]):
    config = parse_config(snakemake.params.config)
    methods = config.grid.methods
    accuracy = run_accuracy(collect_rounds(snakemake.input.rounds, methods=methods), config.tables)
    files = snakemake.input.get("steps")
    steps = collect_steps(files, methods=config.pretrained_methods()) if files else None
    round_steps = collect_round_steps(snakemake.input.round_steps, methods=methods)
    table = ablation_table(accuracy, steps, round_steps, config)
    write_csv(table, snakemake.output[0])
    panels.save(
        ablation_figure(table, {m: entry.label for m, entry in config.methods.items() if entry.label}),
        snakemake.output[1:],
    )
