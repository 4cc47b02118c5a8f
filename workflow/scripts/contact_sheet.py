"""Glue: the contact sheet."""

from semcom.curves import save
from semcom.figures import contact_sheet
from semcom.progress import reported_to

with reported_to(snakemake.log[0]):
    save(contact_sheet(snakemake.input.scenes), snakemake.output)
