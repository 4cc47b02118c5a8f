"""Real training processes, killed at random moments of their whole life and started again as a user would.

SEMCOM_KILLS sets how many in each stage; the full measure is `SEMCOM_KILLS=20 python -m pytest tests/test_kills.py -s`.
SEMCOM_KILLS_SEED repeats the moments of an earlier run.
"""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from conftest import copy_checkout, run_snakemake
from semcom.runs.record import read_record

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("SEMCOM_KILLS", "3"))
SEED = int(os.environ.get("SEMCOM_KILLS_SEED", random.SystemRandom().randrange(10**6)))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
DEADLINE = 300


@dataclass(frozen=True)
class Stage:
    """A run of one stage: its folders below `results/test`, and the files whose bytes count; or a job of another rule."""

    run: str
    files: tuple[str, ...]
    rule: str | None = None

    @property
    def name(self) -> str:
        return self.rule or self.run.split("/")[0]

    def outputs(self, folder: Path) -> list[Path]:
        return [folder / "results/test" / self.run / name for name in self.files]

    def checkpoint(self, folder: Path) -> Path:
        return folder / "results/test/checkpoints" / f"{self.run}.pt"


STAGES = {
    "pretrain": Stage("pretrain/simclr/seed0", ("encoders.pt", "steps.csv")),
    "finetune": Stage("finetune/supervised/snr10/labels1/seed0", ("rounds.csv", "ledger.csv", "steps.csv")),
}
INGEST = Stage("data", ("scenes.h5", "class_counts.csv"), rule="ingest")


@dataclass(frozen=True)
class Moment:
    """When to send which signal: after a share of a whole run's life, then as soon as a file of the kind appears."""

    number: signal.Signals
    share: float
    wait_for: str  # "nothing", "checkpoint" or "results"

    def __str__(self) -> str:
        then = {
            "nothing": "",
            "checkpoint": ", then in a checkpoint's writing",
            "results": ", then in the results' writing",
        }
        return f"{self.number.name} at {self.share:.0%} of its life{then[self.wait_for]}"


def moments(stage: str) -> list[Moment]:
    """Half of them anywhere in a run's life, a quarter in a checkpoint's writing, a quarter in the results'."""
    draw = random.Random(f"{SEED} {stage}")
    kinds = [("nothing", "checkpoint", "results", "nothing")[i % 4] for i in range(KILLS)]
    return [Moment(draw.choice(SIGNALS), draw.random() * (kind != "results"), kind) for kind in kinds]


def start(folder: Path, stage: Stage, *options: str) -> subprocess.Popen:
    """Snakemake, asked for a run; with a checkpoint after every step or two."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    output = (folder / "output.txt").open("a")
    target = str(stage.outputs(Path())[0])
    return subprocess.Popen(
        ["snakemake", "--cores", "1", "--rerun-incomplete", target, *options, "--configfile", "config/kills.yaml"],
        cwd=folder,
        env=os.environ | {"PATH": path, "SEMCOM_CHECKPOINT_SECONDS": "0.1"},
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def training_process(snakemake: subprocess.Popen, stage: Stage) -> psutil.Process | None:
    """The process that runs the stage's script, as soon as it is there; None if Snakemake ends without one."""
    while snakemake.poll() is None:
        for process in psutil.Process(snakemake.pid).children(recursive=True):
            try:
                if any(word.endswith(f".{stage.name}.py") for word in process.cmdline()[1:2]):
                    return process
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)
    return None


def run_to_the_end(folder: Path, stage: Stage) -> float:
    """Seconds that the training process lived."""
    snakemake = start(folder, stage)
    process = training_process(snakemake, stage)
    began = time.monotonic()
    while process and alive(process):
        time.sleep(0.01)
    life = time.monotonic() - began
    assert snakemake.wait(DEADLINE) == 0, (folder / "output.txt").read_text()
    return life


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(folder: Path, stage: Stage, moment: Moment, life: float) -> str | None:
    """Start the run and send its training process the signal; what the run had come to by then, None if it had ended."""
    snakemake = start(folder, stage)
    process = training_process(snakemake, stage)
    time.sleep(moment.share * life)
    checkpoint = stage.checkpoint(folder)
    results = stage.outputs(folder)

    def has_begun() -> bool:
        return any(path.exists() or is_being_written(path) for path in results)

    awaited = {"nothing": lambda: True, "checkpoint": lambda: is_being_written(checkpoint), "results": has_begun}
    while not awaited[moment.wait_for]() and snakemake.poll() is None:
        pass  # a file is being written for a few milliseconds: no time for sleep
    if not alive(process) or not was_sent(moment.number, process):
        snakemake.wait(DEADLINE)
        return None
    begun = has_begun()
    if snakemake.wait(DEADLINE) == 0:
        return "results begun, and ended"
    step = saved_step(checkpoint)
    return ("results begun, " if begun else "") + (f"checkpoint of step {step} left" if step else "no checkpoint left")


def is_being_written(path: Path) -> bool:
    """Whether there is a temporary file for it."""
    return any(path.parent.glob(f"{path.name}.*.tmp"))


def was_sent(number: signal.Signals, process: psutil.Process) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False
    return True


@contextlib.contextmanager
def suspended(process: psutil.Process) -> Iterator[None]:
    """Lets a process stand still, so that others find it at work, however fast it is."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def saved_step(checkpoint: Path) -> int | None:
    """The step that a checkpoint is of, past its two lines of header."""
    if not checkpoint.exists():
        return None
    return torch.load(io.BytesIO(checkpoint.read_bytes().split(b"\n", 2)[2]))["state"]["state"]["step"]


@pytest.fixture(scope="module")
def prepared(finished, tmp_path_factory) -> Path:
    """A checkout with the data, and a configuration whose runs take many steps."""
    folder = copy_checkout(tmp_path_factory.mktemp("kills") / "checkout")
    shutil.copytree(finished / "results/test/data", folder / "results/test/data")
    shutil.copytree(finished / ".snakemake/metadata", folder / ".snakemake/metadata")
    config = yaml.safe_load((folder / "tests/config.yaml").read_text())
    config["pretrain"]["epochs"] = config["finetune"]["epochs"] = 40
    config["finetune"]["evaluate_every_rounds"] = 10
    config["decoder"]["dropout"] = 0.3
    (folder / "config/kills.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.parametrize("name", STAGES)
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(name, prepared, tmp_path):
    stage = STAGES[name]
    whole = shutil.copytree(prepared, tmp_path / "whole", symlinks=True)
    life = run_to_the_end(whole, stage)
    print(f"\n{name}: SEMCOM_KILLS_SEED={SEED}, a whole run lives {life:.1f} s")
    identical = []
    for i, moment in enumerate(moments(name)):
        folder = tmp_path / f"kill{i}"
        while (found := kill(fresh(prepared, folder), stage, moment, life)) is None:
            moment = replace(moment, share=0.8 * moment.share)  # it was faster than the first, and over by then
        run_to_the_end(folder, stage)
        output = (folder / "output.txt").read_text()
        assert "Traceback" not in output, output
        provenance = json.loads(stage.outputs(folder)[0].with_name("provenance.json").read_text())
        identical.append([file.read_bytes() for file in stage.outputs(folder)] == whole_bytes(whole, stage))
        left = [str(file) for file in folder.rglob("*") if file.suffix in (".tmp", ".lock")]
        assert not left and not stage.checkpoint(folder).exists()
        same = "identical" if identical[-1] else "DIFFERENT"
        print(f"{name} {i + 1:2d}: {moment}: {found}; {provenance['attempts']} attempts; {same}", flush=True)
    print(f"{name}: {sum(identical)} of {len(identical)} identical")
    assert all(identical)


def fresh(prepared: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(prepared, folder, symlinks=True)


def whole_bytes(folder: Path, stage: Stage) -> list[bytes]:
    return [file.read_bytes() for file in stage.outputs(folder)]


def test_a_checkpoint_of_other_code_is_refused_and_the_run_begins_anew(prepared, tmp_path):
    stage = STAGES["pretrain"]
    folder = shutil.copytree(prepared, tmp_path / "checkout", symlinks=True)
    snakemake = start(folder, stage)
    process = training_process(snakemake, stage)
    wait_until(stage.checkpoint(folder).exists, folder)
    process.send_signal(signal.SIGTERM)
    assert snakemake.wait(DEADLINE) != 0
    loss = folder / "src/semcom/losses/simclr.py"
    loss.write_text(loss.read_text() + "\n# changed\n")
    run_to_the_end(folder, stage)
    output = (folder / "output.txt").read_text()
    assert len(re.findall(r"checkpoint refused: .*seed0.pt is of other settings, data or code; starting", output)) == 1
    assert "going on from" not in output and not stage.checkpoint(folder).exists()


# Two processes, one run


def wait_until(true: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, (folder / "output.txt").read_text()
        time.sleep(0.05)


def unlock(folder: Path) -> None:
    """What Snakemake asks for after it was killed."""
    assert run_snakemake(folder, "--unlock", "--configfile", "config/kills.yaml").returncode == 0


def test_ctrl_c_ends_the_training_in_order(prepared, tmp_path):
    """A terminal sends SIGINT to Snakemake and to all that it has started."""
    stage = STAGES["pretrain"]
    folder = shutil.copytree(prepared, tmp_path / "checkout", symlinks=True)
    snakemake = start(folder, stage)
    process = training_process(snakemake, stage)
    wait_until(stage.checkpoint(folder).exists, folder)
    os.killpg(snakemake.pid, signal.SIGINT)
    assert snakemake.wait(DEADLINE) != 0 and not process.is_running()
    output = (folder / "output.txt").read_text()
    assert "interrupted: SIGINT at epoch" in output and "the same command goes on from there" in output
    assert "Traceback" not in output and "KeyboardInterrupt" not in output
    assert saved_step(stage.checkpoint(folder)) > 0
    run_to_the_end(folder, stage)
    assert "going on from" in (folder / "output.txt").read_text()


def test_a_training_that_outlives_its_snakemake_is_waited_for_and_not_repeated(prepared, tmp_path):
    """As a SLURM job does whose login node goes down."""
    stage = STAGES["finetune"]
    folder = shutil.copytree(prepared, tmp_path / "checkout", symlinks=True)
    first = start(folder, stage)
    orphan = training_process(first, stage)
    wait_until(stage.checkpoint(folder).exists, folder)
    with suspended(orphan):
        first.send_signal(signal.SIGKILL)
        first.wait()
        unlock(folder)
        second = start(folder, stage)
        wait_until(lambda: f"waiting: process {orphan.pid} on" in (folder / "output.txt").read_text(), folder)
    assert second.wait(DEADLINE) == 0
    output = (folder / "output.txt").read_text()
    assert "another process has finished this run meanwhile; its results stay" in output
    assert output.count("round 80/80") == 1 and not stage.checkpoint(folder).exists()
    assert all(path.stat().st_size for path in stage.outputs(folder))


def test_a_run_that_ended_unseen_is_not_repeated(prepared, tmp_path):
    """Snakemake removes a job's outputs as the job begins, also those that a process wrote which it knew nothing of."""
    stage = STAGES["pretrain"]
    folder = shutil.copytree(prepared, tmp_path / "checkout", symlinks=True)
    first = start(folder, stage)
    orphan = training_process(first, stage)
    wait_until(stage.checkpoint(folder).exists, folder)
    first.send_signal(signal.SIGKILL)
    first.wait()
    orphan.wait(DEADLINE)
    written = whole_bytes(folder, stage)
    (folder / "output.txt").write_text("")
    unlock(folder)
    run_to_the_end(folder, stage)
    output = (folder / "output.txt").read_text()
    assert "going on from" in output and "epoch 40/40" not in output  # nothing was trained
    assert whole_bytes(folder, stage) == written and not stage.checkpoint(folder).exists()


def test_two_checkouts_that_share_their_results_train_once(prepared, tmp_path):
    stage = STAGES["finetune"]
    here = shutil.copytree(prepared, tmp_path / "here", symlinks=True)
    there = shutil.copytree(prepared, tmp_path / "there", symlinks=True)
    shutil.rmtree(there / "results")
    (there / "results").symlink_to(here / "results")

    def said() -> str:
        return "".join((folder / "output.txt").read_text() for folder in (here, there))

    both = [start(folder, stage) for folder in (here, there)]
    checkpoint = stage.checkpoint(here)
    wait_until(checkpoint.exists, here)
    with suspended(psutil.Process(read_record(checkpoint.with_suffix(".json")).pid)):  # of whichever was the first
        wait_until(lambda: "waiting: process" in said(), here)
    assert [snakemake.wait(DEADLINE) for snakemake in both] == [0, 0]
    output = said()
    assert output.count("round 80/80") == 1 and output.count("its results stay") == 1


def without_scenes(prepared: Path, folder: Path) -> Path:
    """A checkout whose raw files are there and not yet read."""
    shutil.copytree(prepared, folder, symlinks=True)
    for path in (folder / "results/test/data").glob("*[!t]"):  # all but the raw files, which end in .mat
        path.unlink()
    return folder


def test_a_job_without_a_checkpoint_that_outlives_its_snakemake_is_waited_for_too(prepared, tmp_path):
    expected = whole_bytes(prepared, INGEST)
    folder = without_scenes(prepared, tmp_path / "checkout")
    first = start(folder, INGEST)
    orphan = training_process(first, INGEST)
    lock = folder / "results/test/data/scenes.h5.lock"
    wait_until(lambda: lock.is_file() and str(orphan.pid) in lock.read_text(), folder)
    with suspended(orphan):
        first.send_signal(signal.SIGKILL)
        first.wait()
        unlock(folder)
        second = start(folder, INGEST)
        wait_until(lambda: f"waiting: process {orphan.pid} on" in (folder / "output.txt").read_text(), folder)
    assert second.wait(DEADLINE) == 0, (folder / "output.txt").read_text()
    output = (folder / "output.txt").read_text()
    assert "another process has made the same meanwhile; its files stay" in output and "Traceback" not in output
    assert whole_bytes(folder, INGEST) == expected
    assert not [*folder.rglob("*.lock"), *folder.rglob("*.tmp")]


def test_two_snakemakes_in_one_folder_make_the_same_files(prepared, tmp_path):
    """By --nolock; from the rendering of the rooms on."""
    expected = whole_bytes(prepared, INGEST)
    folder = without_scenes(prepared, tmp_path / "checkout")
    shutil.rmtree(folder / "results/test/data")
    both = [start(folder, INGEST, "--nolock") for _ in range(2)]
    assert [snakemake.wait(DEADLINE) for snakemake in both] == [0, 0], (folder / "output.txt").read_text()
    assert whole_bytes(folder, INGEST) == expected
    assert not [*folder.rglob("*.lock"), *folder.rglob("*.tmp")]
