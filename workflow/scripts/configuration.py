"""Glue: the configuration in force, as a file."""

import yaml

from semcom.common.files import write_text
from semcom.common.reporting import reported_to

with reported_to(snakemake.log[0]):
    head = "# The configuration that made this folder; `snakemake --configfile` takes it as it is.\n"
    whole = {"extends": None} | snakemake.params.config
    write_text(snakemake.output[0], head + yaml.safe_dump(whole, sort_keys=False))
