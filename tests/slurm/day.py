"""A day on a cluster: the tests' own configuration run by `snakemake --profile slurm-gpu`, and all that happens to it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from conftest import copy_checkout
from slurm.cluster import GPUS, URGENT, Cluster, ask, wait_until

from semcom.run_state import RunRecord, is_alive, read_record

CONFIG = ("--configfile", "config/test.yaml", "config/long.yaml")
# Long enough to be met on their way, also by a fast machine; the others take seconds. `barlow_twins` has a minute and a
# half of training on an idle core, more than its time limit leaves it.
LONG = {
    "methods": {
        "simclr": {"pretrain": {"epochs": 500}},
        "proposed": {"pretrain": {"epochs": 300}},
        "barlow_twins": {"pretrain": {"epochs": 1300}},
    }
}
ORPHAN = "pretrain/simclr/seed0"
CANCELLED = "pretrain/proposed/seed0"
TIMED = "pretrain/barlow_twins/seed0"
STARVED = "finetune/supervised/snr10/labels0.5/seed0"

# What a user of this cluster changes in the profile: a time limit shorter than one run, and too little memory for
# another's first attempt. And the executor is to look often, or the test would wait for it.
PROFILE_CHANGES = {
    "runtime: 240": "runtime: 2 if wildcards.method == 'barlow_twins' else 240",
    "--signal=USR1@120": "--signal=USR1@59",
    "mem_mb: 8000 * attempt": "mem_mb: 300 if attempt == 1 and wildcards.method == 'supervised' and "
    "wildcards.label_fraction == '0.5' else 8000",
    "status-checks: 15": "status-checks: 1",
}
ENVIRONMENT = os.environ | {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "SEMCOM_CHECKPOINT_SECONDS": "2",
}


@dataclass
class Day:
    """What happened, for tests to look at.

    Attributes:
        folder: the checkout on the cluster; reference: one in which the same has run without a cluster.
        seconds: what the pipeline took from its first start to its end.
        orphans, cancelled, lost, preempted: numbers of the SLURM jobs that each befell.
        second, log: what the second Snakemake in the folder said, and the one that came to the end.
        exit_codes: of these two.
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
    log: str = ""
    exit_codes: list[int] = field(default_factory=list)

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
    """Run the pipeline on the cluster, with an orphan, a scancel, a preemption, a lost node, a time limit and too little
    memory; and beside it, without a cluster and at low priority, for comparison."""
    day = Day(prepare(folder / "cluster"), prepare(folder / "reference"), cluster)
    edit_profile(day.folder, PROFILE_CHANGES)
    reference = start(day.reference, "--cores", "1", nice=19)
    try:
        began = time.monotonic()
        leave_an_orphan(day)
        main = start(day.folder, "--profile", "slurm-gpu")
        try:
            cancel(day)
            preempt(day)
            lose_the_node(day)
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
    """Start one run, start a second Snakemake in the same folder, and kill the first, whose SLURM job goes on."""
    target = f"results/test/{ORPHAN}/steps.csv"
    first = start(day.folder, "--profile", "slurm-gpu", target=target)
    try:
        day.orphans.append(in_the_middle(day, ORPHAN).slurm_job)
        second = snakemake(day.folder, "--profile", "slurm-gpu", "all", *CONFIG)
        day.second = second.stdout
        day.exit_codes.append(second.returncode)
    finally:
        first.kill()
        first.wait()
    assert snakemake(day.folder, "--profile", "slurm-gpu", "--unlock", *CONFIG).returncode == 0


def cancel(day: Day) -> None:
    """scancel a job in the middle of its training."""
    day.cancelled.append(in_the_middle(day, CANCELLED).slurm_job)
    ask("scancel", *day.cancelled)


def preempt(day: Day) -> None:
    """Let a more urgent job have all GPUs for a moment."""
    day.preempted.append(in_the_middle(day, TIMED).slurm_job)
    urgent = subprocess.Popen(["srun", "-p", URGENT, f"--gpus={GPUS}", "-t", "1", "--comment=more urgent", "true"])
    assert urgent.wait(timeout=120) == 0


def lose_the_node(day: Day) -> None:
    """Declare the node lost in the middle of a training, and take it back."""
    day.lost.append(in_the_middle(day, TIMED).slurm_job)
    day.cluster.lose_node()
    day.cluster.find_node()


def in_the_middle(day: Day, run: str) -> RunRecord:
    """Wait until a run has trained a while and has a while to go; its record."""
    path = day.folder / f"results/test/checkpoints/{run}.json"
    found: list[RunRecord] = []

    def is_there() -> bool:
        record = read_record(path)
        if record and record.total and 0 < record.done < 0.9 * record.total and is_alive(path):
            found.append(record)
        return bool(found)

    wait_until(is_there, f"{run} to be in the middle of its training", 300)
    return found[-1]


def prepare(folder: Path) -> Path:
    """A fresh checkout with the longer runs."""
    copy_checkout(folder)
    (folder / "config/long.yaml").write_text(yaml.safe_dump(LONG))
    return folder


def edit_profile(folder: Path, changes: dict[str, str], name: str = "slurm-gpu") -> None:
    """Change lines of a checkout's profile."""
    path = folder / f"workflow/profiles/{name}/profile.yaml"
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
        timeout=120,
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
