"""Sizing: arithmetic worked out by hand, the stages' own counts, a real calibration, and prediction against a real run."""

import json
import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import ROOT, run_snakemake
from semcom.common.errors import InputError
from semcom.common.reporting import duration
from semcom.config import paths
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.planning import calibration, estimate
from semcom.planning.calibration import EnoughSteps, Pace, Stopwatch, calibrate
from semcom.planning.estimate_text import comparison_text, prediction_text
from semcom.runs.grid import grid_state
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from test_partial import plant
from test_stages import CONFIG, made_scenes, stage_one, stage_two
from test_state import CELL, FIRST, folder
from test_workflow import dry_run

WHOLE = load_config(ROOT / "config/config.yaml")
TEST = ("--configfile", "tests/config.yaml")
PACE = {"device": "cuda: H", "threads": 2, "start_s": 20.0, "steps": 50, "step_s": 0.5, "evaluation_s": 3.0,
        "checkpoint_s": 1.0, "peak_memory_mb": 3000.0, "peak_device_memory_mb": 9000.0}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


def paces(config=WHOLE, **changes):
    """One row a stage and method, all alike."""
    kinds = dict.fromkeys((run.stage, run.method) for run in paths.runs(config))
    return pd.DataFrame([{"stage": stage, "method": method} | PACE | changes for stage, method in kinds])


def splits(train=795, test=654, classes=10):
    """As NYU Depth V2 is split, its classes all equally frequent."""
    names = [f"class{k % classes}" for k in range(train + test)]
    return pd.DataFrame({"class": names, "split": ["train"] * train + ["test"] * test})


# What a run takes


def test_seconds_of_a_job_are_start_steps_evaluations_and_a_checkpoint_a_minute():
    # 100 x 0.5 + 11 x 3 = 83 s: one checkpoint after a minute, one at the end
    assert estimate.job_seconds(PACE, 100, 11) == 20 + 83 + 2
    assert estimate.job_seconds(PACE, 10, 0) == 20 + 5 + 1
    assert estimate.job_seconds(PACE | {"step_s": 100.0}, 10, 0) == 20 + 1000 + 11  # no more than one a step


def test_counts_are_those_of_real_runs():
    scenes = made_scenes()
    for every in (1, 3, 4):
        job = stage_two(epochs=4, evaluate_every_rounds=every)
        rounds = finetune(job, scenes, 0, None).rounds
        steps, evaluations = estimate.stage_two_work(job.schedule, len(scenes.indices["train"]))
        assert rounds["round"].max() == steps and len(rounds) == evaluations  # one split
    job = stage_one(epochs=3)
    steps, evaluations = estimate.stage_one_work(job.schedule, len(scenes.indices["train"]))
    assert (len(pretrain(job, scenes, 0).steps), 0) == (steps, evaluations)


# The grid


def test_the_paper_in_full():
    table = estimate.predict(WHOLE, paces(), splits()).set_index(estimate.KEY)
    assert list(table.reset_index()) == estimate.PREDICTED
    assert table["jobs"].groupby("stage").sum().to_dict() == {"pretrain": 15, "finetune": 80}
    first = table.loc[("pretrain", "proposed", np.nan)]
    assert (first["jobs"], first["steps"], first["evaluations"]) == (5, 12 * 500, 0)  # 795 // 64 = 12
    whole, half = table.loc[("finetune", "simclr", 1.0)], table.loc[("finetune", "simclr", 0.5)]
    assert (whole["jobs"], whole["steps"], whole["evaluations"]) == (10, 6000, 501)
    assert (half["jobs"], half["steps"]) == (10, 6 * 500)  # 400 labelled scenes, 40 of each class
    assert first["hours_per_job"] == pytest.approx((20 + 3000 + 51) / 3600)  # 50 whole minutes, and the end
    assert whole["hours_per_job"] == pytest.approx((20 + 3000 + 1503 + 76) / 3600)
    assert (table["hours"] == table["jobs"] * table["hours_per_job"]).all()
    supervised, proposed = table.loc[("finetune", "supervised", 1.0)], table.loc[("finetune", "proposed", 1.0)]
    assert supervised["hours_per_job"] == proposed["hours_per_job"]
    chain = first["hours_per_job"] + whole["hours_per_job"]
    assert estimate.shortest_hours(WHOLE, table.reset_index()) == pytest.approx(chain)


def test_a_method_s_own_schedule_counts():
    methods = {"simclr": {"pretrain": {"epochs": 20}, "finetune": {"batch_size": 32}}}
    grid = WHOLE.grid.model_dump() | {"methods": ["simclr", "supervised"]}
    config = load_config(ROOT / "config/config.yaml", settings={"methods": methods, "grid": grid})
    table = estimate.predict(config, paces(config), splits()).set_index(["stage", "method", "label_fraction"])
    assert table.loc[("pretrain", "simclr", np.nan), "steps"] == 12 * 20
    assert table.loc[("finetune", "simclr", 1.0), "steps"] == 24 * 500
    assert table.loc[("finetune", "supervised", 1.0), "steps"] == 12 * 500


def test_calibrations_are_read_back_and_those_of_another_version_are_named(tmp_path):
    assert estimate.PACE == [field.name for field in fields(Pace)]
    path = tmp_path / "simclr.csv"
    whole = paces()[estimate.PACE]
    whole.to_csv(path, index=False)
    assert len(estimate.read_paces([path, path])) == 2 * len(whole)
    for content, says in {
        whole.drop(columns="step_s").to_csv(index=False): "column step_s is missing, so another version wrote it",
        whole.assign(watts=3.0).to_csv(index=False): "column watts is not known, so another version wrote it",
        whole.assign(step_s="fast").to_csv(index=False): "column step_s holds no numbers",
        whole[:0].to_csv(index=False): "holds no row",
        "": "cannot be read",
        "\x00": "",
    }.items():
        path.write_text(content)
        with pytest.raises(InputError) as error:
            estimate.read_paces([path])
        message = str(error.value)
        assert message.startswith(f"{path}: {says}") and "\n" not in message
        assert message.endswith(f"make it again: snakemake --forcerun calibrate {path}")


def test_a_stage_without_a_calibration_is_named():
    some = paces()
    with pytest.raises(InputError, match="no calibration of finetune barlow_twins"):
        estimate.predict(WHOLE, some[(some["stage"] != "finetune") | (some["method"] != "barlow_twins")], splits())


def test_what_is_advised_holds_what_is_predicted_with_room_to_spare():
    table = estimate.predict(WHOLE, paces(), splits())
    advised = estimate.advised(table)
    assert list(advised.index) == ["pretrain", "finetune"]
    # stage I: 3071 s x 1.5 = 76.8 min; 3000 MB x 1.25 + 500 MB = 4250 MB
    assert advised.loc["pretrain"].to_dict() == {"runtime": 80, "mem_mb": 4500}
    assert advised.loc["finetune", "runtime"] == 120  # 4599 s x 1.5 = 115 min


def test_the_prediction_as_printed():
    text = prediction_text(WHOLE, estimate.predict(WHOLE, paces(), splits()))
    assert text.startswith("results/nyud2 in full: 95 training jobs, ") and "of GPU time (cuda: H, one a job)" in text
    table = text.split("\n\n")[1].splitlines()
    assert len(table) == 1 + 3 + 8 and table[0].split()[:4] == ["stage", "method", "labels", "jobs"]
    assert "9000" in table[1] and "MB on GPU" in table[0]
    assert "pretrain: runtime=80, mem_mb=4500" in text and "1 at once: " in text
    one_cpu = estimate.predict(WHOLE, paces(device="cpu: x", peak_device_memory_mb=None), splits())
    seconds = 3600 * one_cpu["hours"].sum()
    text = prediction_text(WHOLE, one_cpu)
    assert "MB on GPU" not in text
    assert f"{duration(seconds)} of job time, {duration(2 * seconds)} of CPU time (cpu: x, 2 threads a job)" in text


# A calibration


def test_warm_up_steps_do_not_count(monkeypatch):
    clock = iter([150.0, 170.0, 180.0, *(180.0 + 2 * n for n in range(1, 50))])  # three slow steps, then 2 s
    monkeypatch.setattr(calibration.time, "monotonic", lambda: next(clock))
    watch = Stopwatch(warm_up=3, steps=(5, 200), seconds=15)
    watch.start(10)
    with pytest.raises(EnoughSteps):
        for step in range(100):
            watch.step_done(step, dict)
    assert (watch.counted, watch.step_s()) == (8, 2.0)  # 7 x 2 s would be too short


@pytest.mark.parametrize(("seconds", "counted"), [(0, 5), (1e9, 12)])
def test_steps_that_count_are_bounded_from_both_sides(seconds, counted):
    watch = Stopwatch(steps=(5, 12), seconds=seconds)
    watch.start(1)
    with pytest.raises(EnoughSteps):
        while True:
            watch.step_done(1, lambda: {"kept": True})
    assert watch.counted == counted and watch.state == {"kept": True}


@pytest.mark.parametrize("job", [stage_one(), stage_two()], ids=["pretrain", "finetune"])
def test_a_stage_tells_its_pace(tmp_path, job):
    began = calibration.time.monotonic() - 7
    pace = calibrate(job, made_scenes(), 0, began=began, checkpoint=tmp_path / "a/b.pt", seconds=0)
    assert (pace.method, pace.threads, pace.steps) == (job.method, torch.get_num_threads(), 5)
    assert pace.start_s >= 7 and pace.step_s > 0 and pace.checkpoint_s > 0 and pace.peak_memory_mb > 50
    assert (pace.evaluation_s > 0) == (pace.stage == "finetune")
    assert pace.device.startswith("cpu") and pace.peak_device_memory_mb is None
    assert not list((tmp_path / "a").iterdir())


def test_a_run_that_diverges_at_once_is_said(tmp_path):
    job = stage_one(diverged_gradient_norm=1e-9)
    with pytest.raises(InputError, match="diverges after 0 steps"):
        calibrate(job, made_scenes(), 0, began=0.0, checkpoint=tmp_path / "x.pt")


# Against what was measured


def took(run, root, *, wall_time_s, benchmark_s=None, memory=3000.0, config=WHOLE):
    """Let a planted run say what it took."""
    path = folder(run, root, config) / "provenance.json"
    told = {"wall_time_s": wall_time_s, "peak_memory_mb": memory, "peak_device_memory_mb": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | told))
    if benchmark_s is not None:
        benchmark = root / run.fill(paths.benchmark(config.experiment, run.stage))
        benchmark.parent.mkdir(parents=True)
        benchmark.write_text(f"s\th:m:s\tmax_rss\n{benchmark_s}\t0:00:01\t100\n")


def test_measured_against_predicted(tmp_path):
    runs = [run for run in paths.runs(WHOLE) if run.method == "proposed" and run.snr_db in (None, 10)]
    for run in runs:
        if run.seed < 3:
            plant(run, tmp_path, WHOLE, status="diverged" if run.seed == 2 else "ok")
            took(run, tmp_path, wall_time_s=3000, benchmark_s=3071.0 if run.seed == 0 else None, memory=6000)
    predicted = estimate.predict(WHOLE, paces(peak_device_memory_mb=None), splits())
    measured = estimate.measured(grid_state(WHOLE, tmp_path), WHOLE, tmp_path)
    assert len(measured) == 2 * 3 and sorted(set(measured["seconds"])) == [3000, 3071]  # the diverged seed is left out
    table = estimate.compare(predicted, measured).set_index(estimate.KEY)
    assert list(table.reset_index()) == estimate.COMPARED and len(table) == 11
    first = table.loc[("pretrain", "proposed", np.nan)]
    assert (first["jobs"], first["finished"], first["memory_ratio"]) == (5, 2, 2.0)
    assert first["hours_ratio"] == pytest.approx((3000 + 3071) / 2 / 3071)
    assert table.loc[("finetune", "supervised", 1.0), "finished"] == 0
    assert np.isnan(table.loc[("finetune", "supervised", 1.0), "hours_ratio"])
    text = comparison_text(WHOLE, table.reset_index())
    assert "6 of 95 runs finished" in text and "GPU" not in text and "ratio" in text


def test_a_resumed_run_counts_all_its_attempts(tmp_path):
    run = Run(Stage.PRETRAIN, "proposed", 0)
    plant(run, tmp_path, WHOLE)
    took(run, tmp_path, wall_time_s=5000, benchmark_s=100.0)  # the benchmark knows the last attempt alone
    assert estimate.measured(grid_state(WHOLE, tmp_path), WHOLE, tmp_path)["seconds"].tolist() == [5000]


def test_nothing_finished_compares_nothing(tmp_path):
    predicted = estimate.predict(WHOLE, paces(), splits())
    table = estimate.compare(predicted, estimate.measured(grid_state(WHOLE, tmp_path), WHOLE, tmp_path))
    assert comparison_text(WHOLE, table).startswith(
        "results/nyud2: 0 of 95 runs finished, those that diverged left out\n"
    )


def test_a_prediction_is_read_as_it_was_written(tmp_path):
    predicted = estimate.predict(WHOLE, paces(peak_device_memory_mb=None), splits())
    predicted.to_csv(tmp_path / "predicted.csv", index=False)
    pd.testing.assert_frame_equal(estimate.read_prediction(tmp_path / "predicted.csv"), predicted, check_dtype=False)
    with pytest.raises(InputError, match="nowhere.csv: not found; make a prediction first"):
        estimate.read_prediction(tmp_path / "nowhere.csv")
    (tmp_path / "predicted.csv").write_text("stage\n1\n")
    with pytest.raises(InputError, match="predicted.csv: not a prediction .*; make it again"):
        estimate.read_prediction(tmp_path / "predicted.csv")


@pytest.mark.slow
def test_the_whole_way_on_a_real_run(finished_copy):
    early = run_snakemake(finished_copy, "sizing_compared", *TEST, cores=1)
    assert early.returncode != 0 and "predicted.csv: not found; make a prediction first" in early.stdout
    done = run_snakemake(finished_copy, "sizing", *TEST)
    assert done.returncode == 0, done.stdout
    assert "results/test in full: 11 training jobs" in done.stdout and "finetune: runtime=10, mem_mb=" in done.stdout
    predicted = estimate.read_prediction(finished_copy / "results/test/sizing/predicted.csv")
    assert len(predicted) == 11 and (predicted["peak_memory_mb"] > 100).all() and (predicted["start_s"] > 0.1).all()
    again = run_snakemake(finished_copy, "sizing", *TEST, cores=1)
    assert "rule calibrate" not in again.stdout and "Calibrate" not in again.stdout  # what is known is only printed
    assert "results/test in full" in again.stdout

    shutil.rmtree(folder(CELL, finished_copy))
    (folder(FIRST, finished_copy) / "encoders.pt").unlink()
    compared = run_snakemake(finished_copy, "sizing_compared", *TEST, cores=1)
    assert compared.returncode == 0, compared.stdout
    assert "results/test: 9 of 11 runs finished" in compared.stdout
    assert not folder(CELL, finished_copy).exists()  # nothing is trained for it
    table = pd.read_csv(finished_copy / "results/test/sizing/compared.csv")
    assert table["finished"].sum() == 9 and (table["hours_ratio"].dropna() > 0).all()
    # The same code on the same scenes takes the same memory; the time of runs this short is that of the machine.
    assert table["memory_ratio"].dropna().between(0.7, 1.4).all()


@pytest.mark.slow
def test_a_calibration_is_no_part_of_the_run(checkout):
    assert not {"calibrate", "predict", "sizing"} & dry_run(checkout, "all").keys()
    jobs = dry_run(checkout, "sizing")
    assert jobs["calibrate"] == 3 + 4 and not {"pretrain", "finetune"} & jobs.keys()
