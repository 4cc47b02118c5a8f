"""Glue: the paper's claims."""

from semcom.analysis.claims import claim_tests, claim_verdicts
from semcom.analysis.records import collect_round_steps, collect_rounds, collect_steps, read_table, write_csv
from semcom.common.reporting import reported_to
from semcom.config.sections import TableSettings

with reported_to(snakemake.log[0]):
    settings, methods = TableSettings(**snakemake.params.settings), snakemake.params.methods
    files = snakemake.input.get("steps")
    steps = collect_steps(files, methods=methods) if files else None
    round_steps = collect_round_steps(snakemake.input.round_steps, methods=methods)
    rounds = collect_rounds(snakemake.input.rounds, methods=methods)
    overhead = snakemake.input.get("overhead")
    tests = claim_tests(
        rounds,
        steps,
        settings,
        round_steps=round_steps,
        overhead=read_table(overhead) if overhead else None,
        stage_one=snakemake.params.stage_one,
    )
    write_csv(tests, snakemake.output.tests)
    write_csv(claim_verdicts(tests), snakemake.output.verdicts)
