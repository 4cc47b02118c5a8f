"""Every value of the grid has one spelling, which no other value has, wherever it is written and read back."""

import itertools
import json
import math
import random
import struct

import pandas as pd
import pytest
import yaml

from conftest import ROOT, run_snakemake
from semcom.analysis.accuracy_by import accuracy_by_table
from semcom.analysis.provenance_table import provenance_row
from semcom.analysis.records import ROUNDS_COLUMNS, collect_rounds, write_csv
from semcom.commands.keep import keep
from semcom.commands.partial import write_partial
from semcom.common.errors import InputError
from semcom.common.spelling import INFINITY, spelled_number, spelled_percent
from semcom.config.jobs import FinetuneJob, finetune_job
from semcom.config.loading import load_config
from semcom.config.paths import Run, folder, runs
from semcom.config.stage import Stage
from semcom.figures import panels
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.runs.grid import grid_state

ODD = [10, 10.0000001, 3.3333333333333335, 0.7000000000000001, 0.33333333333, 1e7, 1e-7, 0.1 + 0.2, 0.3, -2.5, math.inf]


def config(**grid):
    settings = {"grid": grid, "finetune": {"batch_size": 16}}
    return load_config(ROOT / "tests/config.yaml", settings=settings)


def test_a_number_has_one_spelling_that_no_other_has():
    draw = random.Random(0)
    bits = [struct.unpack("<d", draw.randbytes(8))[0] for _ in range(2000)]
    values = [*ODD, *(value for value in bits if not math.isnan(value)), *(draw.random() for _ in range(2000))]
    values += [math.nextafter(value, 1e9) for value in values]
    spelled = {value: spelled_number(value) for value in values}
    assert all(float(text) == value for value, text in spelled.items())
    assert len(set(spelled.values())) == len(spelled)
    assert not any("e" in text or "E" in text or text.endswith(".0") for text in spelled.values())
    assert spelled_number(-0.0) == spelled_number(0.0) == "0"  # equal numbers, one spelling


@pytest.mark.parametrize("value", [10, 20, 0, -5, 1.0, 0.5, 0.25, 0.1, 0.05, 0.3333, 12.5, 100000])
def test_short_numbers_are_spelled_as_ever(value):
    assert spelled_number(value) == f"{value:g}"


def test_per_cent_moves_the_point():
    assert [spelled_percent(share) for share in (0.07, 1.0, 0.5, 0.33333333333)] == ["7", "100", "50", "33.333333333"]
    assert 100 * 0.07 != 7


def test_two_cells_of_a_grid_never_share_a_path_and_equal_ones_are_refused():
    possible = [value for value in ODD if value <= 300 or value == math.inf]
    of = config(snr_db=possible, label_fractions=[1.0, 0.5, 1 / 3, 0.33333333333])
    filled = [run.fill(folder("test", run.stage)) for run in runs(of)]
    assert len(set(filled)) == len(filled) and len({str(run) for run in runs(of)}) == len(filled)
    for equal in ([10, 10.0], [0.0, -0.0], [math.inf, "inf"]):
        with pytest.raises(InputError, match="grid.snr_db: lists a value twice"):
            config(snr_db=equal)
    with pytest.raises(InputError, match="grid.snr_db: 1e-300 takes more than 32 characters .*; round it"):
        config(snr_db=[1e-300])
    for value in (-math.inf, math.nan, -301):
        with pytest.raises(InputError, match="grid.snr_db.0: value .* must be greater than or equal to -300"):
            config(snr_db=[value])
    with pytest.raises(InputError, match="grid.snr_db.0: 300.5 is above 300; take at most 300, or .inf"):
        config(snr_db=[300.5])


def test_the_settings_of_a_noiseless_run_are_json_and_come_back():
    of = config(snr_db=[math.inf])
    job = finetune_job(of, "simclr", math.inf, 0.5)
    text = json.dumps(job.model_dump(), allow_nan=False)
    assert FinetuneJob(**json.loads(text)) == job and job.snr_db == math.inf
    assert load_config(ROOT / "tests/config.yaml", settings={"grid": {"snr_db": [".inf"]}}).grid.snr_db == [math.inf]


@pytest.mark.slow
def test_a_grid_of_long_numbers_and_the_noiseless_link_run_to_the_end(checkout):
    """From the configuration to the report: every path and table gives the same numbers back."""
    methods, axes = ["proposed", "supervised"], {"by_snr": "snr_db", "by_labels": "label_fraction"}
    settings = {
        "extends": "tests/config.yaml",
        "experiment": "long",
        "grid": {"methods": methods, "snr_db": [3.3333333333333335, math.inf], "label_fractions": [1.0, 0.33333333333]},
        "finetune": {"batch_size": 16, "epochs": 2},
        "figures": {
            "figure5_label_fraction": 0.33333333333,
            "accuracy_by": {name: {"x": x, "label": None, "scale": "linear"} for name, x in axes.items()},
        },
    }
    (checkout / "long.yaml").write_text(yaml.safe_dump(settings))
    options = ["--configfile=long.yaml", "--config", "pretrain={epochs: 2}", "--", "all", "sizing"]
    done = run_snakemake(checkout, *options)
    assert done.returncode == 0, done.stdout
    assert "0.33333333333" in done.stdout.split("in full:")[1]  # the prediction, in the terminal
    results = checkout / "results/long"
    of = load_config(results / "config.yaml")
    assert of.pretrain.epochs == 2 and math.inf in of.grid.snr_db
    assert {state.state for state in grid_state(of, checkout)} == {"done"}
    rounds = collect_rounds([results / "tables/rounds.csv"], methods=methods)
    cells = set(rounds[["snr_db", "label_fraction"]].itertuples(index=False, name=None))
    assert cells == set(itertools.product(of.grid.snr_db, of.grid.label_fractions))
    for name in ("figure4", "figure5", "gradients", *axes):
        assert "Missing" not in (results / f"figures/{name}.svg").read_text()
    claims = pd.read_csv(results / "tables/claim_tests.csv")
    assert set(of.grid.snr_db) == set(claims["snr_db"].dropna())
    for provenance in results.rglob("provenance.json"):
        json.loads(provenance.read_text(), parse_constant=pytest.fail)  # Infinity is no JSON
    kept = keep(results)
    assert set(pd.read_csv(kept / "provenance.csv")["snr_db"].dropna()) == set(of.grid.snr_db)
    partial = write_partial(of, checkout)
    assert pd.read_csv(partial / "tables/missing.csv").empty
    assert (partial / "tables/rounds.csv").read_bytes() == (results / "tables/rounds.csv").read_bytes()
    again = run_snakemake(checkout, "--dry-run", *options[:-1])
    assert "Nothing to be done" in again.stdout


def planted(values, fractions) -> pd.DataFrame:
    """Rounds of one method, of a grid of these values."""
    cells = itertools.product(values, fractions, range(3))
    rows = [
        {"experiment": "test", "method": "simclr", "snr_db": float(snr), "label_fraction": fraction, "seed": 0}
        | {"split": "test", "round": step, "epoch": step, "accuracy": 0.5, "mean_class_accuracy": 0.5, "loss": 1.0}
        | dict.fromkeys(ROUNDS_COLUMNS[11:-1], step) | {"status": "ok"}
        for snr, fraction, step in cells
    ]  # fmt: skip
    return pd.DataFrame(rows)[ROUNDS_COLUMNS]


def test_a_table_gives_its_values_back_to_the_last_digit(tmp_path):
    fractions = [1.0, 1 / 3, 0.33333333333]
    write_csv(planted(ODD, fractions), tmp_path / "rounds.csv")
    read = collect_rounds([tmp_path / "rounds.csv"], methods=["simclr"])
    assert set(read["snr_db"]) == set(map(float, ODD)) and set(read["label_fraction"]) == set(fractions)
    again = pd.read_csv(tmp_path / "rounds.csv")  # as `compare_sizes` reads a summary
    assert set(again["snr_db"]) == set(map(float, ODD))
    run = Run(Stage.FINETUNE, "simclr", 0, 1 / 3, 0.33333333333)
    row = provenance_row(run, {"settings": {}})
    assert (row["snr_db"], row["label_fraction"]) == (spelled_number(1 / 3), "0.33333333333")


def test_the_noiseless_link_has_its_place_at_the_end_of_an_axis():
    shown = {"by_snr": {"x": "snr_db", "label": None, "scale": "linear"}}
    of = load_config(
        ROOT / "tests/config.yaml",
        settings={
            "grid": {"snr_db": [0, 10, 20, math.inf], "methods": ["simclr"], "label_fractions": [1.0]},
            "figures": {"figure5_label_fraction": None, "accuracy_by": shown},
        },
    )
    rounds = planted(of.grid.snr_db, [1.0])
    table = accuracy_by_table(rounds, of.accuracy_by("by_snr"), of.grid, of.tables)
    assert list(table["x"]) == [0, 10, 20, math.inf] and (table["seeds"] == 1).all()
    figure = accuracy_by_figure(table)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "10", "20", INFINITY]
    assert list(axes.get_xticks()) == [0, 10, 20, 30]
    assert "not to scale" in figure.get_supxlabel()
    assert panels.cell_title(0, None, math.inf, of=1) == f"SNR = {INFINITY} dB"
