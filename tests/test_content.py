"""Content decides: what a changed date, a changed byte and a failing job do to a finished checkout, by real runs."""

import os
import shutil
from pathlib import Path

import h5py
import pytest
import yaml

from conftest import run_snakemake
from test_workflow import TEST, dry_run, with_config

pytestmark = pytest.mark.slow

RESULTS = Path("results/test")
ENCODERS = RESULTS / "pretrain/simclr/seed0/encoders.pt"
CELL = RESULTS / "finetune/simclr/snr10/labels1/seed0"


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and date of every result but logs and benchmarks."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
        if not {"logs", "benchmarks"} & set(path.relative_to(folder).parts)
    }


def older(path: Path) -> None:
    """Date a file before all results."""
    os.utime(path, (10**9, 10**9))


# Dates


def touched(folder: Path, *patterns: str) -> Path:
    files = [file for pattern in patterns for file in folder.glob(pattern) if file.is_file()]
    assert files
    for file in files:
        file.touch()
    return folder


def copied(folder: Path) -> Path:
    """As `cp -r` does it: every file with the date of its copying."""
    return shutil.copytree(folder, folder.with_name("copied"), symlinks=True, copy_function=shutil.copy)


@pytest.mark.parametrize(
    "dated",
    [
        copied,
        lambda folder: touched(folder, "workflow/**/*", "src/**/*", "profiles/**/*", "Snakefile"),
        lambda folder: touched(folder, f"{RESULTS}/data/*"),
        lambda folder: touched(folder, str(ENCODERS.parent / "*"), str(CELL / "*")),
    ],
    ids=["copied", "code", "data", "runs"],
)
def test_new_dates_run_nothing_again(dated, finished_copy):
    assert dry_run(dated(finished_copy), "all", *TEST) == {}


def test_a_changed_script_runs_its_own_rule_again_and_the_old_one_in_its_place_does_not(finished_copy):
    script = finished_copy / "workflow/scripts/tables.py"
    text = script.read_text()
    script.write_text(text + "\n# changed\n")
    jobs = dry_run(finished_copy, "all", *TEST)
    assert jobs["tables"] == 1 and not {"pretrain", "finetune", "claims", "accuracy_figure"} & jobs.keys()
    script.write_text(text)
    assert dry_run(finished_copy, "all", *TEST) == {}


# The user's own files


@pytest.fixture
def own_files(finished_copy) -> tuple[Path, tuple[str, ...]]:
    """A checkout that has split the scenes of its user's own files, and the options for it."""
    for name in ("labeled", "splits"):
        shutil.copy(finished_copy / RESULTS / f"data/rooms_{name}.mat", finished_copy / f"own_{name}.mat")
    data = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())["data"]
    files = {"labeled_mat": "own_labeled.mat", "splits_mat": "own_splits.mat"}
    options = "results/own/data/splits.csv", *with_config(finished_copy, data=data | {"files": files}, experiment="own")
    done = run_snakemake(finished_copy, *options)
    assert done.returncode == 0, done.stdout
    return finished_copy, options


def test_another_raw_file_is_noticed_whatever_its_date_and_a_touched_one_changes_nothing(own_files):
    folder, options = own_files
    raw = folder / "own_labeled.mat"
    content = raw.read_bytes()
    touched(folder, "own_*.mat")
    assert dry_run(folder, *options) == {}
    with h5py.File(raw, "r+") as file:
        file["images"][0, 0, 0, 0] ^= 1
    older(raw)
    assert dry_run(folder, *options) == {"ingest": 1, "split": 1}
    raw.write_bytes(content)
    assert dry_run(folder, *options) == {}


def test_another_channel_trace_is_noticed_whatever_its_date_and_a_touched_one_changes_nothing(finished_copy):
    trace = finished_copy / "own_trace.csv"
    rows = [f"{at},{device},10\n" for at in range(200) for device in ("rgb", "depth")]
    content = "".join(["round,device,snr_db\n", *rows])
    trace.write_text(content)
    traced = {"snr_trace": "own_trace.csv"}
    options = with_config(
        finished_copy,
        methods={"traced": {"like": "supervised", "channel": traced, "loss": None, "options": {}}},
        grid={"methods": ["traced"], "seeds": [0], "label_fractions": [1.0]},
        figures={"figure5_label_fraction": None},
        tables={"trials": None},
        evaluations={"along": {"conditions": {"trace": {"channel": traced}}}},
    )
    done = run_snakemake(finished_copy, "results/test/tables/along.csv", *options)
    assert done.returncode == 0, done.stdout
    touched(finished_copy, "own_trace.csv")
    assert dry_run(finished_copy, "results/test/tables/along.csv", *options) == {}
    trace.write_text(content.replace(",10\n", ",11\n", 1))
    older(trace)
    again = dry_run(finished_copy, "results/test/tables/along.csv", *options)
    assert again == {"finetune": 1, "evaluate": 1, "evaluation_table": 1}
    trace.write_text(content)
    assert dry_run(finished_copy, "results/test/tables/along.csv", *options) == {}


# Derived files


def spoil_split(folder: Path) -> None:
    path = folder / RESULTS / "data/splits.csv"
    path.write_text(path.read_text().replace(",test\n", ",train\n", 1))


def spoil_scenes(folder: Path) -> None:
    with h5py.File(folder / RESULTS / "data/scenes.h5", "r+") as file:
        file["rgb"][3, 0, 5:9, 5:9] ^= 0xFF


def spoil_rooms(folder: Path) -> None:
    with h5py.File(folder / RESULTS / "data/rooms_labeled.mat", "r+") as file:
        file["images"][3, 0, 5:9, 5:9] ^= 0xFF


def spoil_encoders(folder: Path) -> None:
    content = bytearray((folder / ENCODERS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / ENCODERS).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "spoilt", "reader"),
    [
        (spoil_split, RESULTS / "data/splits.csv", f"{ENCODERS.parent}/steps.csv"),
        (spoil_scenes, RESULTS / "data/scenes.h5", f"{ENCODERS.parent}/steps.csv"),
        (spoil_rooms, RESULTS / "data/rooms_labeled.mat", f"{RESULTS}/data/scenes.h5"),
        (spoil_encoders, ENCODERS, f"{CELL}/rounds.csv"),
    ],
    ids=["split", "scenes", "rooms", "encoders"],
)
@pytest.mark.parametrize("hooks", [True, False], ids=["before", "in the job"])
def test_a_derived_file_that_has_changed_is_refused_before_it_is_used(hooks, spoil, spoilt, reader, finished_copy):
    spoil(finished_copy)
    before = state(finished_copy)
    for log in (finished_copy / RESULTS / "logs").rglob("*.log"):
        log.unlink()
    # Without its handlers, Snakemake begins the job, as on a cluster whose file is spoilt meanwhile.
    extra = [] if hooks else ["--no-hooks"]
    done = run_snakemake(finished_copy, "--force", reader, *extra, *TEST)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    line = (
        f"{spoilt}: changed since this program wrote it ({spoilt.name}.sha256 has another SHA-256); put the file back"
    )
    assert line in done.stdout
    logs = list((finished_copy / RESULTS / "logs").rglob("*.log"))
    assert len(logs) == (0 if hooks else 1)
    if hooks:
        assert state(finished_copy) == before


def test_edited_results_of_a_run_reach_no_table(finished_copy):
    path = finished_copy / CELL / "rounds.csv"
    path.write_text(path.read_text().replace(",test,", ",test, ", 1))
    before = state(finished_copy)
    done = run_snakemake(finished_copy, "all", *TEST)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    line = f"{CELL}/rounds.csv: changed since its run wrote it (provenance.json has another SHA-256); put the file back"
    assert line in done.stdout and state(finished_copy) == before


def test_a_removed_file_comes_back_and_no_run_trains_again_on_the_same(finished_copy):
    (finished_copy / RESULTS / "data/scenes.h5").unlink()
    (finished_copy / RESULTS / "data/splits.csv").unlink()
    (finished_copy / RESULTS / "tables/summary.csv").unlink()
    before = state(finished_copy)
    ingest = finished_copy / "src/semcom/data/ingest.py"
    ingest.write_text(ingest.read_text() + "\n# changed, and no byte of what it writes\n")
    done = run_snakemake(finished_copy, f"{RESULTS}/tables/summary.csv", *TEST)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("nothing to train: the results of before are of the same") == 3 + 8
    after = state(finished_copy)
    assert all(after[path][0] == content for path, (content, _) in before.items())
    assert dry_run(finished_copy, f"{RESULTS}/tables/summary.csv", *TEST) == {}
    forced = run_snakemake(finished_copy, "--force", f"{CELL}/rounds.csv", *TEST)
    assert forced.returncode == 0 and "nothing to train" not in forced.stdout


# Jobs that fail


@pytest.mark.parametrize(
    ("script", "targets"),
    [
        ("ingest", ["all"]),
        ("split", ["all"]),
        ("pretrain", ["all"]),
        ("finetune", [f"{CELL}/rounds.csv"]),
        ("tables", ["all"]),
        ("accuracy_figure", ["all"]),
        ("configuration", ["all"]),
    ],
)
def test_a_failing_job_leaves_every_finished_file_as_it_was(script, targets, finished_copy):
    path = finished_copy / f"workflow/scripts/{script}.py"
    text = path.read_text()
    path.write_text("raise SystemExit('no')\n")
    before, planned = state(finished_copy), dry_run(finished_copy, *targets, *TEST)
    assert planned[script] >= 1
    done = run_snakemake(finished_copy, *targets, *TEST)
    assert done.returncode != 0 and "as before: " in done.stdout
    assert state(finished_copy) == before
    assert dry_run(finished_copy, *targets, *TEST) == planned  # the failure is not taken for a result
    path.write_text(text)
    assert dry_run(finished_copy, *targets, *TEST) == {}
