"""Glue: the prediction, printed."""

from semcom.common.reporting import logger, reported_to
from semcom.config.loading import parse_config
from semcom.planning.estimate import read_prediction
from semcom.planning.estimate_text import prediction_text

with reported_to(snakemake.log[0]):
    logger.info("sizing\n\n%s\n", prediction_text(parse_config(snakemake.config), read_prediction(snakemake.input[0])))
