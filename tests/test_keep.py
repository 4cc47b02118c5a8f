"""What is kept of a finished experiment: one table of provenance that its configuration still answers for."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from semcom.analysis.provenance_table import DIGEST, settings_digest
from semcom.commands.keep import keep
from semcom.common.errors import InputError
from semcom.config import artefacts, paths
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from test_state import CONFIG, finish, folder

REFERENCE = ROOT / "results/reference"
LAST_KEYS = {"schedule.snr_range_db", "schedule.modality_dropout", "channel.estimation", "channel.snr_trace"}
FIRST_KEYS = LAST_KEYS | {"schedule.optimizer", "encoder.backbone", "encoder.options"}
LATER_THAN = {  # keys that the configuration has got since the runs; they had the one value that there was
    "rooms": set(),
    "rooms-uses": set(),
    "rooms-label": set(),
    "nyud2-32-long": FIRST_KEYS | {"encoder.hidden"},
} | dict.fromkeys(
    ["nyud2-small", "nyud2-small-unclipped", "nyud2-32", "nyud2-48"],
    FIRST_KEYS | {"encoder.hidden", "encoder.feature_normalization", "depth_encoding"},
)
RENAMED = {"channel.fading": "channel.model", "channel.modulation": "channel.convention"}


def settings(config, run: Run) -> dict:
    """A run's settings as its provenance has them."""
    return json.loads(json.dumps(run.stage.job(config, run.method, run.snr_db, run.label_fraction).model_dump()))


def as_they_were(now: dict, later: set[str]) -> dict:
    """Settings without the keys that came later, under the names of then."""
    then = json.loads(json.dumps(now))
    for key in [*later, *(RENAMED if later >= FIRST_KEYS else [])]:
        *above, last = key.split(".")
        section = then
        for name in above:
            section = section.get(name, {})
        value = section.pop(last, None)
        if value is not None and key in RENAMED:
            section[RENAMED[key].split(".")[1]] = value
    return then


def rows(table: pd.DataFrame) -> list[Run]:
    return [
        Run(Stage(row.stage), row.method, row.seed)
        if row.stage == "pretrain"
        else Run(Stage(row.stage), row.method, row.seed, row.snr_db, row.label_fraction)
        for row in table.itertuples()
    ]


def plant(root, config=CONFIG):
    """A finished experiment, as far as it is looked at."""
    for run in paths.runs(config):
        finish(run, root, config)
        told = {"status": "ok", "arithmetic": {"precision": "float32"}, "wall_time_s": 12345.678, "slurm_job": None}
        record = {"stage": run.stage, **told, "seed": run.seed, "versions": {"python": "3.12.1"}}
        (folder(run, root, config) / "provenance.json").write_text(
            json.dumps(record | {"settings": settings(config, run)})
        )
    results = root / paths.results(config.experiment)
    for name in [*artefacts.files(config), "data/class_counts.csv", "data/scenes.h5"]:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(name)
    configure(results, config)
    names = [f"figure{number}{cost}" for number in (4, 5) for cost in ("", "_channel_uses", "_bits", "_airtime")]
    figures = {f"figures/{name}.png" for name in (*names, "confusion", "gradients", "pretraining")}
    tables = {f"tables/{name}.csv" for name in artefacts.tables(config)}
    return results, {*figures, *tables, "data/class_counts.csv", "config.yaml", "provenance.csv"}


def configure(results, config, **grid):
    """Put the experiment under a configuration with another grid, its tables made anew; returns that."""
    config = config.model_copy(update={"grid": config.grid.model_copy(update=grid)})
    if config.figures.figure5_label_fraction not in config.grid.label_fractions:
        off = config.figures.model_copy(update={"figure5_label_fraction": None})
        config = config.model_copy(update={"figures": off})
    (results / "config.yaml").write_text(yaml.safe_dump({"extends": None} | config.model_dump()))
    cells = [
        f"{run.method},{run.seed},{run.snr_db},{run.label_fraction}"
        for run in paths.runs(config)
        if run.stage is Stage.FINETUNE
    ]
    text = "\n".join(["method,seed,snr_db,label_fraction", *cells]) + "\n"
    for name in artefacts.tables(config):
        (results / f"tables/{name}.csv").write_text(text)
    return config


def files(top) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("experiment", LATER_THAN)
def test_every_kept_run_is_one_of_its_configuration_with_those_settings(experiment):
    config = load_config(REFERENCE / experiment / "config.yaml")
    table = pd.read_csv(REFERENCE / experiment / "provenance.csv")
    assert rows(table) == paths.runs(config)
    later = LATER_THAN[experiment]
    given = [settings_digest(as_they_were(settings(config, run), later)) for run in paths.runs(config)]
    assert given == table[DIGEST].tolist()
    assert (table["wall_time_s"] > 0).all() and table["torch"].notna().all()


def test_provenance_is_kept_as_one_table_an_experiment():
    assert {path.parent.name for path in REFERENCE.rglob("provenance.csv")} == set(LATER_THAN)
    assert not list(REFERENCE.rglob("*.json"))


@pytest.mark.parametrize(
    "experiment", ["nyud2-32", "nyud2-32-long", "nyud2-48", "nyud2-small", "nyud2-small-unclipped"]
)
def test_runs_and_time_of_a_study_are_those_of_its_provenance(experiment):
    table = pd.read_csv(REFERENCE / experiment / "provenance.csv")
    counts = ", ".join(str((table["stage"] == stage).sum()) for stage in Stage)
    name = {"nyud2-small-unclipped": "unclipped"}.get(experiment, experiment)
    (line,) = [
        line for line in (ROOT / "config/studies/README.md").read_text().splitlines() if f"/{name}.yaml` |" in line
    ]
    assert line.endswith(f"| {counts} | {table['wall_time_s'].sum() / 3600:.1f} h |")


def test_a_digest_tells_any_other_setting_and_no_other_order():
    some = settings(CONFIG, Run(Stage.FINETUNE, "proposed", 0, 10, 0.5))
    assert settings_digest(dict(reversed(some.items()))) == settings_digest(some)
    assert settings_digest(some | {"snr_db": 11.0}) != settings_digest(some)


def test_tables_figures_and_provenance_are_kept_and_neither_models_nor_scenes(tmp_path):
    results, expected = plant(tmp_path)
    target = keep(results)
    assert target == tmp_path / "results/reference/test" and files(target) == expected
    table = pd.read_csv(target / "provenance.csv", dtype=str, keep_default_na=False)
    assert len(table) == len(paths.runs(CONFIG))
    last = table.iloc[-1]
    assert (last["wall_time_s"], last["precision"], last["python"], last["slurm_job"]) == (
        "12345.678",
        "float32",
        "3.12.1",
        "",
    )
    assert (last["stage"], last["snr_db"], last["label_fraction"]) == ("finetune", "10", "0.5")
    assert table[DIGEST].tolist() == [settings_digest(settings(CONFIG, run)) for run in paths.runs(CONFIG)]


def test_what_the_configuration_no_longer_names_is_not_kept(tmp_path):
    results, _ = plant(tmp_path)
    fewer = configure(results, CONFIG, methods=["simclr", "barlow_twins"], label_fractions=[1.0])
    kept = files(keep(results))
    table = pd.read_csv(tmp_path / "results/reference/test/provenance.csv")
    assert set(table["method"]) == {"simclr", "barlow_twins"} and len(table) == len(paths.runs(fewer))
    for left in ("tables/claims.csv", "figures/figure5.png"):  # of methods, and of a label fraction, that are gone
        assert (results / left).is_file() and left not in kept
    assert {"tables/summary.csv", "figures/figure4.png"} <= kept


def test_what_is_not_kept_is_told_in_one_line(tmp_path):
    results, _ = plant(tmp_path)
    configure(results, CONFIG, methods=["simclr", "barlow_twins"])
    (results / "figures/mine.png").touch()
    command = [sys.executable, "-m", "semcom.commands.keep", "results/test"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "kept in results/reference/test",
        "not kept: results/test also holds what this configuration does not name: 5 runs, such as "
        "finetune/proposed/snr10/labels0.5/seed0; tables claim_tests, claims; figure mine",
    ]


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"methods": ["simclr", "supervised"]}, "has, beside those of config.yaml, 4 runs, such as finetune barlow_tw"),
        ({"label_fractions": [1.0]}, "has, beside those of config.yaml, 4 runs, such as finetune barlow_twins 10 dB"),
    ],
)
def test_rounds_of_another_grid_are_refused(tmp_path, grid, says):
    results, _ = plant(tmp_path)
    stale = (results / "tables/rounds.csv").read_text()
    configure(results, CONFIG, **grid)
    (results / "tables/rounds.csv").write_text(stale)
    with pytest.raises(InputError, match=f"tables/rounds.csv: {says}"):
        keep(results)


def test_rounds_that_lack_a_run_are_refused(tmp_path):
    results, _ = plant(tmp_path)
    rounds = results / "tables/rounds.csv"
    rounds.write_text("".join(rounds.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        InputError, match=r"rounds.csv: lacks 1 runs, such as finetune supervised 10 dB labels 0.5 seed 0"
    ):
        keep(results)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("summary", "method", "byol"), ("claim_tests", "snr_db", "15.0"), ("pretraining", "seed", "7")],
)
def test_a_table_of_another_grid_is_refused(tmp_path, table, column, value):
    results, _ = plant(tmp_path)
    rows = pd.read_csv(results / f"tables/{table}.csv", dtype=str)
    rows.loc[len(rows)] = rows.iloc[0]
    rows.loc[len(rows) - 1, column] = value
    rows.to_csv(results / f"tables/{table}.csv", index=False)
    with pytest.raises(InputError, match=f"tables/{table}.csv: {column} {value} is not in config.yaml"):
        keep(results)


def test_an_earlier_copy_is_replaced_as_a_whole_or_stays(tmp_path):
    results, expected = plant(tmp_path)
    keep(results)
    reference = tmp_path / "results/reference"
    (reference / "test/tables/old.csv").touch()
    before = {f"test/{name}" for name in expected | {"tables/old.csv"}}
    (reference / "test.tmp").write_text("in the way")
    with pytest.raises(
        InputError, match="test.tmp: is a file where a folder is wanted; .*what .*reference/test held stays"
    ):
        keep(results)
    (reference / "test.tmp").unlink()
    assert files(reference) == before
    with pytest.raises(InputError, match="holds tables/old.csv, which the configuration does not name"):
        keep(results)  # it may be of another study of the same name
    assert files(reference) == before
    (reference / "test/tables/old.csv").unlink()
    assert files(keep(results)) == expected and files(reference) == {f"test/{name}" for name in expected}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("config.yaml", "no config.yaml, so no finished experiment lies here"),
        ("tables/claims.csv", "no tables/claims.csv; run its target `all` to the end"),
        ("figures/gradients.png", "no figures/gradients.png; run its target `all` to the end"),
        (
            "pretrain/proposed/seed0/encoders.pt",
            "1 of 11 runs are not finished, such as pretrain proposed seed 0 (waiting: has lost encoders.pt; target `all`",
        ),
    ],
)
def test_what_is_not_finished_is_refused_in_one_line(tmp_path, damage, says):
    results, _ = plant(tmp_path)
    (results / damage).unlink()
    command = [sys.executable, "-m", "semcom.commands.keep", "results/test"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and says in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "results/reference").exists()


@pytest.mark.slow
def test_a_real_experiment_is_kept_with_the_settings_that_its_configuration_gives(finished_copy):
    target = keep(finished_copy / "results/test")
    table = pd.read_csv(target / "provenance.csv")
    config = load_config(target / "config.yaml")
    assert table[DIGEST].tolist() == [settings_digest(settings(config, run)) for run in paths.runs(config)]
    assert table["status"].eq("ok").all() and table["attempts"].ge(1).all() and table["commit"].notna().all()
