"""Glue: official split and validation rooms."""

from semcom.data.scenes import scene_table
from semcom.data.splits import split_table
from semcom.progress import reported_to

with reported_to(snakemake.log[0]):
    table = split_table(
        scene_table(snakemake.input.scenes),
        validation_fraction=snakemake.params.validation_fraction,
        seed=snakemake.params.validation_seed,
    )
    table.to_csv(snakemake.output[0], index=False)
