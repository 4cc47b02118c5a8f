"""Glue: whether every run of the grid has scenes to train on."""

from pathlib import Path

import pandas as pd

from semcom.data.splits import check_split
from semcom.progress import reported_to

with reported_to(snakemake.log[0]):
    table = pd.read_csv(snakemake.input.splits)
    check_split(table, snakemake.params.label_fractions, snakemake.params.batch_sizes)
    Path(snakemake.output[0]).write_text("Every run of the grid has scenes to train on.\n")
