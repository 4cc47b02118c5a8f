"""Glue: official split, validation rooms, and the checks that need no training."""

from semcom.data.scenes import scene_table
from semcom.data.splits import check_split, split_table
from semcom.progress import reported_to

with reported_to(snakemake.log[0]):
    table = split_table(
        scene_table(snakemake.input.scenes),
        validation_fraction=snakemake.params.validation_fraction,
        seed=snakemake.params.validation_seed,
    )
    check_split(table, snakemake.params.label_fractions, snakemake.params.batch_sizes)
    table.to_csv(snakemake.output[0], index=False)
