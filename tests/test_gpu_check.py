"""`make gpu-check` on a machine without a GPU, and every part of it on a CPU at the smallest size."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import gpu_check, page
from benchmarks.gpu_check import hours_side_by_side, lacking, run_part, table
from benchmarks.gpu_parts import HOURS, NAME, NOT_HERE, PARTS, TOGETHER, TOY, note
from benchmarks.made import MadeSubject
from benchmarks.timing import row
from conftest import ROOT
from semcom.data.nyud2_layout import PUBLISHED_COUNTS
from semcom.training.process import set_up
from slurm.cluster import wait_until

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU that torch can use")
ON_A_CPU = ["--device", "cpu", "--configfile", str(ROOT / "tests/config.yaml"), "--toy"]


@pytest.fixture(scope="module")
def subject() -> MadeSubject:
    return MadeSubject(str(ROOT / "tests/config.yaml"), "cpu", 0.12, "make gpu-check")


@pytest.fixture(autouse=True)
def as_it_was(subject):
    yield
    set_up(subject.config.compute)


@without_gpu
def test_a_machine_without_a_gpu_is_told_so_in_one_line(capsys):
    assert gpu_check.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert (
        printed.err.startswith("no GPU that torch can use (torch ")
        and "; run make gpu-check on a machine with one" in printed.err
    )
    assert lacking("cpu") is None


def test_all_parts_together_take_under_ten_minutes():
    assert sum(seconds for _, seconds in PARTS.values()) <= 9 * 60


def test_made_scenes_have_the_sizes_and_numbers_of_the_configuration(subject):
    whole = MadeSubject(subject.configfile, "cpu", 1.0, "")
    assert whole.splits.groupby(["class", "split"]).size().unstack()[["train", "test"]].apply(
        tuple, axis=1
    ).to_dict() == (PUBLISHED_COUNTS)
    scenes = subject.scenes
    assert scenes.images["rgb"].shape[1:] == (3, 36, 36) and scenes.images["depth"].dtype == torch.int16
    for name, meaning in scenes.modalities.items():
        values = scenes.images[name].double() * meaning.scale
        assert values.mean().item() == pytest.approx(meaning.mean[0], rel=0.02)
        assert values.std().item() == pytest.approx(meaning.std[0], rel=0.02)


@pytest.mark.parametrize("name", ["arithmetic", "graph", "steps", "slice"])
def test_a_part_gives_finite_rows_under_its_command(subject, name):
    rows = list(PARTS[name][0](subject, TOY))
    assert all(np.isfinite(found["value"]) and found["value"] > 0 for found in rows if "value" in found)
    assert {found["command"] for found in rows} == {"make gpu-check"}
    words = {found["case"]: found["unit"] for found in rows if "value" not in found}
    assert set(words.values()) <= {NOT_HERE}
    if name == "graph":
        assert words == {"stage I whole step, one CUDA graph": NOT_HERE}
    if name == "slice":
        assert rows[-1]["case"] == HOURS and {f"stage I, {TOY.epochs} epochs, ok"} < {found["case"] for found in rows}


@pytest.mark.slow
def test_runs_side_by_side_keep_their_digits(subject, monkeypatch):
    monkeypatch.chdir(ROOT)
    rows = list(PARTS["side by side"][0](subject, TOY))
    assert [found["case"] for found in rows] == [
        f"{TOGETHER}1", "digits with 1 at once", f"{TOGETHER}2", "digits with 2 at once"
    ]  # fmt: skip
    assert {found["unit"] for found in rows[1::2]} == {"same digits as a run alone"}


@pytest.mark.slow
def test_device_tests_are_run_and_counted(subject):
    rows = {found["case"]: found["value"] for found in PARTS["tests"][0](subject, TOY)}
    assert rows["device tests passed"] >= 2 and rows["device tests failed"] == 0


WRITES_ONE_ROW = """
import sys, time
open(sys.argv[-1], "a").write('{"case": "one"}\\n')
%s
"""


@pytest.mark.parametrize(
    ("then", "seconds", "reason"),
    [
        ("", 20, None),
        ("time.sleep(60)", 1, "not done within 1 s"),
        ("raise RuntimeError('no such kernel')", 20, "RuntimeError: no such kernel (status 1; "),
        ("import os; os.abort()", 20, "(status -6; "),
    ],
)
def test_a_part_that_fails_or_hangs_leaves_its_rows_and_a_reason(tmp_path, then, seconds, reason):
    began = time.monotonic()
    rows, said = run_part([sys.executable, "-c", WRITES_ONE_ROW % then], seconds, tmp_path / "log")
    assert rows == [{"case": "one"}] and time.monotonic() - began < 30
    assert said is None if reason is None else (reason in said and "\n" not in said)


HAS_STARTED_ANOTHER = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[-1], "a").write(f'{{"pid": {other.pid}}}\\n')
time.sleep(60)
"""


def test_what_a_part_has_started_ends_with_it(tmp_path):
    ((started,), said) = run_part([sys.executable, "-c", HAS_STARTED_ANOTHER], 2, tmp_path / "log")
    assert said == "not done within 2 s"
    stat = Path(f"/proc/{started['pid']}/stat")
    wait_until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", "the other process to end", seconds=10)


def test_hours_side_by_side_take_the_number_that_gets_most_done(subject):
    rows = [
        row(NAME, f"{TOGETHER}{k}", [rate], "scenes/s", reference=[100.0]) for k, rate in ((1, 100), (4, 250), (8, 200))
    ]
    assert hours_side_by_side(rows, subject) == []
    (found,) = hours_side_by_side([*rows, row(NAME, HOURS, [50.0], "h")], subject)
    assert found["value"] == 20 and "runs at once: 4," in found["case"]


def test_the_table_shows_numbers_words_and_ratios():
    rows = [row(NAME, "a step", [3.0], "ms", against="bare", reference=[2.0]), note("a graph", NOT_HERE)]
    assert table(rows).splitlines()[2:] == ["| a step | 3 ms | bare: 2 ms | 1.5 |", "| a graph | not here |  |  |"]


@pytest.mark.slow
def test_the_command_prints_one_table_and_leaves_it_as_csv_and_markdown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check", *ON_A_CPU, "--only", "graph", "steps"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (each for each in (tmp_path / page.FOLDER).iterdir() if each.is_dir())
    csv = pd.read_csv(folder / f"{NAME}.csv")
    assert done.stdout.count("| What |") == 1 and len(csv) == 5
    assert done.stdout.strip() in (folder / f"{NAME}.md").read_text()
    assert NOT_HERE in (folder / "README.md").read_text()
