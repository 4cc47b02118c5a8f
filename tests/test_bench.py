"""Benchmarks: what a row says of its measurements, that both sides of a ratio take turns, and that every one of them runs."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import kinds, page, processes, scale
from benchmarks.__main__ import BENCHMARKS
from benchmarks.parts import clocked
from benchmarks.scale import Repeated
from benchmarks.steps import WARM_UP, TakingTurns
from benchmarks.subject import Subject
from benchmarks.timing import COLUMNS, Target, by_turns, row
from semcom.common import processor
from semcom.config.loading import load_config
from semcom.models.precision import decide, in_words
from semcom.planning.calibration import EnoughSteps


def test_a_ratio_is_taken_turn_by_turn():
    """A machine that is twice as slow in every other turn slows both sides, and no ratio."""
    slow = np.tile([1.0, 2.0], 8)
    found = row("b", "c", 3 * slow, "ms", against="d", reference=2 * slow, target=Target(1.4))
    assert (found["ratio_low"], found["ratio"], found["ratio_high"]) == (1.5, 1.5, 1.5)
    assert (found["value"], found["reference"], found["repeats"]) == (4.5, 3.0, 16)
    assert not found["met"]


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [(Target(2), 2, True), (Target(2), 2.01, False), (Target(2, at_least=True), 2.01, True)],
)
def test_targets_are_bounds_from_above_or_below(target, value, met):
    assert row("b", "c", [value], "s", target=target)["met"] == met


def test_cases_are_called_by_turns_and_warm_ups_are_not_counted():
    called = []
    times = by_turns({name: lambda name=name: called.append(name) for name in "ab"}, repeats=3, warm_up=2)
    assert called == ["a", "b"] * 5
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3}


def test_the_other_side_has_its_turn_after_every_step_and_its_time_is_not_the_steps():
    others = []
    turns = TakingTurns(lambda: others.append(sum(range(200_000))), steps=5)
    turns.start(100)
    with pytest.raises(EnoughSteps):
        for _ in range(100):
            turns.step_done(0, dict)
    assert len(others) == WARM_UP + 5
    assert len(turns.own) == len(turns.other) == 5
    assert np.median(turns.own) < np.median(turns.other) / 5


def made_rows() -> list[dict]:
    where = {
        "size": "64 x 64",
        "device": "a CPU",
        "arithmetic": "float32",
        "threads": 1,
        "command": "python -m benchmarks steps",
    }
    return [
        row("steps", "met", [1.0, 1.1, 1.2], "ms", against="bare", reference=[1.0] * 3, target=Target(1.2), **where),
        row("steps", "missed", [3.0], "x", target=Target(4, at_least=True), **where),
        row("steps", "no target", [7.0], "MB", **where),
    ]


def test_the_page_has_a_row_for_every_measurement_under_its_command(tmp_path):
    page.write_rows("steps", made_rows(), tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "    python -m benchmarks steps\n" in text and "On a CPU, in float32." in text
    assert "| met | 64 x 64 | 1.1 (1.05 to 1.15) ms | bare | 1 ms | 1.1 (1.05 to 1.15) | <= 1.2 | yes |" in text
    assert "| missed | 64 x 64 | 3 x |  |  |  | >= 4 | no |" in text
    assert list(pd.read_csv(tmp_path / "steps.csv")) == COLUMNS
    assert pd.read_csv(tmp_path / "targets.csv")["case"].tolist() == ["met", "missed"]
    assert (tmp_path / "targets.png").stat().st_size > 5000


def test_a_benchmark_run_again_replaces_its_own_rows_only(tmp_path):
    page.write_rows("other", [{**made_rows()[0], "benchmark": "other", "case": "stays"}], tmp_path)
    page.write_rows("steps", made_rows(), tmp_path)
    page.write_rows("steps", made_rows()[:1], tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "stays" in text and "| met |" in text and "missed" not in text


def test_kinds_of_processor_stand_side_by_side(tmp_path):
    where = {"size": "", "threads": 1, "command": ""}
    for device, arithmetic, ratio in (("cpu: New (AMX)", "bfloat16", 1.02), ("cpu: Old (AVX2)", "float32", 1.07)):
        made = row("steps", "stage II step", [ratio], "ms", against="bare", reference=[1.0], target=Target(1.05),
                   device=device, arithmetic=arithmetic, **where)  # fmt: skip
        page.write_rows("steps", [made], tmp_path / page.folder_of(device).name)
    lines = kinds.side_by_side(tmp_path).splitlines()
    assert lines[0] == "| | New (AMX) | Old (AVX2) |" and lines[2] == "| arithmetic of `auto` | bfloat16 | float32 |"
    assert "| stage II step, of its bare arithmetic (<= 1.05) | 1.02 | 1.07 (missed) |" in lines
    assert "| two jobs of one thread, scenes/s of one job of two | not measured | not measured |" in lines


@pytest.mark.slow
def test_repeated_scenes_are_a_source_of_any_length_in_which_no_two_are_alike(finished):
    with Repeated(finished / "results/test/data/scenes.h5", 500) as source:
        seen = {source.read(index)["rgb"].tobytes() for index in range(500)}
        assert len(source) == 500 and len(seen) == 500
        assert set(source.split) == {"train", "test"}
        with h5py.File(finished / "results/test/data/scenes.h5") as file:
            assert (source.read(3)["depth"] == file["depth"][3, 0]).all()


def bench(folder: Path, *names: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *names, "--configfile=tests/config.yaml"],
        cwd=folder, env=os.environ | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "src")}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.slow
def test_benchmarks_run_and_leave_rows_with_the_command_that_makes_them(finished_copy):
    names = ("steps", "parts", "evaluation", "profile")
    done = bench(finished_copy, *names)
    assert done.returncode == 0, done.stdout
    (folder,) = (each for each in (finished_copy / "results/benchmarks").iterdir() if each.is_dir())
    assert folder.name == page.folder_of(processor.name()).name
    for name in names:
        table = pd.read_csv(folder / f"{name}.csv")
        assert set(table["arithmetic"]) == {
            in_words(decide(load_config(Path("tests/config.yaml")).compute, torch.device("cpu")))
        }
        assert len(table) and (table["value"] > 0).all()
        assert set(table["command"]) == {f"python -m benchmarks {name} --configfile=tests/config.yaml"}
    steps = pd.read_csv(folder / "steps.csv")
    assert (steps["ratio"] > 1).all()  # a step does what the bare one does, and more
    parts = pd.read_csv(folder / "parts.csv").set_index("case")["value"]
    for stage in ("stage I", "stage II"):
        of_stage = parts[parts.index.str.startswith(f"{stage}: ")]
        whole = of_stage.pop(f"{stage}: whole step")
        assert of_stage.sum() == pytest.approx(whole, rel=0.15)  # medians of parts of 60 steps
        assert of_stage[f"{stage}: all networks, backward"] > 0.3 * whole


def test_a_clocked_function_is_timed_and_given_back():
    owner = SimpleNamespace(sleep=time.sleep)
    with clocked(owner, "sleep", torch.device("cpu")) as clock:
        owner.sleep(0.05)
        owner.sleep(0.05)
        assert 0.1 <= clock.read() < 1
        assert clock.read() == 0
    assert owner.sleep is time.sleep


@pytest.mark.slow
def test_benchmarks_of_processes_and_of_scale_run(finished_copy, monkeypatch):
    monkeypatch.chdir(finished_copy)
    subject = Subject("tests/config.yaml")
    rows = processes.start(subject, "start", repeats=1) + processes.ingest(subject, "ingest", repeats=1)
    rows += scale.epochs(subject, "memory", few=1, many=2) + scale.scale(
        subject, "scale", sizes=(80, 160), least_scenes=0
    )
    assert len(rows) > 15 and all(np.isfinite(each["value"]) for each in rows)
    sizes = {each["size"] for each in rows if each["benchmark"] == "scale"}
    assert sizes == {"80 scenes", "160 scenes"}


def test_an_unknown_benchmark_is_named_with_those_that_there_are(tmp_path):
    done = bench(Path(__file__).parents[1], "stepz")
    assert done.returncode == 2 and "no benchmark 'stepz'" in done.stdout and "evaluation" in done.stdout


def test_every_benchmark_is_in_the_makefile():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    recipe = makefile.partition("\nbench:")[2].partition("\n\n")[0]
    assert set(BENCHMARKS) <= set(recipe.split())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile takes a C++ compiler")
def test_compiled_encoders_train_alike_and_keep_the_names_of_their_parameters():
    from semcom.training.pretrain import pretrain
    from test_stages import made_scenes, stage_one

    plain = stage_one("barlow_twins", modalities=("rgb",), epochs=1)
    plain = plain.model_copy(update={"compute": plain.compute.model_copy(update={"precision": "float32"})})
    compiled = plain.model_copy(update={"compute": plain.compute.model_copy(update={"compile": "default"})})
    expected, found = (pretrain(job, made_scenes(("rgb",)), 0) for job in (plain, compiled))
    assert expected.encoders.state_dict().keys() == found.encoders.state_dict().keys()
    np.testing.assert_allclose(found.steps["loss"], expected.steps["loss"], rtol=1e-3)
