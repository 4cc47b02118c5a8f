"""Glue: the contact sheet."""

from semcom.common.checksums import check_derived
from semcom.common.reporting import reported_to
from semcom.figures.contact_sheet import contact_sheet
from semcom.figures.panels import save

with reported_to(snakemake.log[0]):
    check_derived(snakemake.input)
    save(contact_sheet(snakemake.input.scenes), snakemake.output)
