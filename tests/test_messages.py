"""No message is lost: kinds of failure tried through `make demo` itself, each with its reason on the terminal.

Every job that fails must end on the terminal with its rule, its own reason and its log, in one line; all else must name
file, key or line. The demo's configuration is that of the tests, in whose place each test puts its fault.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, copy_checkout, own_environment, run_snakemake
from semcom.commands import check
from semcom.common.reporting import duration
from semcom.config.loading import load_config
from semcom.config.paths import Run, runs
from semcom.config.stage import Stage
from semcom.planning import overall
from semcom.planning.overall import Overall, read_splits, run_size, told
from semcom.runs.failures import LONGEST, NOTHING, failure, reason, stamps
from semcom.runs.lock import Lock
from semcom.runs.record import RunRecord, now
from semcom.training.schedule import total_steps

CONFIG = load_config(ROOT / "tests/config.yaml")
PLACED = {"train": 90, "test": 48, "validation": 10}  # scenes
STAGE_ONE, STAGE_TWO = Run(Stage.PRETRAIN, "simclr", 0), Run(Stage.FINETUNE, "simclr", 0, 10, 0.5)


def with_make(folder: Path) -> Path:
    """A copy of the checkout in which `make demo` installs nothing: its environment has the packages of the tests'."""
    shutil.copy2(ROOT / "Makefile", folder)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    own_environment(folder)
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A checkout whose demo is of the tests' size."""
    folder = with_make(copy_checkout(tmp_path / "checkout"))
    shutil.copy2(folder / "tests/config.yaml", folder / "config/demo.yaml")
    return folder


@pytest.fixture
def finished_demo(finished_copy: Path) -> Path:
    """The same, run to its end."""
    shutil.copy2(finished_copy / "tests/config.yaml", finished_copy / "config/demo.yaml")
    return with_make(finished_copy)


def start_demo(folder: Path) -> subprocess.Popen:
    """`make demo`, as a user types it; output and errors together, as on a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.Popen(
        ["make", "demo"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def failing_demo(folder: Path) -> str:
    """What a `make demo` that must fail prints."""
    with start_demo(folder) as process:
        printed, _ = process.communicate(timeout=600)
    assert process.returncode != 0, printed
    return printed


def change(folder: Path, **sections) -> None:
    """Give sections of the demo's configuration other values."""
    path = folder / "config/demo.yaml"
    config = yaml.safe_load(path.read_text())
    for section, values in sections.items():
        config[section] = config.get(section, {}) | values if isinstance(values, dict) else values
    path.write_text(yaml.safe_dump(config))


def told_failures(printed: str) -> list[str]:
    """The lines in which failed jobs are named."""
    return [line for line in printed.splitlines() if line.startswith("failed: ")]


# Faults that are found before any job.


def test_an_unknown_key(demo):
    change(demo, gird={"seeds": [0]})
    printed = failing_demo(demo)
    assert "error: config/demo.yaml: gird: unknown key" in printed
    assert "did you mean 'grid'?" in printed and "Traceback" not in printed


def test_a_missing_file_of_the_users_own(demo):
    change(demo, data={"files": {"labeled_mat": "nowhere.mat", "splits_mat": "nowhere_splits.mat"}})
    printed = failing_demo(demo)
    assert (
        "error: config/demo.yaml: data.files.labeled_mat: no file 'nowhere.mat'; correct the path" in printed
        and "Traceback" not in printed
    )


def test_broken_yaml(demo):
    (demo / "config/demo.yaml").write_text("experiment: rooms\ngrid: {seeds: [0, 1}\n")
    printed = failing_demo(demo)
    assert "error: config/demo.yaml, line 2, column 20: not valid YAML: " in printed and "Traceback" not in printed


def test_a_missing_configuration_file(demo):
    (demo / "config/demo.yaml").unlink()
    printed = failing_demo(demo)
    assert "error: config/demo.yaml: cannot be read (No such file or directory); give the path of" in printed
    assert "Traceback" not in printed


def test_a_syntax_error_in_a_rule(demo):
    rules = demo / "workflow/rules/data.smk"
    rules.write_text(rules.read_text() + "\nDOWNLOADED = = 1\n")
    printed = failing_demo(demo)
    line = len(rules.read_text().splitlines())
    assert re.search(rf"SyntaxError in file \".*/workflow/rules/data.smk\", line {line}:", printed), printed
    assert "DOWNLOADED = = 1" in printed


@pytest.mark.slow
def test_a_lock_that_a_killed_snakemake_has_left(demo):
    """The lock is a real one: of a Snakemake that is killed outright while its first job runs."""
    rooms = "results/test/data/rooms_labeled.mat"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with subprocess.Popen(
        ["snakemake", "--cores", "1", rooms, "--configfile", "config/demo.yaml"],
        cwd=demo, env=os.environ | {"PATH": path}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if "Render the built-in rooms" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
    printed = failing_demo(demo)
    assert "Directory cannot be locked" in printed and "--unlock" in printed
    unlocked = run_snakemake(demo, "--unlock", "--configfile", "config/demo.yaml")
    assert unlocked.returncode == 0, unlocked.stdout


# Faults of jobs.


@pytest.mark.slow
def test_a_spoiled_data_file(demo):
    (demo / "cut.mat").write_bytes(b"spoiled")
    (demo / "splits.mat").write_bytes(b"spoiled")
    change(demo, data={"files": {"labeled_mat": "cut.mat", "splits_mat": "splits.mat"}})
    printed = failing_demo(demo)
    (told_line,) = told_failures(printed)
    assert told_line.startswith("failed: ingest: cut.mat: ") and "Traceback" not in printed
    assert told_line.endswith(" (log: results/test/logs/ingest.log)")
    assert re.search(r"\d error: cut.mat: .* \(log: results/test/logs/ingest.log\)", printed)
    assert printed.count("cut.mat: ") == 2  # when it happens, and at the end


@pytest.mark.slow
def test_a_fault_of_our_own_in_a_job(demo):
    renderer = demo / "src/semcom/rooms/dataset.py"
    renderer.write_text(renderer.read_text() + "\n\ndef write_rooms(*_, **__):\n    return 1 / 0\n")
    printed = failing_demo(demo)
    wanted = "failed: render_rooms: ZeroDivisionError: division by zero (log: results/test/logs/render_rooms.log)"
    assert told_failures(printed) == [wanted]
    assert printed.count("Traceback (most recent call last)") == 1
    assert "dataset.py" in printed  # where


@pytest.mark.slow
def test_a_fault_before_a_job_has_a_log(demo):
    script = demo / "workflow/scripts/render_rooms.py"
    script.write_text("import semcom.no_such_module\n" + script.read_text())
    printed = failing_demo(demo)
    assert "ModuleNotFoundError: No module named 'semcom.no_such_module'" in printed
    assert told_failures(printed) == [f"failed: render_rooms: {NOTHING} (log: results/test/logs/render_rooms.log)"]


@pytest.mark.slow
def test_a_disk_that_is_full(demo):
    change(
        demo,
        grid={"methods": ["simclr", "supervised"], "label_fractions": [1.0]},
        figures={"figure5_label_fraction": None},
    )
    disk = demo / "results/test/pretrain/simclr/seed0"
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=False).returncode:
        pytest.skip("needs the right to mount a small file system, as root has it")
    (disk / "filler").write_bytes(bytes(4096))  # an empty folder Snakemake would remove
    try:
        printed = failing_demo(demo)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    (told_line,) = told_failures(printed)
    assert re.match(r"failed: pretrain \(method simclr, seed 0\): .*the disk is full; make room in ", told_line), (
        printed
    )
    assert told_line.endswith(" (log: results/test/logs/pretrain/simclr/seed0.log)")


def test_a_folder_that_cannot_be_made(demo):
    (demo / "results/test").mkdir(parents=True)
    (demo / "results/test/data").write_text("a file where a folder is wanted")
    printed = failing_demo(demo)
    assert "error: results/test/data: is a file where a folder is wanted; move it away\n" in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_a_report_that_fails(finished_demo):
    caption = finished_demo / "workflow/report/accuracy.rst"
    caption.write_text(caption.read_text() + "{{ snakemake.nothing.at.all }}\n")
    printed = failing_demo(finished_demo)
    (told_line,) = told_failures(printed)
    assert re.fullmatch(
        r"failed: html_report: WorkflowError: Error loading caption file .*accuracy.rst of output marked for report. "
        r"UndefinedError: .* has no attribute 'nothing' \(log: results/test/logs/report.log\)",
        told_line,
    )


@pytest.mark.slow
def test_a_training_run_that_is_killed(demo):
    change(
        demo,
        pretrain={"epochs": 100_000},
        grid={"methods": ["simclr", "supervised"], "label_fractions": [1.0]},
        figures={"figure5_label_fraction": None},
    )
    constant = demo / "src/semcom/planning/overall.py"
    text = constant.read_text()
    constant.write_text(text.replace("EVERY_SECONDS = 15", "EVERY_SECONDS = 1"))
    assert constant.read_text() != text
    with start_demo(demo) as process:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "pretrain simclr seed 0: epoch" in line:
                record = demo / "results/test/checkpoints/pretrain/simclr/seed0.json"
                os.kill(yaml.safe_load(record.read_text())["pid"], signal.SIGKILL)
                break
        printed = "".join(seen) + process.stdout.read()
    assert process.returncode != 0, printed
    (told_line,) = told_failures(printed)
    log = "results/test/logs/pretrain/simclr/seed0.log"
    assert re.fullmatch(
        r"failed: pretrain \(method simclr, seed 0\): killed, or ended without saying why; its last line was: "
        rf"pretrain simclr seed 0: epoch \d+/100000, .* \(log: {log}\)",
        told_line,
    )
    # 86 scenes in batches of 32; a run of stage II of 3 epochs beside those of stage I.
    assert re.search(r"^\d\d:\d\d:\d\d all: \d+ of 200012 steps, \d+ % of the work", printed, re.MULTILINE), printed


# What is made of a log.


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("10:00:00 at work\n10:00:01 error: data.x: 3 is odd; take 4\n", "data.x: 3 is odd; take 4"),
        ("10:00:01 interrupted: SIGTERM at round 3 of 6\n", "interrupted: SIGTERM at round 3 of 6"),
        (
            "10:00:01 unexpected error\nTraceback (most recent call last):\n  File 'x', line 1\nKeyError: 'rgb'\n",
            "KeyError: 'rgb'",
        ),
        (
            'Building\nWorkflowError in file "Snakefile", line 3:\nno such caption: a.rst\n  File "Snakefile", line 3\n',
            'WorkflowError in file "Snakefile", line 3: no such caption: a.rst',
        ),
        (
            "WorkflowError:\nCannot load.\nUndefinedError: no 'x'\n",
            "WorkflowError: Cannot load. UndefinedError: no 'x'",
        ),
        ("mv: cannot stat 'report.tmp.html': No such file\n\n", "mv: cannot stat 'report.tmp.html': No such file"),
        ("", NOTHING),
        # An earlier attempt's reason is not that of one that was killed since.
        (
            "10:00:01 error: out of memory\n10:05:00 finetune: round 8/9\n",
            "killed, or ended without saying why; its last line was: finetune: round 8/9",
        ),
        (
            "10:00:01 unexpected error\nKeyError: 'rgb'\n10:05:00 finetune: round 8/9\n",
            "killed, or ended without saying why; its last line was: finetune: round 8/9",
        ),
    ],
)
def test_a_reason_is_what_the_log_says_last(log, says):
    assert reason(log) == says


def test_a_reason_is_one_line_of_bounded_length():
    text = reason("ValueError: " + "long " * 1000 + "\n")
    assert len(text) <= LONGEST and text.startswith("ValueError: long") and text.endswith("...")


def test_a_failure_names_rule_wildcards_reason_and_log(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("10:00:01 error: no\n")
    cell = {"method": "simclr", "seed": "0"}
    assert failure("pretrain", cell, [str(log)], {}) == f"failed: pretrain (method simclr, seed 0): no (log: {log})"


def test_what_an_earlier_attempt_said_is_not_told_again(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("10:00:01 error: earlier\n")
    before = stamps([str(log), str(tmp_path / "none.log")])
    assert failure("ingest", {}, [str(log)], before) == f"failed: ingest: {NOTHING} (log: {log})"
    with log.open("a") as file:
        file.write("10:00:02 error: now\n")
    assert failure("ingest", {}, [str(log)], before) == f"failed: ingest: now (log: {log})"


def test_a_job_without_a_log_is_named_all_the_same(tmp_path):
    missing = str(tmp_path / "none.log")
    assert failure("split", {}, [missing], {}) == f"failed: split: {NOTHING} (log: {missing})"
    assert failure("all", {}, [], {}).startswith("failed: all: ")
    assert "cannot be read" in failure("split", {}, [str(tmp_path)], {})  # a folder in the log's place


def test_the_check_says_what_a_configuration_would_run(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert check.main(["tests/config.yaml"]) == 0
    says = "tests/config.yaml: results/test, 3 runs of stage I, 8 of stage II\n"
    assert capsys.readouterr().out == says
    assert check.main(["tests/config.yaml", "nowhere.yaml", "tests/config.yaml"]) == 1
    printed = capsys.readouterr()
    assert printed.out == 2 * says and printed.err.startswith("error: nowhere.yaml: cannot be read (No such file")


# How far the whole is.


def plant_splits(folder: Path, scenes: dict[str, int] = PLACED) -> None:
    """A split of scenes of two classes, the second half as large as the first."""
    data = folder / "results/test/data"
    data.mkdir(parents=True, exist_ok=True)
    rows = ["scene,class,scene_type,room,split"]
    for split, count in scenes.items():
        rows += [f"0,{'office' if i < count / 3 else 'kitchen'},x,y,{split}" for i in range(count)]
    (data / "splits.csv").write_text("\n".join(rows) + "\n")


def plant_record(folder: Path, run: Run, done: int, total: int) -> None:
    """How far a run says it is."""
    path = folder / run.fill("results/test/checkpoints/pretrain/{method}/seed{seed}.json")
    if run.stage == "finetune":
        cell = "results/test/checkpoints/finetune/{method}/snr{snr_db}/labels{label_fraction}/seed{seed}.json"
        path = folder / run.fill(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".pt").touch()  # its checkpoint
    RunRecord(run.stage, done, total, "x", None, None, now(), now(), "host", 1, None, 1, None).write(path)


def test_nothing_is_said_before_the_scenes_are_split(tmp_path):
    assert Overall(CONFIG, [STAGE_ONE], lambda run: False, tmp_path).line(0.0) is None


def test_sizes_are_those_of_the_schedule(tmp_path):
    plant_splits(tmp_path)
    scenes = read_splits(tmp_path / "results/test/data/splits.csv")
    assert {split: count.total() for split, count in scenes.items()} == PLACED
    first = run_size(CONFIG, STAGE_ONE, scenes)
    assert first.steps == total_steps(90, CONFIG.pretrain) == 6  # 3 epochs of 2 batches of 32
    assert first.work == 6 * 32 * 2
    second = run_size(CONFIG, STAGE_TWO, scenes)
    assert second.steps == 3  # of 45 scenes
    assert second.work == pytest.approx(3 * 32 + 4 * (48 + 10) / 3)  # evaluated before the first round and after each


def test_the_time_left_goes_by_work_and_by_what_this_call_has_done(tmp_path):
    """A third of stage I was there before. A process then takes it up, and brings it another third in 30 s."""
    plant_splits(tmp_path)
    plant_record(tmp_path, STAGE_ONE, 1, 3)
    whole = Overall(CONFIG, [STAGE_ONE, STAGE_TWO], lambda run: False, tmp_path)
    first, second = (run_size(CONFIG, run, read_splits(tmp_path / "results/test/data/splits.csv")).work
                     for run in whole.needed)  # fmt: skip
    share = round(100 * first / 3 / (first + second))
    assert whole.line(0.0) == f"all: 2 of 9 steps, {share} % of the work"
    assert whole.line(100.0) == f"all: 2 of 9 steps, {share} % of the work"  # no run is at work yet
    lock = Lock(tmp_path / "results/test/checkpoints/pretrain/simclr/seed0.lock")
    assert lock.acquire()
    assert whole.line(110.0) == f"all: 2 of 9 steps, {share} % of the work"  # it is, and says nothing yet
    plant_record(tmp_path, STAGE_ONE, 2, 3)
    left = (first / 3 + second) / (first / 3) * 30
    share = round(100 * first * 2 / 3 / (first + second))
    assert whole.line(130.0) == f"all: 4 of 9 steps, {share} % of the work, {duration(left)} left"
    lock.release(remove=True)


def test_only_runs_of_this_call_count(tmp_path):
    plant_splits(tmp_path)
    plant_record(tmp_path, STAGE_TWO, 3, 3)  # done, but not among those that are needed
    done = set()
    whole = Overall(CONFIG, [STAGE_ONE], done.__contains__, tmp_path)
    assert whole.line(0.0) == "all: 0 of 6 steps, 0 % of the work"
    done.add(STAGE_ONE)  # its record is gone, its results are there
    assert whole.line(1.0) == "all: 6 of 6 steps, 100 % of the work, 0 s left"


def test_a_run_whose_record_is_gone_has_ended(tmp_path):
    """Between the end of its process and Snakemake's notice of it, nothing else tells so."""
    plant_splits(tmp_path)
    plant_record(tmp_path, STAGE_ONE, 2, 3)
    whole = Overall(CONFIG, [STAGE_ONE], lambda run: False, tmp_path)
    whole.line(0.0)
    (tmp_path / "results/test/checkpoints/pretrain/simclr/seed0.json").unlink()
    assert whole.line(10.0) == "all: 6 of 6 steps, 100 % of the work, 0 s left"


def test_a_run_that_begins_anew_promises_nothing(tmp_path):
    plant_splits(tmp_path)
    plant_record(tmp_path, STAGE_ONE, 2, 3)
    whole = Overall(CONFIG, [STAGE_ONE], lambda run: False, tmp_path)
    whole.line(0.0)
    plant_record(tmp_path, STAGE_ONE, 0, 3)  # its checkpoint was refused
    assert whole.line(10.0) == "all: 0 of 6 steps, 0 % of the work"
    plant_record(tmp_path, STAGE_ONE, 1, 3)
    assert whole.line(20.0) == "all: 2 of 6 steps, 33 % of the work, 20 s left"


def test_a_record_without_a_checkpoint_counts_for_nothing(tmp_path):
    """Unless a process is at work: else the run begins anew."""
    plant_splits(tmp_path)
    plant_record(tmp_path, STAGE_ONE, 2, 3)
    (tmp_path / "results/test/checkpoints/pretrain/simclr/seed0.pt").unlink()
    whole = Overall(CONFIG, [STAGE_ONE], lambda run: False, tmp_path)
    assert whole.line(0.0) == "all: 0 of 6 steps, 0 % of the work"


def test_the_lines_end_with_the_jobs(tmp_path, capsys):
    plant_splits(tmp_path)
    stop = threading.Event()
    thread = told(Overall(CONFIG, runs(CONFIG), lambda run: False, tmp_path), stop, every_seconds=0.01)
    while not (shown := capsys.readouterr().err):
        time.sleep(0.01)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive() and thread.daemon
    assert re.match(r"\d\d:\d\d:\d\d all: 0 of \d+ steps, 0 % of the work\n", shown)


def test_a_fault_in_the_lines_ends_them_with_one_warning(tmp_path, capsys):
    (tmp_path / "results/test/data").mkdir(parents=True)
    (tmp_path / "results/test/data/splits.csv").write_text("not,a,split\n1,2,3\n")
    thread = told(Overall(CONFIG, [STAGE_ONE], lambda run: False, tmp_path), threading.Event(), every_seconds=0.01)
    thread.join(timeout=10)
    assert not thread.is_alive()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "warning: no more lines on how far the whole is (KeyError: 'class')"


def test_where_no_run_is_to_be_made_nothing_is_started():
    assert told(Overall(CONFIG, [], lambda run: False), threading.Event()) is None


def test_progress_needs_no_torch():
    code = "import sys, semcom.planning.overall, semcom.runs.failures; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")}).returncode == 0
    )
    assert overall.EVERY_SECONDS == 15  # what the tests of real runs replace
