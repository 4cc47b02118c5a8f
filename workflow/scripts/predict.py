"""Glue: what the whole grid takes."""

import pandas as pd

from semcom.analysis.records import write_csv
from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config
from semcom.planning.estimate import predict, read_paces

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    paces = read_paces(snakemake.input.paces)
    splits = pd.read_csv(snakemake.input.splits)
    write_csv(predict(parse_config(snakemake.params.config), paces, splits), snakemake.output[0])
