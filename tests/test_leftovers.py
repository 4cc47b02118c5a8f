"""What lies beside an experiment's own results is told in one line, and nothing of the experiment's own is."""

import subprocess
import sys

import pandas as pd
import pytest
import yaml

from conftest import ROOT, run_snakemake
from semcom.commands.keep import keep
from semcom.config import artefacts, paths
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.runs.leftovers import told, unnamed_files, unnamed_runs
from test_state import CONFIG, finish, folder

TEST = ("--configfile", "tests/config.yaml")


def grid(**changes):
    return CONFIG.model_copy(update={"grid": CONFIG.grid.model_copy(update=changes)})


@pytest.fixture
def planted(tmp_path):
    """All that the tests' configuration makes, as far as names go."""
    for run in paths.runs(CONFIG):
        finish(run, tmp_path)
    for name in artefacts.files(CONFIG):
        file = tmp_path / paths.results(CONFIG.experiment) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def test_what_the_configuration_names_is_no_leftover(planted):
    assert told(CONFIG, planted) == ""
    assert told(CONFIG, planted / "nowhere") == ""


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({"methods": ["proposed", "supervised"]}, 2 * 3),  # of SimCLR and Barlow Twins: a stage I and two cells each
        ({"label_fractions": [1.0]}, 4),
        ({"snr_db": [20.0]}, 8),
        ({"seeds": [1]}, 11),
    ],
)
def test_runs_outside_the_grid_are_counted(planted, changes, runs):
    found = unnamed_runs(grid(**changes), planted)
    assert len(found) == runs
    assert f"holds what this configuration does not name: {runs} runs, such as {found[0]}" in told(
        grid(**changes), planted
    )


def test_a_run_that_was_begun_counts_and_an_empty_folder_does_not(tmp_path):
    other = Run(Stage.PRETRAIN, "byol", 3)
    folder(other, tmp_path).mkdir(parents=True)
    assert unnamed_runs(CONFIG, tmp_path) == []
    checkpoint = tmp_path / other.fill(paths.checkpoint(CONFIG.experiment, other.stage))
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert unnamed_runs(CONFIG, tmp_path) == ["pretrain/byol/seed3"]
    assert told(CONFIG, tmp_path).endswith("does not name: run pretrain/byol/seed3")


def test_tables_and_figures_that_nothing_makes_are_named_once_each(planted):
    results = planted / "results/test"
    for name in ("old.pdf", "old.png", "older.svg"):
        (results / "figures" / name).touch()
    for name in ("rounds.html", "frozen.csv", "frozen.html", "notes.txt"):
        (results / "tables" / name).touch()
    assert unnamed_files(CONFIG, planted) == [
        *("tables/frozen.csv", "tables/frozen.html"),
        *("figures/old.pdf", "figures/old.png", "figures/older.svg"),
    ]
    assert told(CONFIG, planted).endswith("does not name: table frozen; figures old, older")
    trials = CONFIG.model_copy(update={"tables": CONFIG.tables.model_copy(update={"trials": "frozen"})})
    assert told(trials, planted).endswith("does not name: figures old, older")


def test_claims_are_leftovers_where_a_method_that_they_are_about_is_gone(planted):
    fewer = grid(methods=["simclr", "supervised"])
    assert unnamed_files(fewer, planted) == ["tables/claim_tests.csv", "tables/claims.csv"]


def test_the_state_tells_it_in_its_last_line(planted):
    command = [sys.executable, "-m", "semcom.commands.status", "--configfile", ROOT / "tests/config.yaml"]
    shown = subprocess.run(command, cwd=planted, capture_output=True, text=True, check=True).stdout
    assert "does not name" not in shown
    (planted / "results/test/tables/frozen.csv").touch()
    shown = subprocess.run(command, cwd=planted, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "results/test also holds what this configuration does not name: table frozen"


@pytest.mark.slow
def test_a_report_of_fewer_methods_says_what_lies_beside_it(finished_copy):
    """Nothing is trained or deleted; tables, figures and report are those of the methods that are left."""
    assert "does not name" not in (finished_copy / "results/test/report.html").read_text()
    config = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    fewer = config["grid"]["methods"] = ["proposed", "barlow_twins"]
    (finished_copy / "fewer.yaml").write_text(yaml.safe_dump(config))
    done = run_snakemake(finished_copy, "all", "--configfile", "fewer.yaml")
    assert done.returncode == 0 and "Fine-tune" not in done.stdout, done.stdout
    page = (finished_copy / "results/test/report.html").read_text()
    assert "5 runs, such as finetune/simclr/snr10/labels0.5/seed0; tables claim_tests, claims" in page
    assert (finished_copy / "results/test/finetune/simclr/snr10/labels1/seed0/rounds.csv").is_file()
    assert told(load_config(finished_copy / "fewer.yaml"), finished_copy) in page
    kept = keep(finished_copy / "results/test")
    assert not list(kept.rglob("claim*")) and set(pd.read_csv(kept / "provenance.csv")["method"]) == {*fewer}
    again = run_snakemake(finished_copy, "all", "--configfile", "fewer.yaml")
    assert "Nothing to be done" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost",
    ["finetune/proposed/snr10/labels0.5/seed0/ledger.csv", "finetune/supervised/snr10/labels1/seed0/provenance.json"],
)
def test_all_makes_a_run_again_that_has_lost_a_file(finished_copy, lost):
    results = finished_copy / "results/test"
    before = {path: path.read_bytes() for path in results.rglob("*.csv")}
    (results / lost).unlink()
    done = run_snakemake(finished_copy, "all", *TEST)
    assert done.returncode == 0 and done.stdout.count("Fine-tune") == 1, done.stdout
    assert (results / lost).is_file()
    assert {path: path.read_bytes() for path in results.rglob("*.csv")} == before
