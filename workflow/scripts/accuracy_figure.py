"""Glue: figures 4 and 5."""

import pandas as pd

from semcom.analysis.records import collect_rounds
from semcom.common.reporting import reported_to
from semcom.figures.accuracy import accuracy_figure
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    grid = snakemake.params.grid
    test_scenes = pd.read_csv(snakemake.input.counts)["test"]
    figure = accuracy_figure(
        collect_rounds(snakemake.input.rounds, methods=grid["methods"]),
        methods=grid["methods"],
        snr_db=grid["snr_db"],
        label_fraction=snakemake.params.label_fraction,
        seeds=grid["seeds"],
        labels=snakemake.params.labels,
        majority_accuracy=test_scenes.max() / test_scenes.sum(),
    )
    save(figure, snakemake.output)
