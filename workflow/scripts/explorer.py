"""Glue: the explorer."""

from pathlib import Path

from semcom.analysis.costs import with_costs
from semcom.analysis.evaluations import collect_evaluations
from semcom.analysis.records import collect_rounds, read_table, told_split
from semcom.common.files import write_text
from semcom.common.reporting import reported_to
from semcom.figures import explorer, explorer_tables
from semcom.link.airtime import symbol_rate

with reported_to(snakemake.log[0]):
    given, tables = snakemake.params, snakemake.input
    called = explorer_tables.named_methods(given.labels)
    rounds = collect_rounds([tables.rounds], methods=given.methods)
    overhead = tables.get("overhead")
    costs = with_costs(
        rounds,
        read_table(overhead) if overhead else None,
        given.stage_one,
        symbols_per_s=symbol_rate(given.ledger["bandwidth_hz"], given.ledger["roll_off"]),
    )
    scenes = read_table(tables.counts)["test"]
    sections = [explorer_tables.claims(read_table(path)) for path in tables.get("claims", [])]
    sections += [
        explorer_tables.summary(read_table(tables.summary), called),
        explorer_tables.rounds_to_target(read_table(tables.rounds_to_target), called),
    ]
    sections += [explorer_tables.claim_tests(read_table(path), called) for path in tables.get("claim_tests", [])]
    sections += [explorer_tables.pretraining_overhead(read_table(overhead), called)] if overhead else []
    sections.append(explorer_tables.per_class(read_table(tables.per_class), called))
    parts = {name: Path(tables[name]).read_text(encoding="utf-8") for name in ("frame", "looks", "script")}
    page = explorer.page(
        explorer.Parts(**parts),
        experiment=given.experiment,
        methods=given.methods,
        labels=given.labels,
        rounds=costs,
        majority_accuracy=scenes.max() / scenes.sum() if told_split(rounds) == "test" else None,
        evaluations={
            name: (collect_evaluations([path], methods=given.methods), given.conditions[name])
            for name, path in zip(given.conditions, tables.get("evaluations", []), strict=True)
        },
        tables=sections,
    )
    write_text(snakemake.output[0], page)
