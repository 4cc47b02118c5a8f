"""Glue: the paper's claims."""

from semcom.claims import claim_tests, claim_verdicts
from semcom.progress import reported_to
from semcom.sections import TableSettings
from semcom.tables import collect_rounds, collect_steps, write_csv

with reported_to(snakemake.log[0]):
    settings, methods = TableSettings(**snakemake.params.settings), snakemake.params.methods
    files = snakemake.input.get("steps")
    steps = collect_steps(files, methods=methods) if files else None
    tests = claim_tests(collect_rounds(snakemake.input.rounds, methods=methods), steps, settings)
    write_csv(tests, snakemake.output.tests)
    write_csv(claim_verdicts(tests), snakemake.output.verdicts)
