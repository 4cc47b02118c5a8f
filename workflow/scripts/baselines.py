"""Glue: a study of baselines as tables and figure."""

import pandas as pd

from semcom.analysis.baselines import collect_baselines, training_table, verdict_table
from semcom.analysis.records import collect_rounds, collect_steps, write_csv, write_rounds
from semcom.common.reporting import reported_to
from semcom.config.jobs import PretrainJob
from semcom.config.sections import BlockSettings
from semcom.figures.baselines import baselines_figure
from semcom.figures.panels import save
from semcom.link.pretraining_overhead import pretraining_overhead

with reported_to(snakemake.log[0]):
    given, files = snakemake.params, snakemake.input
    table = collect_baselines(files.answers, senders=given.senders)
    write_rounds(table, snakemake.output.table)
    write_csv(verdict_table(table, methods=given.methods, labels=given.labels), snakemake.output.verdict)
    overhead = None
    if given.jobs:
        pretraining = {method: PretrainJob(**job) for method, job in given.jobs.items()}
        modulations = {method: BlockSettings.model_validate(block) for method, block in given.modulations.items()}
        steps = collect_steps(files.steps, methods=list(pretraining))
        overhead = pretraining_overhead(pretraining, steps, modulations, given.bits_per_value)
    rounds = collect_rounds(files.rounds, methods=given.methods)
    write_csv(training_table(files.training, rounds, overhead, stage_one=given.stage_one), snakemake.output.training)
    counts = pd.read_csv(files.counts)
    figure = baselines_figure(
        table,
        lines=given.lines,
        labels=given.labels,
        classes=len(counts),
        devices=given.devices,
        majority_accuracy=counts["test"].max() / counts["test"].sum(),
    )
    save(figure, snakemake.output[:3])
