"""Figures and tables of what is finished: on any part of a grid, and in the folder of a real run that lacks cells."""

import hashlib
import json
import os
import random
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from conftest import ROOT, run_snakemake
from semcom.analysis.records import write_csv
from semcom.commands.partial import MISSING_COLUMNS, missing_runs, write_partial
from semcom.common.checksums import write_checksum
from semcom.common.errors import InputError
from semcom.config import paths
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.figures import accuracy
from semcom.runs.grid import DONE, FAILED, STATES, grid_state
from test_state import CELL, FIRST, finish, folder, held, record, record_path
from test_tables import run as made_rounds

TEST = ("--configfile", "tests/config.yaml")
PARTIAL = Path("results/test/partial")
WHOLE = load_config(ROOT / "config/config.yaml", {"figures": {"accuracy_by": {"by_labels": {"x": "label_fraction"}}}})


def plant(run, root, config, status="ok"):
    """The outputs of a run, whole, as its script writes them."""
    finish(run, root, config)
    results = folder(run, root, config)
    own = {"experiment": config.experiment, "method": run.method, "seed": run.seed}
    if run.stage == "pretrain":
        steps = pd.DataFrame(
            {**own, "step": [1, 2, 3], "epoch": [1 / 3, 2 / 3, 1.0], "scenes": 32, "loss": [3.0, 2.5, 2.0 + run.seed]}
        )
        write_csv(steps.assign(gradient_norm=[9.0, 5.0, 4.0], status=["ok", "ok", status]), results / "steps.csv")
        return
    last = float("nan") if status != "ok" else 0.5 + 0.01 * run.seed
    rows = made_rounds(run.method, run.seed, [0.1, 0.3, last], snr_db=run.snr_db, label_fraction=run.label_fraction,
                       status=status)  # fmt: skip
    write_csv(rows.assign(experiment=config.experiment), results / "rounds.csv")


def svg_text(path):
    """The text of a figure, lines of a wrapped note joined."""
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()))


@pytest.mark.parametrize("seed", range(4))
def test_any_part_of_the_grid_gives_tables_and_figures(tmp_path, seed, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "semcom.commands.partial.save", lambda figure, files: drawn.update({Path(files[0]).stem: figure})
    )
    chosen = random.Random(seed)
    share = chosen.random()
    there = [run for run in paths.runs(WHOLE) if chosen.random() < share] or [
        Run(Stage.FINETUNE, "supervised", 0, 10, 1)
    ]
    for run in there:
        plant(run, tmp_path, WHOLE, status=chosen.choice(["ok", "ok", "ok", "diverged"]))
    target = write_partial(WHOLE, tmp_path)
    missing = pd.read_csv(target / "tables/missing.csv")
    assert len(missing) == 95 - len(there)
    first = [run for run in there if run.stage == "pretrain"]
    second = [run for run in there if run.stage == "finetune"]
    assert (target / "tables/pretraining.csv").is_file() == ("pretraining" in drawn) == bool(first)
    assert (target / "tables/summary.csv").is_file() == bool(second)
    if second:
        assert pd.read_csv(target / "tables/summary.csv")["seeds"].sum() == len(second)
    assert ("figure4" in drawn) == any(run.label_fraction == 1 for run in second)
    assert ("figure5" in drawn) == any(run.label_fraction == 0.5 for run in second)
    for name in ("figure4", "figure5"):
        assert all((name in drawn) == (f"{name}_{cost}" in drawn) for cost in WHOLE.figures.costs)
    assert (target / "tables/by_labels.csv").is_file() == ("by_labels" in drawn) == bool(second)
    if second:
        assert pd.read_csv(target / "tables/by_labels.csv")["seeds"].sum() == len(second)
    for figure in drawn.values():
        figure.draw_without_rendering()


def test_what_is_missing_is_named_with_its_state(tmp_path, caplog):
    for run in paths.runs(WHOLE):
        if run.seed < 2 and (run.label_fraction in (None, 1)) and run.method != "simclr":
            plant(run, tmp_path, WHOLE, status="diverged" if run.method == "barlow_twins" else "ok")
    failed = Run(Stage.FINETUNE, "proposed", 3, 10, 1)
    record(failed, tmp_path, WHOLE, done=7, total=60, error="no luck")
    with caplog.at_level("INFO", "semcom"):
        target = write_partial(WHOLE, tmp_path)
    missing = pd.read_csv(target / "tables/missing.csv", dtype=str, keep_default_na=False)
    assert list(missing) == MISSING_COLUMNS
    twins = missing[(missing["method"] == "barlow_twins") & (missing["label_fraction"] != "0.5")]
    assert set(twins["seed"]) == {"2", "3", "4"}  # 0 and 1 diverged, which is an end, too
    (row,) = missing[missing["state"] == "failed"].to_dict("records")
    assert (row["method"], row["seed"]) == ("proposed", "3")
    assert (row["reason"], row["done"], row["total"], row["unit"]) == ("no luck", "7", "60", "round")
    text = svg_text(target / "figures/figure4.svg")
    assert (
        "Missing 28 of 40 runs: Proposed, 10 dB, seeds 2 3 4; SimCLR, 10 dB; Barlow Twins, 10 dB, seeds 2 3 4" in text
    )
    assert "Barlow Twins (2 of 2 diverged)" in text  # diverged is not missing
    assert "Missing 11 of 15 runs: Proposed, seeds 2 3 4; SimCLR; Barlow Twins, seeds 2 3 4." in svg_text(
        target / "figures/pretraining.svg"
    )
    assert not (target / "figures/figure5.svg").exists()
    assert "figure5: no run with label fraction 0.5 has finished" in caplog.text


def test_a_later_call_replaces_what_an_earlier_one_wrote(tmp_path):
    config = load_config(ROOT / "tests/config.yaml")
    plant(CELL, tmp_path, config)
    target = write_partial(config, tmp_path)
    assert "Missing 3 of 4 runs: SimCLR, 10 dB; Barlow Twins, 10 dB; Supervised, 10 dB." in svg_text(
        target / "figures/figure5.svg"
    )
    shutil.rmtree(folder(CELL, tmp_path, config))
    plant(Run(Stage.FINETUNE, "supervised", 0, 10, 1), tmp_path, config)
    write_partial(config, tmp_path)
    assert (target / "figures/figure4.svg").exists() and not (target / "figures/figure5.svg").exists()


def test_runs_of_withheld_test_scenes_are_shown_by_validation(tmp_path):
    config = load_config(ROOT / "tests/config.yaml")
    plant(CELL, tmp_path, config)
    file = folder(CELL, tmp_path, config) / "rounds.csv"
    file.write_text(file.read_text().replace("test", "validation"))
    target = write_partial(config, tmp_path)
    assert "Validation accuracy (%)" in svg_text(target / "figures/figure5.svg")
    assert set(pd.read_csv(target / "tables/rounds_to_target.csv")["split"]) == {"validation"}


def test_nothing_finished_is_one_clear_line_and_leaves_the_last_result(tmp_path):
    config = load_config(ROOT / "tests/config.yaml")
    plant(CELL, tmp_path, config)
    target = write_partial(config, tmp_path)
    shutil.rmtree(folder(CELL, tmp_path, config))
    with pytest.raises(
        InputError, match=r"results/test: none of 11 runs has finished, so there is nothing to show yet"
    ):
        write_partial(config, tmp_path)
    assert (target / "tables/missing.csv").is_file()


def test_the_note_on_missing_runs_stays_within_the_figure(tmp_path):
    for run in paths.runs(WHOLE):
        if run.seed == run.snr_db or run.seed % 2:
            plant(run, tmp_path, WHOLE)
    rounds = pd.concat(pd.read_csv(file) for file in tmp_path.rglob("rounds.csv"))
    methods = WHOLE.grid.methods
    for snr_db in ([10, 20], [10]):
        figure = accuracy.accuracy_figure(rounds, methods=methods, snr_db=snr_db, label_fraction=1.0, seeds=range(5))
        figure.draw_without_rendering()
        note = next(text for text in figure.texts if "Missing" in text.get_text())
        box = note.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= -1
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)


@pytest.mark.slow
def test_a_run_with_missing_cells_shows_what_it_has_and_trains_nothing(finished_copy):
    (finished_copy / "results/test/pretrain/simclr/seed0/steps.csv").unlink()
    shutil.rmtree(folder(CELL, finished_copy))
    record(CELL, finished_copy, error="no luck")
    # A changed source makes everything out of date, which must not start a run either.
    source = finished_copy / "src/semcom/link/link.py"
    source.write_text(source.read_text() + "\n# changed\n")
    with held(Run(Stage.FINETUNE, "simclr", 0, 10, 0.5), finished_copy):  # is done again at this moment
        done = run_snakemake(finished_copy, "partial", *TEST, cores=1)
    assert done.returncode == 0, done.stdout
    assert "rule pretrain" not in done.stdout and not (folder(CELL, finished_copy) / "rounds.csv").exists()
    assert "of 8 of 11 runs" in done.stdout
    figures_folder = finished_copy / PARTIAL / "figures"
    assert "Missing 2 of 4 runs: Proposed, 10 dB; SimCLR, 10 dB." in svg_text(figures_folder / "figure5.svg")
    assert "Missing" not in svg_text(figures_folder / "figure4.svg")
    assert "Missing 1 of 3 runs: SimCLR." in svg_text(figures_folder / "pretraining.svg")
    missing = pd.read_csv(finished_copy / PARTIAL / "tables/missing.csv", keep_default_na=False)
    assert missing[["stage", "method", "state", "reason"]].to_numpy().tolist() == [
        ["pretrain", "simclr", "waiting", "has lost steps.csv; target `all` makes the run again"],
        ["finetune", "proposed", "failed", "no luck"],
        ["finetune", "simclr", "running", ""],
    ]
    record_path(CELL, finished_copy).unlink()
    again = run_snakemake(finished_copy, "partial", *TEST, cores=1)
    assert "of 9 of 11 runs" in again.stdout  # the one that was being done again is finished


@pytest.mark.slow
def test_a_run_that_fails_for_good_stops_no_other_and_the_rest_is_shown(finished_copy):
    encoders = folder(FIRST, finished_copy) / "encoders.pt"
    checksum, provenance = encoders.with_name("encoders.pt.sha256"), encoders.with_name("provenance.json")
    times = {path: (path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in (encoders, checksum, provenance)}
    encoders.write_bytes(encoders.read_bytes()[:1000])
    write_checksum(encoders)  # as if the run had written it so: else it is refused before any job
    told = json.loads(provenance.read_text())
    told["files"] |= {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (encoders, checksum)}
    provenance.write_text(json.dumps(told))
    for path, before in times.items():
        os.utime(path, ns=before)
    other = Run(Stage.FINETUNE, "supervised", 0, 10, 0.5)
    for run in (CELL, other):
        shutil.rmtree(folder(run, finished_copy))
    (finished_copy / "results/test/tables/rounds.csv").unlink()
    done = run_snakemake(finished_copy, "--profile", "local-gpu", "all", *TEST)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "error: results/test/pretrain/proposed/seed0/encoders.pt: not a readable model file" in done.stdout
    states = {found.run: found for found in grid_state(load_config(ROOT / "tests/config.yaml"), finished_copy)}
    assert states[CELL].state == FAILED and "not a readable model file" in states[CELL].reason
    assert {found.state for run, found in states.items() if run != CELL} == {DONE}
    shown = run_snakemake(finished_copy, "partial", *TEST, cores=1)
    assert "of 10 of 11 runs" in shown.stdout
    assert "Missing 1 of 4 runs: Proposed, 10 dB." in svg_text(finished_copy / PARTIAL / "figures/figure5.svg")


@pytest.mark.slow
def test_a_whole_grid_gives_the_same_figures_and_tables_as_its_own(finished_copy):
    done = run_snakemake(finished_copy, "partial", *TEST, cores=1)
    assert done.returncode == 0, done.stdout
    results = finished_copy / "results/test"
    for name in ("figure4.svg", "figure5.png", "figure4_airtime.svg", "figure5_bits.pdf", "pretraining.pdf"):
        assert (finished_copy / PARTIAL / "figures" / name).read_bytes() == (results / "figures" / name).read_bytes()
    for name in ("rounds", "summary", "rounds_to_target", "pretraining", "pretraining_overhead"):
        table = f"tables/{name}.csv"
        assert (finished_copy / PARTIAL / table).read_bytes() == (results / table).read_bytes()


@pytest.mark.slow
def test_nothing_finished_ends_in_one_line(checkout):
    done = run_snakemake(checkout, "partial", *TEST, cores=1)
    assert done.returncode != 0
    assert "none of 11 runs has finished, so there is nothing to show yet" in done.stdout
    assert not (checkout / "results/test/data").exists()


def test_a_missing_run_has_a_row_of_all_columns(tmp_path):
    config = load_config(ROOT / "tests/config.yaml")
    record(FIRST, tmp_path)
    table = missing_runs(config, grid_state(config, tmp_path))
    assert len(table) == 11 and set(table["state"]) <= set(STATES)
    assert table.iloc[0][["state", "done", "total"]].tolist() == ["interrupted", 1, 3]
