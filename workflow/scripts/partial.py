"""Glue: figures and tables of what is finished."""

from semcom.commands.partial import write_partial
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config

with reported_to(snakemake.log[0]):
    write_partial(parse_config(snakemake.config))
