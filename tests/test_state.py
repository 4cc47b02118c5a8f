"""The state of the grid, told from planted files, real locks and a real run, and what is printed of it."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from semcom.commands import status
from semcom.config import jobs, paths
from semcom.config.loading import load_config
from semcom.config.paths import Run
from semcom.config.stage import Stage
from semcom.runs.grid import DIVERGED, DONE, FAILED, INTERRUPTED, RUNNING, STATES, WAITING, grid_state
from semcom.runs.record import RunRecord

CONFIG = load_config(ROOT / "tests/config.yaml")
FIRST = Run(Stage.PRETRAIN, "proposed", 0)
CELL = Run(Stage.FINETUNE, "proposed", 0, 10, 0.5)
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def folder(run, root, config=CONFIG):
    return root / run.fill(paths.folder(config.experiment, run.stage))


def record_path(run, root, config=CONFIG):
    return (root / run.fill(paths.checkpoint(config.experiment, run.stage))).with_suffix(".json")


def finish(run, root, config=CONFIG, *, status="ok", accuracies=(0.1, 0.3, 0.625), validation=(0.2, 0.4, 0.5)):
    """The outputs of a run, as far as its state is told from them."""
    results = folder(run, root, config)
    results.mkdir(parents=True)
    for name in run.stage.outputs:
        (results / name).touch()
    if run.stage == "pretrain":
        job = jobs.pretrain_job(config, run.method)
        (results / "steps.csv").write_text(f"step,epoch,loss,status\n1,0.5,3.0,ok\n2,1,2.5,{status}\n")
    else:
        job = jobs.finetune_job(config, run.method, run.snr_db, run.label_fraction)
        rows = ["split,round,epoch,accuracy,status"]
        for number, by_split in enumerate(zip(accuracies, validation, strict=True)):
            last = status if number == len(accuracies) - 1 else "ok"
            rows += [
                f"{split},{2 * number},{number},{'' if last != 'ok' else accuracy},{last}"
                for split, accuracy in zip(("test", "validation"), by_split, strict=True)
                if accuracy is not None
            ]
        (results / "rounds.csv").write_text("\n".join(rows) + "\n")
    (results / "provenance.json").write_text(json.dumps({"settings": job.model_dump()}))


def record(run, root, config=CONFIG, **changes):
    path = record_path(run, root, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    unit = "epoch" if run.stage == "pretrain" else "round"
    known = {"stage": run.stage, "done": 1, "total": 3, "unit": unit, "accuracy": None, "split": None}
    known |= {"started_utc": "2025-03-01T11:00:00+00:00", "updated_utc": "2025-03-01T11:59:20+00:00"}
    known |= {"host": "node7", "pid": 1234, "slurm_job": None, "attempt": 1, "error": None}
    path.write_text(json.dumps(vars(RunRecord(**known | changes))))


@contextmanager
def held(run, root, config=CONFIG):
    """Another process holds the run's lock."""
    lock = record_path(run, root, config).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    code = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def one(run, root, config=CONFIG):
    return next(found for found in grid_state(config, root) if found.run == run)


def text(root, config=CONFIG, width=100):
    return status.table(config, grid_state(config, root), width=width, now=NOW)


def test_runs_are_those_of_the_grid():
    config = load_config(ROOT / "config/config.yaml")
    runs = paths.runs(config)
    assert len(set(runs)) == len(runs) == 15 + 80
    assert not any(run.method == "supervised" for run in runs if run.stage == "pretrain")
    assert CELL.fill(paths.folder("e", Stage.FINETUNE)) == "results/e/finetune/proposed/snr10/labels0.5/seed0"
    assert str(CELL) == "finetune proposed 10 dB labels 0.5 seed 0" and str(FIRST) == "pretrain proposed seed 0"


def test_nothing_there_is_waiting(tmp_path):
    assert {found.state for found in grid_state(CONFIG, tmp_path)} == {WAITING}


def test_finished_runs_show_the_accuracy_that_a_chooser_may_see(tmp_path):
    finish(FIRST, tmp_path)
    finish(CELL, tmp_path)
    plain = Run(Stage.FINETUNE, "simclr", 0, 10, 1)
    finish(plain, tmp_path, validation=(None, None, None))
    assert one(FIRST, tmp_path).state == DONE and one(FIRST, tmp_path).accuracy is None
    cell, without = one(CELL, tmp_path), one(plain, tmp_path)
    assert (cell.state, cell.split, cell.accuracy, cell.done) == (DONE, "validation", 0.5, 4)
    assert (without.split, without.accuracy) == ("test", 0.625)
    shown = text(tmp_path)
    assert re.search(r"^proposed +10 +0.5 +done 50.0$", shown, re.MULTILINE)
    assert re.search(r"^simclr +10 +1 +done 62.5$", shown, re.MULTILINE)
    assert "Stage II, accuracy on test and validation" in shown


@pytest.mark.parametrize("status", ["diverged", "pretraining_diverged"])
def test_a_diverged_run_is_finished_with_its_last_accuracy(tmp_path, status):
    finish(CELL, tmp_path, status=status)
    found = one(CELL, tmp_path)
    assert (found.state, found.accuracy, found.done, found.total) == (
        DIVERGED,
        0.4,
        4,
        6,
    )  # 2 rounds an epoch, 3 epochs
    assert "div 66% 40.0" in text(tmp_path) and "Diverged\n  " + str(CELL) in text(tmp_path)
    finish(FIRST, tmp_path, status="diverged")
    assert one(FIRST, tmp_path).state == DIVERGED


@pytest.mark.parametrize("name", Stage.FINETUNE.outputs)
def test_a_run_that_lacks_an_output_is_not_done(tmp_path, name):
    finish(CELL, tmp_path)
    (folder(CELL, tmp_path) / name).unlink()
    found = one(CELL, tmp_path)
    assert found.state == WAITING and found.reason == f"has lost {name}; target `all` makes the run again"
    assert f"Waiting\n  {CELL}: has lost {name}; target `all`" in text(tmp_path)


def test_results_of_other_settings_wait_to_be_replaced(tmp_path):
    finish(CELL, tmp_path)
    other = load_config(ROOT / "tests/config.yaml", settings={"decoder": {"hidden": [8], "dropout": 0.0}})
    found = one(CELL, tmp_path, other)
    assert found.state == WAITING and "other settings" in found.reason and found.accuracy is None
    assert f"{CELL}: its results are of other settings" in text(tmp_path, other)


def test_a_held_lock_is_a_running_run_whatever_else_is_there(tmp_path):
    record(CELL, tmp_path, done=20, total=60, accuracy=0.25, split="validation", slurm_job="4711", attempt=2)
    finish(CELL, tmp_path)  # results being written, or another process waits for this one
    with held(CELL, tmp_path):
        found = one(CELL, tmp_path)
        shown = text(tmp_path)
    assert (found.state, found.done, found.total, found.accuracy) == (RUNNING, 20, 60, 0.25)
    assert "run 33% 25.0" in shown
    line = f"{CELL}: round 20/60, validation accuracy 25.0 %, node7, SLURM job 4711, attempt 2, 40 s ago"
    assert f"Running\n  {line}" in shown


def test_a_run_that_has_just_begun_has_no_progress_yet(tmp_path):
    with held(CELL, tmp_path):
        assert f"{CELL}: just begun" in text(tmp_path)  # the lock is there before the record
        record(CELL, tmp_path, done=0, total=0)
        assert f"{CELL}: just begun, node7, process 1234" in text(tmp_path)


def test_a_dead_process_leaves_an_interrupted_run_and_an_error_a_failed_one(tmp_path):
    record(CELL, tmp_path, done=20, total=60, accuracy=0.25, split="validation")
    with held(CELL, tmp_path):
        assert one(CELL, tmp_path).state == RUNNING
    assert one(CELL, tmp_path).state == INTERRUPTED  # the file of the lock is still there
    assert "cut 33% 25.0" in text(tmp_path)
    record(CELL, tmp_path, done=20, total=60, error="data/scenes.h5: damaged; remove it")
    found = one(CELL, tmp_path)
    assert (found.state, found.reason) == (FAILED, "data/scenes.h5: damaged; remove it")
    shown = text(tmp_path)
    assert "FAIL 33%" in shown
    log = "results/test/logs/finetune/proposed/snr10/labels0.5/seed0.log"
    assert f"Failed\n  {CELL}: data/scenes.h5: damaged; remove it\n    log: {log}" in shown


def test_a_run_that_is_redone_is_what_its_record_says(tmp_path):
    finish(CELL, tmp_path)
    for name in Stage.FINETUNE.outputs:  # as Snakemake does when a job begins
        (folder(CELL, tmp_path) / name).unlink()
    record(CELL, tmp_path)
    assert one(CELL, tmp_path).state == INTERRUPTED


def test_results_count_more_than_the_record_of_a_process_that_died_after_writing_them(tmp_path):
    record(CELL, tmp_path, done=3)
    finish(CELL, tmp_path)
    assert one(CELL, tmp_path).state == DONE


def test_runs_behind_a_failed_stage_one_say_so(tmp_path):
    record(FIRST, tmp_path, error="no luck")
    found = one(CELL, tmp_path)
    assert found.state == WAITING and found.reason == "starts from a stage I that failed: pretrain proposed seed 0"
    assert one(Run(Stage.FINETUNE, "supervised", 0, 10, 1), tmp_path).reason is None
    assert "Waiting\n  2 runs, e.g. finetune proposed 10 dB labels 1 seed 0: starts from a stage I" in text(tmp_path)


@pytest.mark.parametrize("damage", ["", "split,round\n", "split,round,epoch,accuracy,status\ntest,x,1,0.5,ok\n"])
def test_damaged_results_are_named(tmp_path, damage):
    finish(CELL, tmp_path)
    (folder(CELL, tmp_path) / "rounds.csv").write_text(damage)
    found = one(CELL, tmp_path)
    assert found.state == FAILED and str(folder(CELL, tmp_path)) in found.reason and "\n" not in found.reason


def test_a_damaged_record_is_no_record(tmp_path):
    record(CELL, tmp_path)
    record_path(CELL, tmp_path).write_text('{"stage": "fin')
    assert one(CELL, tmp_path).state == WAITING


def test_only_the_end_of_a_long_table_counts(tmp_path):
    finish(CELL, tmp_path)
    rows = ["split,round,epoch,accuracy,status"]
    rows += [f"{split},{n},{n / 4},{n / 1e4},ok" for n in range(8001) for split in ("test", "validation")]
    (folder(CELL, tmp_path) / "rounds.csv").write_text("\n".join(rows) + "\n")
    found = one(CELL, tmp_path)
    assert (found.done, found.total, found.accuracy) == (8000, 12, 0.8)  # three epochs of four rounds


@pytest.fixture
def whole_grid(tmp_path):
    """The paper's grid with its runs in every state; the configuration and the folder."""
    config = load_config(ROOT / "config/config.yaml")
    for number, run in enumerate(paths.runs(config)):
        kind = STATES[number % len(STATES)]
        progress = {"done": 4321, "total": 6000, "accuracy": 0.98765, "split": "test"}
        if kind in (DONE, DIVERGED):
            finish(run, tmp_path, config, status="ok" if kind == DONE else "diverged")
        elif kind in (RUNNING, INTERRUPTED):
            record(run, tmp_path, config, **progress)
        elif kind == FAILED:
            record(run, tmp_path, config, **progress, error="out of memory; lower batch_size")
    return config, tmp_path


def test_eighty_cells_in_a_hundred_columns(whole_grid):
    config, root = whole_grid
    runs = [run for number, run in enumerate(paths.runs(config)) if STATES[number % len(STATES)] == RUNNING][:3]
    with held(runs[0], root, config), held(runs[1], root, config), held(runs[2], root, config):
        shown = text(root, config)
    grid = shown[: shown.index("Running\n")]
    assert max(map(len, grid.splitlines())) <= 100
    assert len(re.findall(r"^\w+ +[12]0 +(?:1|0.5)  ", grid, re.MULTILINE)) == 16  # one line a method, SNR, fraction
    cells = re.findall(r"\b(done|run|wait|cut|FAIL|div)\b(?=[ \n])", grid[grid.index("Stage I") :])
    assert len(cells) == 15 + 80 and cells.count("run") == 3
    assert len(re.findall(r"^    log: ", shown, re.MULTILINE)) == cells.count("FAIL")
    totals = [list(map(int, re.findall(r"\d+", line))) for line in shown.splitlines()[-2:]]
    assert [row[-1] for row in totals] == [15, 80] and [sum(row[:-1]) for row in totals] == [15, 80]


def test_seeds_that_do_not_fit_follow_below(tmp_path):
    grid = CONFIG.grid.model_dump() | {"seeds": list(range(30))}
    config = load_config(ROOT / "tests/config.yaml", settings={"grid": grid})
    shown = text(tmp_path, config, width=60)
    assert max(len(line) for line in shown.splitlines() if line.endswith("wait")) <= 60
    assert len(re.findall(r"  wait\b", shown)) == 30 * (3 + 8) and "seed 29" in shown


def test_the_long_form_has_a_row_a_run(whole_grid):
    config, root = whole_grid
    out = io.StringIO()
    status.write_csv(config, grid_state(config, root), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(rows) == 95 and tuple(rows[0]) == status.CSV_COLUMNS
    failed = next(row for row in rows if row["state"] == FAILED and row["stage"] == "finetune")
    assert failed["reason"] == "out of memory; lower batch_size" and failed["log"].endswith(".log")
    assert (failed["done"], failed["total"], failed["unit"], failed["host"]) == ("4321", "6000", "round", "node7")
    assert {row["snr_db"] for row in rows if row["stage"] == "pretrain"} == {""}


def command(root, *arguments):
    """`python -m semcom.commands.status` in a folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "semcom.commands.status", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_command_reads_the_configuration_as_the_workflow_does(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "mine.yaml").write_text("experiment: mine\ngrid: {seeds: [3]}\n")
    (tmp_path / "small.yaml").write_text("extends: config/demo.yaml\nexperiment: mine\ngrid: {seeds: [3]}\n")
    default, demo = command(tmp_path), command(tmp_path, "--configfile", "small.yaml")
    assert default.stdout.startswith("results/nyud2: 95 runs") and default.returncode == 0
    assert demo.stdout.startswith("results/mine: 19 runs") and "seed 3" in demo.stdout
    named = command(tmp_path, "--configfile", "mine.yaml", "--config", "experiment=other", "--csv")
    rows = list(csv.DictReader(io.StringIO(named.stdout)))
    assert len(rows) == 19 and rows[0]["experiment"] == "other"
    for two in (
        ["--configfile", "config/demo.yaml", "mine.yaml"],
        ["--configfile", "config/demo.yaml", "--configfile", "mine.yaml"],
    ):
        both = command(tmp_path, *two)
        assert both.returncode == 1 and "write `extends: config/demo.yaml` into mine.yaml" in both.stderr
    section = command(
        tmp_path, "--configfile", "small.yaml", "--config", "experiment=other", "--config", "grid={seeds: [3, 4]}"
    )
    assert section.stdout.startswith("results/other: 38 runs")
    wrong = command(tmp_path, "--configfile", "nowhere.yaml")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: nowhere.yaml: cannot be read")
    assert len(wrong.stderr.splitlines()) == 1
    assert "is not KEY=VALUE" in command(tmp_path, "--config", "experiment").stderr


def test_the_command_needs_neither_torch_nor_pandas(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    code = "import sys; from semcom.commands.status import main; main([]); print({'torch', 'pandas', 'scipy'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.endswith("set()\n"), done.stderr


@pytest.mark.slow
def test_a_finished_run_is_all_done(finished):
    shown = command(finished, "--configfile", "tests/config.yaml").stdout
    assert re.search(r"^Stage I +3 +0 +0 +0 +0 +0 +3\nStage II +8 +0 +0 +0 +0 +0 +8$", shown, re.MULTILINE)
    provenance = json.loads((folder(CELL, finished) / "provenance.json").read_text())
    assert provenance["status"] == "ok"
    with (folder(CELL, finished) / "rounds.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row["split"] == "validation"][-1]
    assert one(CELL, finished).accuracy == float(last["accuracy"])


@pytest.mark.slow
def test_the_state_of_a_run_that_goes_on_is_killed_and_finishes(checkout):
    config = yaml.safe_load((checkout / "tests/config.yaml").read_text())
    config["pretrain"]["epochs"] = 5000
    (checkout / "config/long.yaml").write_text(yaml.safe_dump(config))
    options = ("--configfile", "config/long.yaml")
    target = folder(FIRST, Path()) / "encoders.pt"
    with (checkout / "out.txt").open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", str(target), *options],
            cwd=checkout, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def found():
        rows = csv.DictReader(io.StringIO(command(checkout, *options, "--csv").stdout))
        return next(row for row in rows if row["stage"] == "pretrain" and row["method"] == "proposed")

    try:
        deadline = time.monotonic() + 300
        while not (found()["state"] == RUNNING and int(found()["done"] or 0) > 0):
            assert time.monotonic() < deadline and run.poll() is None, (checkout / "out.txt").read_text()
            time.sleep(0.2)
        assert any((checkout / ".snakemake/locks").iterdir())  # Snakemake is at work in this folder
        assert found()["total"] == "5000" and found()["unit"] == "epoch"
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    deadline = time.monotonic() + 60
    while (
        found()["state"] == RUNNING and time.monotonic() < deadline
    ):  # the kernel takes a moment to let go of the lock
        time.sleep(0.1)
    assert found()["state"] == INTERRUPTED
    assert "cut" in command(checkout, *options).stdout


def test_a_reader_that_has_read_enough_is_no_fault(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "semcom.commands.status"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=writing, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 0 and not done.stderr
