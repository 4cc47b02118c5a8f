"""The same experiment at several sizes, side by side."""

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT
from semcom.commands.compare_sizes import main
from semcom.config.loading import parse_config
from semcom.figures.sizes import sizes_figure, sizes_table

COLUMNS = [f"{q}_{b}" for q in ("accuracy", "accuracy_difference") for b in ("mean", "ci95_low", "ci95_high")]


def experiment(name: str, crop_size: int, width: int, snrs=(10, 20)):
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    raw["experiment"] = name
    raw["augmentation"]["crop_size"], raw["encoder"]["width"] = crop_size, width
    raw["data"]["image_size"] = 2 * crop_size
    rows = [
        {"experiment": name, "split": split, "label_fraction": fraction, "snr_db": snr, "method": method, "seeds": 3}
        | {"diverged": 0}
        | dict(zip(COLUMNS, np.array([0.4, 0.38, 0.43, 0.05, 0.01, 0.09]) + crop_size / 1000, strict=True))
        for split in ("test", "validation")
        for fraction in (1.0, 0.5)
        for snr in snrs
        for method in ("proposed", "supervised")
    ]
    return parse_config(raw), pd.DataFrame(rows)


def test_sizes_stand_beside_the_accuracies_of_the_test_scenes():
    table = sizes_table([experiment("small", 16, 4), experiment("large", 32, 8)])
    assert len(table) == 2 * 2 * 2 * 2
    assert table.groupby("experiment", sort=False)[["crop_size", "width"]].first().to_numpy().tolist() == [
        [16, 4],
        [32, 8],
    ]
    assert table.loc[table["experiment"] == "large", "accuracy_mean"].unique() == pytest.approx(0.432)


def test_a_method_that_the_configuration_does_not_name_is_left_out():
    config, summary = experiment("small", 16, 4)
    grid = config.grid.model_copy(update={"methods": ["supervised"]})
    table = sizes_table([(config.model_copy(update={"grid": grid}), summary)])
    assert set(table["method"]) == {"supervised"} and len(table) == 4


def test_the_figure_shows_what_all_experiments_have():
    table = sizes_table([experiment("small", 16, 4), experiment("large", 32, 8, snrs=(10,))])
    figure = sizes_figure(table)
    assert [axes.get_title() for axes in figure.axes] == [
        "(a) Full labels, SNR = 10 dB",
        "(b) Half of the labels, SNR = 10 dB",
    ]
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["16 px\nwidth 4\n3 + 3", "32 px\nwidth 8\n3 + 3"]


def test_it_writes_table_and_figure_and_names_what_is_missing(tmp_path, capsys):
    for name, crop_size in (("small", 16), ("large", 32)):
        config, summary = experiment(name, crop_size, 4)
        (tmp_path / name / "tables").mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config.model_dump()))
        summary.to_csv(tmp_path / name / "tables/summary.csv", index=False)
    output = ["--output", str(tmp_path / "sizes")]
    assert main([str(tmp_path / "small"), str(tmp_path / "large"), *output]) == 0
    assert {path.name for path in (tmp_path / "sizes").iterdir()} == {
        f"sizes{s}" for s in (".csv", ".pdf", ".svg", ".png")
    }
    (tmp_path / "large/tables/summary.csv").unlink()
    assert main([str(tmp_path / "small"), str(tmp_path / "large"), *output]) == 1
    assert "large/tables/summary.csv: not found" in capsys.readouterr().err
    (tmp_path / "large/config.yaml").unlink()
    assert main([str(tmp_path / "large"), *output]) == 1
    assert "large: is not the folder of a finished experiment" in capsys.readouterr().err
