"""Glue: official split and validation rooms, and a look ahead at the grid."""

from semcom.common.checksums import check_derived, write_checksum
from semcom.common.files import written_atomically
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config
from semcom.data.scenes import scene_table
from semcom.data.splits import check_split, split_table

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    table = split_table(
        scene_table(snakemake.input.scenes),
        validation_fraction=snakemake.params.validation_fraction,
        seed=snakemake.params.validation_seed,
        withhold_test=snakemake.params.withhold_test,
    )
    # The grid is read from the configuration, not from the parameters: another grid leaves the split as it is.
    config = parse_config(snakemake.config)
    check_split(table, config.grid.label_fractions, config.batches(), trials=config.tables.trials)
    with written_atomically(snakemake.output.splits) as temporary:
        table.to_csv(temporary, index=False)
    write_checksum(snakemake.output.splits)
