"""Glue: the prediction, printed."""

import pandas as pd

from semcom.config import parse_config
from semcom.progress import logger, reported_to
from semcom.sizing_text import prediction_text

with reported_to(snakemake.log[0]):
    logger.info("sizing\n\n%s\n", prediction_text(parse_config(snakemake.config), pd.read_csv(snakemake.input[0])))
