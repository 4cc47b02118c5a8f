"""A day on a cluster: the tests' own configuration run by `snakemake --profile slurm-gpu`, and all that happens to it.

No event races with a training: a run that one is meant for is stopped (SIGSTOP) as soon as it is in the middle of its
training, and goes on (SIGCONT) when the event has come to pass. So it is met on a fast machine and on a slow one.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import torch
import yaml

from conftest import copy_checkout
from semcom.runs.record import RunRecord, is_alive, read_record
from slurm.cluster import GPUS, URGENT, Cluster, ask, wait_until

CONFIG = ("--configfile", "tests/long.yaml")
# Long enough to be met between their first checkpoint and their last epoch, also on a fast machine: each lasts ten
# times the half second between two checkpoints and more. `barlow_twins` is met in three of its turns.
LONG = {
    "extends": "config.yaml",
    "methods": {
        "simclr": {"pretrain": {"epochs": 120}},
        "proposed": {"pretrain": {"epochs": 120}},
        "barlow_twins": {"pretrain": {"epochs": 300}},
    },
}
ORPHAN = "pretrain/simclr/seed0"
CANCELLED = "pretrain/proposed/seed0"
TIMED = "pretrain/barlow_twins/seed0"
STARVED = "finetune/supervised/snr10/labels0.5/seed0"
OUT_OF_MEMORY = ("FAILED", "OUT_OF_MEMORY")  # what a job that exceeds its memory is called, depending on who kills it

# What a user of this cluster changes in the profile: a time limit for one run, with a warning half a minute to a minute
# after its beginning and time to spare after that, and too little memory for another's first attempt. And the executor
# is to look often, or the test would wait for it.
TIME_LIMIT = "10"
PROFILE_CHANGES = {
    "runtime: 240": f"runtime: {TIME_LIMIT} if wildcards.method == 'barlow_twins' else 240",
    "--signal=USR1@120": "--signal=USR1@539",
    "mem_mb: 8000 * attempt": "mem_mb: 300 if attempt == 1 and wildcards.method == 'supervised' and "
    "wildcards.label_fraction == '0.5' else 8000",
    "status-checks: 15": "status-checks: 1",
}
ENVIRONMENT = os.environ | {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "SEMCOM_CHECKPOINT_SECONDS": "0.5",
}


@dataclass
class Day:
    """What happened, for tests to look at.

    Attributes:
        folder: the checkout on the cluster; reference: one in which the same has run without a cluster.
        seconds: what the pipeline took from its first start to its end.
        orphans, cancelled, lost, preempted: numbers of the SLURM jobs that each befell.
        second, restarted, log: what the second Snakemake in the folder said, the one after the killed one, and the one
            that came to the end.
        exit_codes: of these three.
        met: the attempts in which runs were met last, by their path.
    """

    folder: Path
    reference: Path
    cluster: Cluster
    seconds: float = 0
    orphans: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    preempted: list[str] = field(default_factory=list)
    second: str = ""
    restarted: str = ""
    log: str = ""
    exit_codes: list[int] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)

    def turns_of(self, run: str) -> list[dict[str, str]]:
        """The turns that a run had on the cluster, in the order of their ends."""
        comment = comment_of(run)
        jobs = {job for job, said in self.cluster.comments().items() if said == comment}
        return [turn for turn in self.cluster.attempts() if turn["JobId"] in jobs]

    def slurm_logs(self, run: str) -> str:
        """What SLURM kept of a run's jobs, all together."""
        rule, wildcards = comment_of(run).split("_wildcards_")
        folder = self.folder / "results/slurm_logs" / rule / wildcards
        return "".join(path.read_text() for path in sorted(folder.glob("*.log")))

    def job_table(self) -> str:
        """Every turn of every job, for a person."""
        comments, environments = self.cluster.comments(), self.cluster.environments()
        heeded = {job: self._signals_heeded(job) for job in comments}
        rows = [("job", "rule and wildcards", "GPU", "memory", "began", "ended", "how it ended")]
        for turn in self.cluster.attempts():
            job, state = turn["JobId"], turn["JobState"]
            memory = dict(part.split("=") for part in turn["Tres"].split(","))["mem"]
            times = [turn[name].partition("T")[2] for name in ("StartTime", "EndTime")]
            gpu = " ".join(sorted(environments.get(job, set()))) or "-"
            how = "REQUEUED" if state == "PENDING" else state
            if state in ("PENDING", "CANCELLED"):
                how += f", {next(heeded[job], 'before it had begun')}"
            elif state == "FAILED" and "exceeded memory limit" in self._log_of(job):
                how += ", memory exceeded"
            rows.append((job, comments[job], gpu, memory, *times, how))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _log_of(self, job: str) -> str:
        paths = (self.folder / "results/slurm_logs").rglob(f"{job}.log")
        return "".join(path.read_text() for path in paths)

    def _signals_heeded(self, job: str) -> Iterator[str]:
        """The signals that a job's turns have ended with, and where they then were."""
        for found in re.finditer(r"SIG\w+ at \w+ \d+ of \d+", self._log_of(job)):
            yield found[0]


def spend(cluster: Cluster, folder: Path) -> Day:
    """Run the pipeline on the cluster, with an orphan, a scancel, too little memory, a time limit, a preemption and a
    lost node; and beside it, without a cluster and at low priority, for comparison."""
    day = Day(prepare(folder / "cluster"), prepare(folder / "reference"), cluster)
    edit_profile(day.folder, PROFILE_CHANGES)
    reference = start(day.reference, "--cores", "1", nice=19)
    try:
        began = time.monotonic()
        leave_an_orphan(day)
        main = start(day.folder, "--profile", "slurm-gpu")
        try:
            with held(day, {CANCELLED: 0.3, TIMED: 0.2}) as runs:
                cancel(day, runs[CANCELLED])
                exceed_the_memory(day)
                exceed_the_time(runs[TIMED])
            with held(day, {TIMED: 0.4}) as runs:
                preempt(day, runs[TIMED])
            with held(day, {TIMED: 0.6}) as runs:
                lose_the_node(day, runs[TIMED])
            wait_until(lambda: main.poll() is not None, "the pipeline's end", 900)
        finally:
            interrupt(main)
            day.log = (day.folder / "snakemake.log").read_text()
            print(day.log)  # which pytest shows where something went wrong
        day.seconds = time.monotonic() - began
        day.exit_codes.append(main.returncode)
        wait_until(lambda: reference.poll() is not None, "the end of the run without a cluster", 900)
        assert reference.returncode == 0, (day.reference / "snakemake.log").read_text()
    finally:
        interrupt(reference)
    return day


def leave_an_orphan(day: Day) -> None:
    """Start one run and a second Snakemake in the same folder; kill the first, whose job lives on, and start it again.

    The job stands still from before its Snakemake is killed until the next one's job waits for it.
    """
    command = (day.folder, "--profile", "slurm-gpu")
    target = f"results/test/{ORPHAN}/steps.csv"
    first = start(*command, target=target)
    try:
        with held(day, {ORPHAN: 0.3}) as runs:
            day.orphans.append(runs[ORPHAN].slurm_job)
            second = snakemake(*command, "all", *CONFIG)
            day.second = second.stdout
            day.exit_codes.append(second.returncode)
            first.kill()
            first.wait()
            assert snakemake(*command, "--unlock", *CONFIG).returncode == 0
            first = start(*command, target=target)
            wait_until(lambda: "waiting: process" in day.slurm_logs(ORPHAN), "a second job to wait for the first", 180)
        wait_until(lambda: first.poll() is not None, "the end of the run that was orphaned", 300)
        day.exit_codes.append(first.returncode)
    finally:
        interrupt(first)
        day.restarted = (day.folder / "snakemake.log").read_text()
        print(day.restarted)


def cancel(day: Day, run: RunRecord) -> None:
    """scancel a job in the middle of its training."""
    day.cancelled.append(run.slurm_job)
    ask("scancel", run.slurm_job)
    wait_until(lambda: has_got(signal.SIGTERM, run), "scancel's signal")
    go_on(run)
    wait_until(lambda: run.slurm_job in {turn["JobId"] for turn in day.cluster.attempts()}, "the cancelled job's end")


def exceed_the_memory(day: Day) -> None:
    """Wait until the run with too little memory has been killed for it, so that it dies of nothing else."""

    def has_been_killed() -> bool:
        return any(turn["JobState"] in OUT_OF_MEMORY for turn in day.turns_of(STARVED))

    wait_until(has_been_killed, "a lack of memory", 300)


def exceed_the_time(run: RunRecord) -> None:
    """Wait until SLURM warns of the end of a run's time."""
    wait_until(lambda: has_got(signal.SIGUSR1, run), "the warning before a time limit", 150)


def preempt(day: Day, run: RunRecord) -> None:
    """Let a more urgent job have all GPUs for a moment."""
    day.preempted.append(run.slurm_job)
    urgent = subprocess.Popen(["srun", "-p", URGENT, f"--gpus={GPUS}", "-t", "1", "--comment=more urgent", "true"])
    try:
        wait_until(lambda: has_got(signal.SIGTERM, run), "the preemption's signal")
        go_on(run)
        assert urgent.wait(timeout=120) == 0
    finally:
        urgent.kill()


def lose_the_node(day: Day, run: RunRecord) -> None:
    """Declare the node lost in the middle of a training, and take it back."""
    day.lost.append(run.slurm_job)
    day.cluster.lose_node()
    day.cluster.find_node()


# Runs that stand still


@contextlib.contextmanager
def held(day: Day, shares: dict[str, float]) -> Iterator[dict[str, RunRecord]]:
    """Stop each of these runs when it has a share of its epochs behind it, in an attempt in which it was not yet met.

    At the end they go on, those that are still there.

    Yields:
        Their records, by their paths.
    """
    found: dict[str, RunRecord] = {}

    def all_are() -> bool:
        for run, share in shares.items():
            if run not in found and (record := in_the_middle(day, run, share)) and stopped(record):
                found[run] = record
        return len(found) == len(shares)

    try:
        wait_until(all_are, f"{', '.join(shares)} to be in the middle of their training", 300)
        for run, record in found.items():
            path = record_path(day, run)
            now = read_record(path)
            assert now and now.done < now.total and is_alive(path), f"{run} was over before it stood still: too short"
            day.met[run] = now.attempt
        yield found
    finally:
        for record in found.values():
            go_on(record)


def go_on(run: RunRecord) -> None:
    """Let a run that was stopped go on, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGCONT)


def stopped(run: RunRecord) -> bool:
    """Stop a run; whether it was still there to be stopped, and stands still now."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGSTOP)
    wait_until(lambda: stands_still(run) or has_ended(run), f"process {run.pid} to stand still or to end")
    return stands_still(run)


def has_ended(run: RunRecord) -> bool:
    """Whether a run's process is gone, or nothing of it is left but its exit status."""
    return process_status(run).get("State", "X").strip()[0] in "ZX"


def stands_still(run: RunRecord) -> bool:
    """Whether a run has been stopped, and is still there."""
    return process_status(run).get("State", "").strip().startswith("T")


def has_got(number: signal.Signals, run: RunRecord) -> bool:
    """Whether a signal waits for a stopped run to go on, or its sender has already let the run go on."""
    pending = int(process_status(run).get("ShdPnd", "0"), 16)
    return bool(pending >> (number - 1) & 1) or not stands_still(run)


def process_status(run: RunRecord) -> dict[str, str]:
    """What the kernel says of a run's process; nothing of one that is gone."""
    try:
        lines = Path(f"/proc/{run.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":", 1) for line in lines)


def in_the_middle(day: Day, run: str, share: float) -> RunRecord | None:
    """The record of a run that trains and has a share of its epochs in a checkpoint, one that a new attempt saved."""
    path = record_path(day, run)
    record, checkpoint = read_record(path), path.with_suffix(".pt")
    if not record or not record.total or record.done == record.total or record.attempt <= day.met.get(run, 0):
        return None
    with contextlib.suppress(FileNotFoundError):
        is_new = checkpoint.stat().st_mtime >= datetime.fromisoformat(record.started_utc).timestamp()
        if is_new and saved_epoch(checkpoint) >= share * record.total and is_alive(path):
            return record
    return None


def saved_epoch(checkpoint: Path) -> float:
    """The epoch that a checkpoint of stage I is of, past its two lines of header."""
    content = checkpoint.read_bytes().split(b"\n", 2)[2]
    return torch.load(io.BytesIO(content), weights_only=True)["state"]["state"]["rows"][-1]["epoch"]


def record_path(day: Day, run: str) -> Path:
    """Where a run's record lies."""
    return day.folder / f"results/test/checkpoints/{run}.json"


def prepare(folder: Path) -> Path:
    """A fresh checkout with the longer runs."""
    copy_checkout(folder)
    (folder / "tests/long.yaml").write_text(yaml.safe_dump(LONG))
    return folder


def edit_profile(folder: Path, changes: dict[str, str], name: str = "slurm-gpu") -> None:
    """Change lines of a checkout's profile."""
    path = folder / f"{name}/profile.yaml"
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def start(folder: Path, *options: str, target: str = "all", nice: int = 0) -> subprocess.Popen:
    """`snakemake` in the background; what it says goes to snakemake.log."""
    with (folder / "snakemake.log").open("w") as log:
        return subprocess.Popen(
            ["nice", f"-n{nice}", shutil.which("snakemake", path=ENVIRONMENT["PATH"]), *options, target, *CONFIG],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
        )


def snakemake(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`snakemake` to its end; output and errors together in `stdout`."""
    return subprocess.run(
        [shutil.which("snakemake", path=ENVIRONMENT["PATH"]), *arguments],
        check=False,
        cwd=folder,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def interrupt(process: subprocess.Popen) -> None:
    """Ctrl-C, upon which Snakemake cancels its jobs, and ends when it would next have looked at them."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def comment_of(run: str) -> str:
    """How the executor describes a run of this path: its rule and wildcards."""
    rule, *parts = run.split("/")
    values = [part.removeprefix("snr").removeprefix("labels").removeprefix("seed") for part in parts]
    return f"rule_{rule}_wildcards_{'_'.join(values)}"
