"""Glue: the configuration in force, as a file."""

import yaml

from semcom.progress import reported_to

with reported_to(snakemake.log[0]), open(snakemake.output[0], "w") as file:
    file.write("# The configuration that made this folder; `snakemake --configfile` takes it as it is.\n")
    yaml.safe_dump(snakemake.params.config, file, sort_keys=False)
