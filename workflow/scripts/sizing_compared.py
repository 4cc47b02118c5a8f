"""Glue: prediction and measurement, printed and written."""

from semcom.config import parse_config
from semcom.grid_state import grid_state
from semcom.progress import logger, reported_to
from semcom.records import write_csv
from semcom.sizing import compare, measured, read_prediction
from semcom.sizing_text import comparison_text

with reported_to(snakemake.log[0]):
    config = parse_config(snakemake.config)
    table = compare(read_prediction(snakemake.params.predicted), measured(grid_state(config), config))
    write_csv(table, snakemake.params.compared)
    logger.info("sizing, compared\n\n%s\n", comparison_text(config, table))
