"""Glue: figures 4 and 5."""

import pandas as pd

from semcom.analysis.records import collect_rounds, told_split
from semcom.common.reporting import reported_to
from semcom.figures.accuracy import accuracy_figure
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    grid = snakemake.params.grid
    rounds = collect_rounds(snakemake.input.rounds, methods=grid["methods"])
    split = told_split(rounds)
    test_scenes = pd.read_csv(snakemake.input.counts)["test"]
    figure = accuracy_figure(
        rounds,
        methods=grid["methods"],
        snr_db=grid["snr_db"],
        label_fraction=snakemake.params.label_fraction,
        seeds=grid["seeds"],
        labels=snakemake.params.labels,
        split=split,
        majority_accuracy=test_scenes.max() / test_scenes.sum() if split == "test" else None,
    )
    save(figure, snakemake.output)
