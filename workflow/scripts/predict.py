"""Glue: what the whole grid takes."""

import pandas as pd

from semcom.analysis.records import write_csv
from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.config.loading import parse_config
from semcom.planning.estimate import predict

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    paces = pd.concat(map(pd.read_csv, snakemake.input.paces), ignore_index=True)
    splits = pd.read_csv(snakemake.input.splits)
    write_csv(predict(parse_config(snakemake.params.config), paces, splits), snakemake.output[0])
