"""Figures and tables of the runs that are finished while others are not, with what is missing named in each.

Reads what is there and starts nothing, so it serves while a grid is under way and after it was stopped. Runs that
diverged are finished: figures and tables treat them as they do in a whole grid.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from semcom.analysis.accuracy_by import accuracy_by_table
from semcom.analysis.costs import with_costs
from semcom.analysis.records import collect_rounds, collect_steps, write_csv, write_rounds
from semcom.analysis.tables import pretraining_summary, rounds_to_target, summary
from semcom.common.errors import InputError
from semcom.common.reporting import logger
from semcom.common.spelling import spelled_number
from semcom.config import jobs, paths
from semcom.config.artefacts import FORMATS, cost_figures, label_fractions
from semcom.config.experiment import Config
from semcom.config.stage import Stage
from semcom.figures.accuracy import accuracy_figure
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.figures.panels import save
from semcom.figures.training_curves import pretraining_figure
from semcom.link.airtime import symbol_rate
from semcom.link.pretraining_overhead import pretraining_overhead
from semcom.runs.grid import FINISHED, RunState, grid_state
from semcom.runs.lock import held

MISSING_COLUMNS = [
    "experiment", "stage", "method", "snr_db", "label_fraction", "seed", "state", "done", "total", "unit", "reason", "log",
]  # fmt: skip


def write_partial(config: Config, folder: Path = Path()) -> Path:
    """Write `figures/` and `tables/` of what is finished, in the place of an earlier call's.

    Args:
        folder: that Snakemake runs in.

    Returns:
        Where they lie, `results/<experiment>/partial`.

    Raises:
        InputError: no run has finished, or a finished run's table cannot be read.
    """
    states = grid_state(config, folder)
    finished = [state for state in states if state.state in FINISHED]
    results = folder / paths.results(config.experiment)
    if not finished:
        raise InputError(f"{results}: none of {len(states)} runs has finished, so there is nothing to show yet")
    steps = [_output(config, state, folder, "steps.csv") for state in finished if state.run.stage is Stage.PRETRAIN]
    rounds = [_output(config, state, folder, "rounds.csv") for state in finished if state.run.stage is Stage.FINETUNE]
    target = results / "partial"
    with held(results / "partial.lock"):
        shutil.rmtree(target, ignore_errors=True)
        write_csv(missing_runs(config, states), target / "tables/missing.csv")
        overhead = None
        if steps:
            overhead = _write_stage_one(config, steps, target)
        else:
            logger.info("stage I: no run has finished, so it has neither figure nor tables yet")
        if rounds:
            _write_stage_two(config, rounds, overhead, results, target)
        else:
            logger.info("stage II: no run has finished, so it has neither figures nor tables yet")
    logger.info("%s: of %d of %d runs; tables/missing.csv names the others", target, len(finished), len(states))
    return target


def missing_runs(config: Config, states: Sequence[RunState]) -> pd.DataFrame:
    """The runs that have not finished, and why: `MISSING_COLUMNS`, a row each."""
    rows = [
        {"experiment": config.experiment, "unit": state.run.stage.unit} | vars(state.run) | vars(state)
        for state in states
        if state.state not in FINISHED
    ]
    return pd.DataFrame(rows, columns=MISSING_COLUMNS)


def _output(config: Config, state: RunState, folder: Path, name: str) -> Path:
    return folder / state.run.fill(paths.folder(config.experiment, state.run.stage)) / name


def _write_stage_one(config: Config, files: Sequence[Path], target: Path) -> pd.DataFrame:
    """Write what is told of stage I; gives back what it would cost if the devices were apart."""
    pretrain_jobs = {
        run.method: jobs.pretrain_job(config, run.method) for run in paths.runs(config) if run.stage is Stage.PRETRAIN
    }
    methods = list(pretrain_jobs)
    steps = collect_steps(files, methods=methods)
    write_csv(pretraining_summary(steps, methods=methods), target / "tables/pretraining.csv")
    modulations = {method: config.channel_settings(method).modulation for method in pretrain_jobs}
    pilots = {method: config.pilots(method) for method in pretrain_jobs}
    overhead = pretraining_overhead(pretrain_jobs, steps, modulations, config.ledger.bits_per_value, pilots)
    write_csv(overhead, target / "tables/pretraining_overhead.csv")
    figure = pretraining_figure(steps, methods=methods, seeds=config.grid.seeds, labels=config.labels())
    save(figure, [target / f"figures/pretraining{suffix}" for suffix in FORMATS])
    return overhead


def _write_stage_two(
    config: Config, files: Sequence[Path], overhead: pd.DataFrame | None, results: Path, target: Path
) -> None:
    grid = config.grid
    rounds = collect_rounds(files, methods=grid.methods)
    split = "test" if (rounds["split"] == "test").any() else "validation"  # where the test scenes are withheld
    write_rounds(rounds, target / "tables/rounds.csv")
    write_csv(summary(rounds, config.tables, methods=grid.methods), target / "tables/summary.csv")
    stage_one = {method: config.stage_one(method) for method in grid.methods}
    rate = symbol_rate(config.ledger.bandwidth_hz, config.ledger.roll_off)
    costs = with_costs(rounds, overhead, stage_one, symbols_per_s=rate)
    priced = costs if config.pretrained_methods() else rounds
    targets = rounds_to_target(priced, config.tables, methods=grid.methods, split=split)
    write_csv(targets, target / "tables/rounds_to_target.csv")
    counts = results / "data/class_counts.csv"
    test_scenes = pd.read_csv(counts)["test"] if counts.is_file() and split == "test" else None
    for name, fraction in label_fractions(config).items():
        if fraction is None:
            continue
        if not (rounds["label_fraction"] == fraction).any():
            logger.info(
                "%s: no run with label fraction %s has finished, so it is not drawn yet", name, spelled_number(fraction)
            )
            continue
        for cost, drawn in {None: name, **cost_figures(config, name)}.items():
            figure = accuracy_figure(
                costs,
                methods=grid.methods,
                snr_db=grid.snr_db,
                label_fraction=fraction,
                seeds=grid.seeds,
                split=split,
                labels=config.labels(),
                majority_accuracy=None if test_scenes is None else test_scenes.max() / test_scenes.sum(),
                cost=cost,
            )
            save(figure, [target / f"figures/{drawn}{suffix}" for suffix in FORMATS])
    for name in config.figures.accuracy_by:
        shown = config.accuracy_by(name)
        if not (rounds["method"].isin(shown.methods) & (rounds["split"] == split)).any():
            logger.info("%s: no run of it has finished, so it is not drawn yet", name)
            continue
        table = accuracy_by_table(rounds, shown, grid, config.tables, split=split)
        write_csv(table, target / f"tables/{name}.csv")
        figure = accuracy_by_figure(table, labels=config.labels(), axis_label=shown.label, scale=shown.scale)
        save(figure, [target / f"figures/{name}{suffix}" for suffix in FORMATS])
