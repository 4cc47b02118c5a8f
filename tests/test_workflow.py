"""The workflow as a user meets it: real runs of the tests' own configuration, and what a change makes run again."""

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import ROOT, run_snakemake

pytestmark = pytest.mark.slow

TEST = ("--configfile", "tests/config.yaml")
CELL = "results/test/finetune/proposed/snr10/labels0.5/seed0"
ROUNDS_COLUMNS = (
    "experiment, method, snr_db, label_fraction, seed, split, round, epoch, accuracy, mean_class_accuracy, loss, "
    "uplink_channel_uses, downlink_channel_uses, uplink_bits, downlink_bits, status"
).split(", ")


def planned(output: str) -> dict[str, int]:
    """Jobs of each rule in a dry run's table."""
    table = output.split("Job stats:")[-1] if "Job stats:" in output else ""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE) if name != "total"}


def dry_run(folder: Path, *arguments: str) -> dict[str, int]:
    done = run_snakemake(folder, "--dry-run", *arguments)
    assert done.returncode == 0, done.stdout
    return planned(done.stdout)


def with_config(folder: Path, **changes) -> tuple[str, str]:
    """Options for the tests' configuration with some sections changed."""
    config = yaml.safe_load((folder / "tests/config.yaml").read_text())
    for section, values in changes.items():
        config[section] = config.get(section, {}) | values if isinstance(values, dict) else values
    (folder / "config/changed.yaml").write_text(yaml.safe_dump(config))
    return "--configfile", "config/changed.yaml"


def test_a_run_leaves_every_promised_file(finished):
    results = finished / "results/test"
    promised = ["data/scenes.h5", "report.html", "config.yaml"]
    promised += [f"tables/{name}.csv" for name in ("rounds", "summary", "rounds_to_target", "claims", "claim_tests")]
    promised += [
        f"figures/{name}.{suffix}"
        for name in (
            "figure4",
            "figure5",
            "figure4_channel_uses",
            "figure5_bits",
            "figure5_airtime",
            "pretraining",
            "gradients",
            "contact_sheet",
        )
        for suffix in ("pdf", "svg", "png")
    ]
    for method in ("proposed", "simclr", "barlow_twins"):
        promised += [f"pretrain/{method}/seed0/{name}" for name in ("encoders.pt", "steps.csv", "provenance.json")]
    for method in ("proposed", "simclr", "barlow_twins", "supervised"):
        for fraction in ("1", "0.5"):
            cell = f"finetune/{method}/snr10/labels{fraction}/seed0"
            promised += [f"{cell}/{name}" for name in ("rounds.csv", "ledger.csv", "steps.csv", "provenance.json")]
    missing = [name for name in promised if not (results / name).is_file() or not (results / name).stat().st_size]
    assert not missing


def test_rounds_have_the_promised_columns_and_count_what_was_sent(finished):
    rounds = pd.read_csv(finished / CELL / "rounds.csv")
    assert list(rounds) == ROUNDS_COLUMNS
    assert set(rounds["split"]) == {"test", "validation"}
    assert (rounds["status"] == "ok").all()
    test = rounds[rounds["split"] == "test"]
    assert test["round"].tolist() == sorted(set(test["round"])) and test["round"].iloc[0] == 0
    # 2 devices, 32 scenes a batch, K = 16 features a scene: `literal` takes one channel use a feature, 32 bits each.
    assert (test["uplink_channel_uses"] == test["round"] * 2 * 32 * 16).all()
    assert (test["downlink_bits"] == test["round"] * 2 * 32 * 16 * 32).all()
    assert test["accuracy"].between(0, 1).all() and test["mean_class_accuracy"].between(0, 1).all()
    ledger = pd.read_csv(finished / CELL / "ledger.csv")
    per_round = ledger.groupby("round")["uplink_channel_uses"].sum()
    assert per_round.tolist() == test["uplink_channel_uses"].tolist()


def test_provenance_says_what_made_the_result(finished):
    record = json.loads((finished / CELL / "provenance.json").read_text())
    assert record["seed"] == 0 and record["status"] == "ok" and record["stage"] == "finetune"
    assert record["settings"]["method"] == "proposed" and record["settings"]["label_fraction"] == 0.5
    assert record["versions"]["torch"] and record["commit"] and record["device"]
    assert record["wall_time_s"] > 0 and record["peak_memory_mb"] > 50


def test_a_second_run_does_nothing(finished):
    done = run_snakemake(finished, "all", *TEST)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout


def test_the_same_seed_in_another_folder_gives_the_same_bytes(finished, checkout):
    names = ["results/test/pretrain/proposed/seed0/steps.csv", f"{CELL}/rounds.csv", f"{CELL}/ledger.csv"]
    done = run_snakemake(checkout, *names, *TEST, cores=1)
    assert done.returncode == 0, done.stdout
    for name in names:
        assert (checkout / name).read_bytes() == (finished / name).read_bytes(), name


def test_one_figure_needs_only_what_it_shows(checkout):
    jobs = dry_run(checkout, "results/test/figures/figure4.pdf", *TEST)
    assert jobs["finetune"] == 4 and jobs["accuracy_figure"] == 1  # all labels only, one SNR, one seed
    assert "tables" not in jobs and "pretraining_figure" not in jobs
    listed = run_snakemake(checkout, "--dry-run", "results/test/figures/figure4.pdf", *TEST).stdout
    assert "labels0.5" not in listed


@pytest.mark.parametrize(
    ("changed", "runs", "rests"),
    [
        ("losses/simclr.py", {"pretrain": 1, "finetune": 2}, set()),
        ("losses/_correlation.py", {"pretrain": 2, "finetune": 4}, set()),
        ("losses/byol.py", {}, {"pretrain", "finetune", "pretraining_tables"}),
        ("models/momentum.py", {}, {"pretrain", "finetune", "pretraining_tables"}),
        ("link/link.py", {"finetune": 8}, {"pretrain"}),
        ("link/fading/awgn.py", {"finetune": 8}, {"pretrain", "pretraining_tables"}),
        ("link/modulation/literal.py", {"finetune": 8, "pretraining_tables": 1}, {"pretrain"}),
        ("link/fading/rician.py", {}, {"pretrain", "finetune", "ingest", "accuracy_figure"}),
        ("analysis/tables.py", {"tables": 1}, {"pretrain", "finetune", "ingest"}),
        ("figures/accuracy.py", {"accuracy_figure": 2, "cost_figures": 2}, {"pretrain", "finetune", "ingest"}),
        ("link/airtime.py", {"cost_figures": 2}, {"pretrain", "finetune", "accuracy_figure"}),
        ("training/process.py", {"pretrain": 3, "finetune": 8}, {"ingest"}),
        ("models/precision.py", {"pretrain": 3, "finetune": 8}, {"ingest"}),
        ("common/reporting.py", {}, {"pretrain", "finetune", "ingest", "accuracy_figure"}),
        ("config/experiment.py", {}, {"pretrain", "finetune", "ingest", "accuracy_figure"}),
        ("rooms/raycast.py", {"render_rooms": 1}, set()),
    ],
)
def test_a_changed_source_runs_its_own_stage_again(finished_copy, changed, runs, rests):
    path = finished_copy / "src/semcom" / changed
    path.write_text(path.read_text() + "\n# changed\n")
    jobs = dry_run(finished_copy, "all", *TEST)
    assert {rule: jobs.get(rule) for rule in runs} == runs
    assert not rests & jobs.keys()


@pytest.mark.parametrize(
    ("changes", "runs", "rests"),
    [
        ({"tables": {"targets": [0.5]}}, {"tables": 1}, {"pretrain", "finetune", "accuracy_figure"}),
        ({"ledger": {"bandwidth_hz": 2e6}}, {"cost_figures": 2}, {"pretrain", "finetune", "accuracy_figure", "tables"}),
        ({"figures": {"costs": ["bits"]}}, {}, {"pretrain", "finetune", "accuracy_figure", "tables"}),
        ({"channel": {"modulation": "packed"}}, {"finetune": 8}, {"pretrain", "ingest"}),
        ({"grid": {"label_fractions": [1.0, 0.5, 0.8]}}, {"finetune": 4}, {"pretrain", "split"}),
        ({"grid": {"methods": ["proposed", "supervised"]}}, {"tables": 1}, {"pretrain", "finetune", "split"}),
        ({"pretrain": {"momentum": 0.8}}, {"pretrain": 3}, {"ingest", "render_rooms"}),
        ({"grid": {"seeds": [0, 1]}}, {"pretrain": 3, "finetune": 8}, {"ingest", "render_rooms"}),
    ],
)
def test_a_changed_setting_runs_its_own_stage_again(finished_copy, changes, runs, rests):
    current = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    changes = {section: current[section] | values for section, values in changes.items()}
    jobs = dry_run(finished_copy, "all", *with_config(finished_copy, **changes))
    assert {rule: jobs.get(rule) for rule in runs} == runs
    assert not rests & jobs.keys()


def test_a_table_of_trials_is_made_by_the_configuration_that_names_it(finished_copy):
    named = {}
    for name, kind in {"mine": "ranking", "steps": "ablation", "summary": "ranking"}.items():
        text = f"extends: tests/config.yaml\ntables: {{trials: {name}, trials_kind: {kind}}}\n"
        (finished_copy / f"{name}.yaml").write_text(text)
        named[name] = f"--configfile={name}.yaml"
    tables = "results/test/tables"
    done = run_snakemake(finished_copy, f"{tables}/mine.csv", named["mine"])
    assert done.returncode == 0 and planned(done.stdout) == {"trials": 1}, done.stdout
    trials = pd.read_csv(finished_copy / tables / "mine.csv").set_index("trial")
    summary = pd.read_csv(finished_copy / tables / "summary.csv")
    validation = summary[summary["split"] == "validation"].groupby("method")["accuracy_mean"].mean()
    assert trials["score"].to_dict() == pytest.approx(validation.to_dict(), abs=1e-5)
    wrong = run_snakemake(finished_copy, "--dry-run", f"{tables}/frozen.csv", named["mine"])
    assert wrong.returncode != 0 and "frozen.csv" in wrong.stdout
    wrong = run_snakemake(finished_copy, "--dry-run", "all", named["summary"])
    assert wrong.returncode != 0 and "tables.trials: 'summary' is the name of another figure or table" in wrong.stdout
    done = run_snakemake(finished_copy, f"{tables}/steps.csv", named["steps"])
    assert done.returncode == 0 and planned(done.stdout) == {"ablation": 1}, done.stdout
    steps = pd.read_csv(finished_copy / tables / "steps.csv")
    assert steps["trial"].tolist() == list(dict.fromkeys(summary["method"]))
    assert (finished_copy / "results/test/figures/steps.pdf").is_file()


def test_an_added_method_runs_alone(finished_copy):
    losses = finished_copy / "src/semcom/losses"
    (losses / "mine.py").write_text((losses / "barlow_twins.py").read_text())
    assert dry_run(finished_copy, "all", *TEST) == {}
    current = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    methods = current["methods"] | {"mine": {"loss": "mine", "options": {"lambda_": 0.01, "centre": False}}}
    grid = current["grid"] | {"methods": [*current["grid"]["methods"], "mine"]}
    jobs = dry_run(finished_copy, "all", *with_config(finished_copy, methods=methods, grid=grid))
    assert jobs["pretrain"] == 1 and jobs["finetune"] == 2 and "split" not in jobs


def test_methods_with_state_run_to_the_figure(checkout):
    """The example at the tests' size: each method its file and its entry, through both stages."""
    example = "--configfile=config/examples/more-methods.yaml"
    jobs = dry_run(checkout, "all", example)
    assert jobs["pretrain"] == 4 * 2 and jobs["finetune"] == 5 * 2 * 2  # methods, label fractions, seeds
    tiny = {
        "extends": "config/examples/more-methods.yaml",
        "experiment": "tiny",
        "data": {"image_size": 36, "rooms": {"train_scenes": 96, "test_scenes": 48, "width": 40, "height": 40}},
        "encoder": {"width": 8},
        "augmentation": {"crop_size": 32},
        "pretrain": {"epochs": 3, "batch_size": 32, "warmup_epochs": 1},
        "finetune": {"epochs": 2, "batch_size": 32, "warmup_epochs": 1},
        "methods": {"barlow_twins": {"finetune": {"frozen_epochs": 0}}},
        "grid": {"methods": ["vicreg", "byol", "simsiam", "supervised"], "label_fractions": [1.0], "seeds": [0]},
        "figures": {"figure5_label_fraction": None},
    }
    (checkout / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    overhead = "results/tiny/tables/pretraining_overhead.csv"
    done = run_snakemake(checkout, "results/tiny/figures/figure4.svg", overhead, "--configfile=tiny.yaml")
    assert done.returncode == 0, done.stdout
    for method in ("vicreg", "byol", "simsiam"):
        folder = checkout / f"results/tiny/pretrain/{method}/seed0"
        assert json.loads((folder / "provenance.json").read_text())["status"] == "ok"
        assert len(pd.read_csv(folder / "steps.csv")) == 3 * 3  # epochs, batches of 32 of the 96 scenes
    traffic = pd.read_csv(checkout / overhead)
    assert (traffic["uplink_channel_uses"] == 0).all() and len(traffic) == 3
    figure = (checkout / "results/tiny/figures/figure4.svg").read_text()
    assert "Missing" not in figure and "diverged" not in figure


def test_channels_compared_in_one_grid_run_apart_and_share_a_stage_one(finished_copy):
    """An added file trains what names it; a changed one trains that alone again."""
    fading = finished_copy / "src/semcom/link/fading"
    (fading / "mine.py").write_text((fading / "rayleigh.py").read_text())
    assert dry_run(finished_copy, "all", *TEST) == {}
    current = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    others = {"proposed-rician": {"name": "rician", "k_factor": 3.0}, "proposed-mine": "mine"}
    entry = {"like": "proposed", "pretrained_by": "proposed"}
    methods = current["methods"] | {name: entry | {"channel": {"fading": f}} for name, f in others.items()}
    grid = current["grid"] | {"methods": [*current["grid"]["methods"], *others]}
    options = with_config(finished_copy, methods=methods, grid=grid)
    jobs = dry_run(finished_copy, "all", *options)
    assert jobs["finetune"] == 4 and not {"pretrain", "split"} & jobs.keys()
    tables = [f"results/test/tables/{name}.csv" for name in ("summary", "pretraining_overhead")]
    done = run_snakemake(finished_copy, *tables, *options)
    assert done.returncode == 0, done.stdout
    rounds = [
        pd.read_csv(finished_copy / CELL.replace("proposed", name) / "rounds.csv") for name in ("proposed", *others)
    ]
    losses = [tuple(run["loss"]) for run in rounds]
    assert len(set(losses)) == 3  # three channels
    assert all(run["uplink_channel_uses"].equals(rounds[0]["uplink_channel_uses"]) for run in rounds)
    (fading / "rician.py").write_text((fading / "rician.py").read_text() + "\n# changed\n")
    listed = run_snakemake(finished_copy, "--dry-run", tables[0], *options).stdout
    assert planned(listed) == {"finetune": 2, "tables": 1} and "proposed-mine/" not in listed.split("rule tables")[0]


def test_a_checkout_that_moves_runs_nothing_again(finished, tmp_path):
    moved = shutil.copytree(finished, tmp_path / "elsewhere", symlinks=True)
    for source in (moved / "src").rglob("*.py"):
        source.touch()  # as a git checkout does
    assert dry_run(moved, "all", *TEST) == {}


def test_the_paper_in_full_is_80_runs(checkout):
    jobs = dry_run(checkout, "all")
    assert jobs["pretrain"] == 15  # three methods with a stage I, five seeds
    assert jobs["finetune"] == 80  # four methods, two SNRs, two label fractions, five seeds
    assert jobs["download"] == 2 and jobs["ingest"] == 1


def test_the_target_may_follow_the_configuration_file(checkout):
    after = dry_run(checkout, "--configfile=tests/config.yaml", "all")
    assert after == dry_run(checkout, "all", *TEST) and after["pretrain"] == 3


def test_a_file_of_three_lines_stands_on_the_paper_or_on_what_it_names(checkout):
    (checkout / "mine.yaml").write_text("experiment: mine\ngrid: {seeds: [3], snr_db: [10]}\n")
    assert dry_run(checkout, "all", "--configfile=mine.yaml")["finetune"] == 8  # four methods, two label fractions
    (checkout / "own").mkdir()
    (checkout / "own/small.yaml").write_text("extends: ../tests/config.yaml\ngrid: {methods: [simclr]}\n")
    for name in ("results/test/tables/summary.csv", "all"):
        assert dry_run(checkout, "--configfile=own/small.yaml", name)["pretrain"] == 1
    jobs = dry_run(
        checkout, "all", "--configfile=own/small.yaml", "--config", "experiment=x", "grid={methods: [supervised]}"
    )
    assert "pretrain" not in jobs and jobs["finetune"] == 2


def test_two_configuration_files_are_refused_with_the_line_that_joins_them(checkout):
    (checkout / "mine.yaml").write_text("experiment: mine\n")
    done = run_snakemake(checkout, "-n", "all", "--configfile", "config/demo.yaml", "mine.yaml")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "write `extends: config/demo.yaml` into mine.yaml and give that alone" in done.stdout


def test_a_key_that_stands_twice_is_refused(checkout):
    (checkout / "mine.yaml").write_text("experiment: mine\ngrid: {seeds: [3]}\n\ngrid: {snr_db: [10]}\n")
    done = run_snakemake(checkout, "-n", "all", "--configfile=mine.yaml")
    assert done.returncode != 0 and "mine.yaml: key 'grid' stands twice, in lines 2 and 4; keep one" in done.stdout


def test_the_configuration_that_an_experiment_leaves_runs_it_again(finished):
    kept = "results/test/config.yaml"
    assert yaml.safe_load((finished / kept).read_text())["extends"] is None
    assert dry_run(finished, "all", f"--configfile={kept}") == {}


def refused(folder: Path, *arguments: str) -> str:
    """The one line with which Snakemake ends before it plans anything, whatever else it is told to print."""
    done = run_snakemake(folder, "-n", "--quiet=all", *arguments)
    assert done.returncode != 0
    (line,) = [said for said in done.stdout.splitlines() if not said.startswith("Using workflow specific profile")]
    return line


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("figure9", "no rule makes it; did you mean results/test/figures/figure4.pdf or results/test/figures/figure5.pdf"),
        ("repport", "no rule makes it; did you mean report or "),
        (f"{CELL.replace('labels0.5', 'labels0.50')}/rounds.csv", "label_fraction 0.50 is not one of grid.label_fractions (1, 0.5)"),
        ("results/test/pretrain/simclrr/seed00/encoders.pt", "method simclrr is not one of grid.methods with a stage I (proposed, "
         "simclr, barlow_twins), seed 00 is not one of grid.seeds (0) of tests/config.yaml; add it there"),
        ("results/rooms/figures/figure4.pdf", "tests/config.yaml is of experiment 'test'; give the file of 'rooms' as --configfile"),
        ("config", "no rule makes it"),  # a folder that is there
    ],
)  # fmt: skip
def test_a_target_that_no_rule_makes_is_answered_with_what_is_near(checkout, target, says):
    line = refused(checkout, target, *TEST)
    assert line.startswith(f"error: target '{target}': ") and says in line


def test_a_wrong_word_after_another_option_is_answered_too(checkout):
    assert "target 'figure9': no rule" in refused(checkout, "--forcerun", "figure9", *TEST)


def test_a_bad_configuration_ends_before_anything_runs(checkout):
    line = refused(checkout, "all", *with_config(checkout, gird={"seeds": [0]}))
    assert line.startswith("error: config/changed.yaml: gird: unknown key") and "did you mean 'grid'" in line
    assert not (checkout / "results").exists()


def test_a_fault_of_the_command_line_is_that_of_the_command_line(checkout):
    line = refused(checkout, *TEST, "--config", "pretrain={epochs: 1}", "--", "all")
    assert line.startswith(
        "error: --config, over tests/config.yaml: pretrain: warmup_epochs (1.0) must be below epochs (1)"
    )
    line = refused(checkout, "--configfile=tests/config.yaml", "--configfile=config/demo.yaml", "all")
    assert "--configfile: takes one file, got tests/config.yaml config/demo.yaml; write `extends: " in line
    line = refused(checkout, *TEST, "--config", "experiment=a", "--config", "grid={seeds: [1]}", "--", "all")
    assert "--config: is given 2 times" in line and "write --config 'experiment=a' 'grid={seeds: [1]}'" in line


def test_files_that_extend_others_are_read_from_anywhere(checkout, tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: checkout/tests/config.yaml\nexperiment: mine\n")
    (tmp_path / "default.yaml").write_text("experiment: mine\n")
    for folder, options in ((tmp_path, ["-s", "checkout/Snakefile"]), (checkout, ["--directory", ".."])):
        file = os.path.relpath(tmp_path / "mine.yaml", folder)
        assert dry_run(folder, *options, f"--configfile={file}", "all")["pretrain"] == 3
        line = refused(folder, *options, f"--configfile={file.replace('mine', 'default')}", "all")
        assert "default.yaml: extends: missing key, and there is no config/config.yaml here; name a file" in line


@pytest.mark.parametrize("name", ["a{b}.mat", "<x>.mat"])
def test_a_path_in_which_snakemake_would_replace_a_part_is_refused(checkout, name):
    (checkout / name).touch()
    data = yaml.safe_load((checkout / "tests/config.yaml").read_text())["data"]
    options = with_config(checkout, data=data | {"files": {"labeled_mat": name, "splits_mat": name}})
    line = refused(checkout, "all", *options)
    assert (
        f"config/changed.yaml: data.files.labeled_mat: '{name}' holds " in line and "rename what is called so" in line
    )


def test_odd_paths_are_taken_as_they_are(checkout):
    name = "it's 50 % ~ $HOME & *;#.mat"
    (checkout / name).touch()
    data = yaml.safe_load((checkout / "tests/config.yaml").read_text())["data"]
    options = with_config(checkout, data=data | {"files": {"labeled_mat": name, "splits_mat": name}})
    assert dry_run(checkout, "results/test/data/scenes.h5", *options)["ingest"] == 1


def test_own_files_that_are_missing_are_named_before_anything_runs(checkout):
    data = yaml.safe_load((checkout / "tests/config.yaml").read_text())["data"]
    own = data | {"files": {"labeled_mat": "nowhere.mat", "splits_mat": "nowhere_splits.mat"}}
    done = run_snakemake(checkout, "all", *with_config(checkout, data=own))
    assert done.returncode != 0
    assert "data.files.labeled_mat: no file 'nowhere.mat'" in done.stdout


def test_a_diverged_run_is_recorded_and_the_rest_goes_on(checkout):
    methods = yaml.safe_load((checkout / "tests/config.yaml").read_text())["methods"]
    methods["barlow_twins"]["pretrain"] = {"learning_rate": 1.0e9, "warmup_epochs": 0}
    methods["supervised"]["finetune"] = {"encoder_learning_rate": 1.0e12, "warmup_epochs": 0}
    grid = {"methods": ["barlow_twins", "supervised", "simclr"], "snr_db": [10], "label_fractions": [1.0], "seeds": [0]}
    options = with_config(checkout, methods=methods, grid=grid, figures={"figure5_label_fraction": None})
    targets = [
        "results/test/tables/summary.csv",
        "results/test/figures/figure4.svg",
        "results/test/tables/pretraining.csv",
    ]
    done = run_snakemake(checkout, *targets, *options)
    assert done.returncode == 0, done.stdout
    steps = pd.read_csv(checkout / "results/test/pretrain/barlow_twins/seed0/steps.csv")
    assert steps["status"].iloc[-1] == "diverged" and len(steps) < 6
    record = json.loads((checkout / "results/test/pretrain/barlow_twins/seed0/provenance.json").read_text())
    assert record["status"] == "diverged"
    summary = pd.read_csv(checkout / targets[0]).set_index(["method", "split"])
    assert summary.loc[("barlow_twins", "test"), "diverged"] == 1
    assert summary.loc[("supervised", "test"), "diverged"] == 1
    assert summary.loc[("simclr", "test"), "diverged"] == 0
    assert "diverged" in (checkout / targets[1]).read_text()


def test_damaged_encoders_are_refused_and_nothing_finished_is_lost(finished_copy):
    encoders = finished_copy / "results/test/pretrain/proposed/seed0/encoders.pt"
    encoders.write_bytes(encoders.read_bytes()[:1000])
    before = (finished_copy / CELL.replace("proposed", "simclr") / "rounds.csv").read_bytes()
    done = run_snakemake(finished_copy, "--force", f"{CELL}/rounds.csv", *TEST)
    assert done.returncode != 0
    assert "proposed/seed0/encoders.pt: changed since this program wrote it" in done.stdout
    assert (finished_copy / CELL.replace("proposed", "simclr") / "rounds.csv").read_bytes() == before


def test_a_truncated_mat_is_named_and_earlier_results_stay(finished_copy):
    rooms = finished_copy / "results/test/data"
    whole = (rooms / "rooms_labeled.mat").read_bytes()
    (finished_copy / "cut.mat").write_bytes(whole[: len(whole) // 2])
    data = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())["data"]
    own = data | {"files": {"labeled_mat": "cut.mat", "splits_mat": str(rooms / "rooms_splits.mat")}}
    options = with_config(finished_copy, data=own, experiment="own")
    done = run_snakemake(finished_copy, "results/own/data/scenes.h5", *options)
    assert done.returncode != 0
    assert "cut.mat: the HDF5 file is truncated" in done.stdout
    assert (rooms / "scenes.h5").is_file()


def test_the_workflow_is_lint_free(checkout):
    done = run_snakemake(checkout, "--lint", *TEST)
    assert done.returncode == 0, done.stdout
    assert "Congratulations" in done.stdout


def test_the_root_snakefile_stays_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 60
