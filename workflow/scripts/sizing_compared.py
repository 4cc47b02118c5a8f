"""Glue: prediction and measurement, printed and written."""

from semcom.analysis.records import write_csv
from semcom.common.reporting import logger, reported_to
from semcom.config.loading import parse_config
from semcom.planning.estimate import compare, measured, read_prediction
from semcom.planning.estimate_text import comparison_text
from semcom.runs.grid import grid_state

with reported_to(snakemake.log[0]):
    config = parse_config(snakemake.config)
    table = compare(read_prediction(snakemake.params.predicted), measured(grid_state(config), config))
    write_csv(table, snakemake.params.compared)
    logger.info("sizing, compared\n\n%s\n", comparison_text(config, table))
