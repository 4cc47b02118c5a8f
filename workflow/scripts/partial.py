"""Glue: figures and tables of what is finished."""

from semcom.config import parse_config
from semcom.partial import write_partial
from semcom.progress import reported_to

with reported_to(snakemake.log[0]):
    write_partial(parse_config(snakemake.config))
