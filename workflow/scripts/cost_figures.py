"""Glue: figures 4 and 5 against costs."""

from pathlib import Path

from semcom.analysis.costs import with_costs
from semcom.analysis.records import collect_rounds, read_table, told_split
from semcom.common.reporting import reported_to
from semcom.config.artefacts import FORMATS
from semcom.config.sections import LedgerSettings
from semcom.figures.accuracy import accuracy_figure
from semcom.figures.panels import save
from semcom.link.airtime import symbol_rate

with reported_to(snakemake.log[0]):
    grid, ledger = snakemake.params.grid, LedgerSettings(**snakemake.params.ledger)
    rounds = collect_rounds(snakemake.input.rounds, methods=grid["methods"])
    overhead = snakemake.input.get("overhead")
    costs = with_costs(
        rounds,
        read_table(overhead) if overhead else None,
        snakemake.params.stage_one,
        symbols_per_s=symbol_rate(ledger.bandwidth_hz, ledger.roll_off),
    )
    split = told_split(rounds)
    test_scenes = read_table(snakemake.input.counts)["test"]
    folder = Path(snakemake.output[0]).parent
    for cost in snakemake.params.costs:
        figure = accuracy_figure(
            costs,
            methods=grid["methods"],
            snr_db=grid["snr_db"],
            label_fraction=snakemake.params.label_fraction,
            seeds=grid["seeds"],
            labels=snakemake.params.labels,
            split=split,
            majority_accuracy=test_scenes.max() / test_scenes.sum() if split == "test" else None,
            cost=cost,
        )
        # In this order, as everywhere: each format's layout begins where that of the last one ended.
        save(figure, [folder / f"{snakemake.wildcards.figure}_{cost}{suffix}" for suffix in FORMATS])
