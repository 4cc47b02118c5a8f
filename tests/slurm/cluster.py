"""A real SLURM cluster of one node for the tests: controller, node, two stand-in GPUs.

    python tests/slurm/cluster.py up FOLDER      start it; then sbatch, squeue and snakemake find it
    python tests/slurm/cluster.py down FOLDER    stop it

It takes root and the Debian packages of `PACKAGES`. Keys, sockets, ports and logs are its own and lie in FOLDER, so that
it meets no other SLURM; outside there is one link, `CONF`, by which the clients inside jobs find it. The GPUs are links
to /dev/null: SLURM allocates them and sets CUDA_VISIBLE_DEVICES as for real ones.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "munged", "mungekey")
DAEMONS = ("slurmd", "slurmctld", "munged")  # in the order in which they are stopped
NAME = "semcom"
CONF = Path("/etc/slurm/slurm.conf")
GPUS = 2
MEMORY_MB = 64000  # advertised, as are the CPUs; the machine may have fewer
CLOSED_ACCOUNT = "closed"
URGENT = "urgent"  # the partition whose jobs preempt those of the others
GRACE_S = 20

# MinJobAge: the executor asks squeue, and so do the tests at the end; both must find jobs that ended a while ago.
# cred_expire: a requeued job waits until its old credential has expired, two minutes by default.
# OverMemoryKill, Frequency: memory is enforced by looking at it each second, which needs no cgroups.
SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/task_prolog.sh
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/ended
JobSubmitPlugins=lua
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
EnforcePartLimits=ALL
MinJobAge=7200
KillWait=10
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=1-00:00:00 PriorityTier=1 GraceTime={grace_s} State=UP
PartitionName=cpu Nodes={host} MaxTime=1-00:00:00 PriorityTier=1 GraceTime={grace_s} State=UP
PartitionName={urgent} Nodes={host} MaxTime=1-00:00:00 PriorityTier=2 State=UP
"""
GRES_CONF = """\
AutoDetect=off
NodeName={host} Name=gpu File={folder}/gpu[0-{last_gpu}]
"""
# Notes what each task finds in its environment.
TASK_PROLOG = """\
#!/bin/sh
echo "$SLURM_JOB_ID|$CUDA_VISIBLE_DEVICES" >> {folder}/environments
"""
# Accounts proper need a database; a cluster's own rules about them do not.
JOB_SUBMIT = """\
function slurm_job_submit(job, partitions, user)
   if job.account == "{closed_account}" then
      return slurm.ESLURM_INVALID_ACCOUNT
   end
   return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, user)
   return slurm.SUCCESS
end

return slurm.SUCCESS
"""
MUNGE_FILES = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}


class Cluster:
    """One cluster, and the folder that it lives in."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.host = socket.gethostname().split(".")[0]

    def up(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        self._write_configuration()
        (self.folder / "munge.key").unlink(missing_ok=True)
        subprocess.run(["mungekey", "--create", f"--keyfile={self.folder}/munge.key"], check=True)
        files = [f"--{option}={self.folder}/munge.{suffix}" for option, suffix in MUNGE_FILES.items()]
        self._start("munged", "--foreground", "--force", *files)
        wait_until(lambda: (self.folder / "munge.socket").exists(), "munged's socket")
        self._start("slurmctld", "-D", "-c")
        wait_until(lambda: "UP" in ask("scontrol", "ping"), f"the controller; see {self.folder}/slurmctld.out")
        self._start_node()
        wait_until(self.takes_jobs, f"the node; see {self.folder}/slurmd.out")

    def takes_jobs(self) -> bool:
        """Whether the node is up."""
        return ask("sinfo", "-h", "-p", "gpu", "-o", "%t").strip() in ("idle", "mix", "alloc")

    def lose_node(self) -> None:
        """Let the node fail as by a power cut: all its processes end at once, and the controller gives it up."""
        self._stop("slurmd", signal.SIGKILL)
        kill_jobs()
        ask("scontrol", "update", f"nodename={self.host}", "state=down", "reason=lost")

    def find_node(self) -> None:
        """Start the node again."""
        self._start_node()
        ask("scontrol", "update", f"nodename={self.host}", "state=resume")
        wait_until(self.takes_jobs, "the node's return")

    def hide(self, folder: Path) -> Path:
        """Let jobs write elsewhere what they write in this folder, so that it does not show outside the node.

        Returns:
            Where it lies.

        Raises:
            PermissionError: this machine allows no mounts.
        """
        if not may_mount():
            raise PermissionError("mounts are not allowed here, not even to root")
        elsewhere = self.folder / "hidden"
        elsewhere.mkdir()
        node = (self.folder / "slurmd.process").read_text()
        command = ["nsenter", f"--target={node}", "--mount", "mount", "--bind", str(elsewhere), str(folder)]
        subprocess.run(command, check=True)
        return elsewhere

    def down(self) -> None:
        """End all jobs, then the daemons."""
        ours = CONF.is_symlink() and CONF.readlink().parent == self.folder  # else the jobs are another cluster's
        if ours:
            ask("scancel", "--user=root")
            ask("scancel", "--user=root", "--signal=KILL", "--full")
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not ask("squeue", "-h", "--states=running,completing"), "the jobs' end", 20)
            kill_jobs()
        for daemon in DAEMONS:
            self._stop(daemon, signal.SIGTERM)
        if ours:
            CONF.unlink()

    def attempts(self) -> list[dict[str, str]]:
        """Each turn that a job had, in the order of their ends, under the names that SLURM's log of ended jobs gives."""
        lines = (self.folder / "ended").read_text().splitlines()
        return [dict(field.split("=", 1) for field in line.split() if "=" in field) for line in lines]

    def environments(self) -> dict[str, set[str]]:
        """CUDA_VISIBLE_DEVICES in the tasks of each job, by the job's number; empty where it was not set."""
        found: dict[str, set[str]] = {}
        for line in (self.folder / "environments").read_text().splitlines():
            job, gpus = line.split("|")
            found.setdefault(job, set()).add(gpus)
        return found

    def comments(self) -> dict[str, str]:
        """What the executor wrote of each job: its rule and wildcards."""
        return dict(line.split("|", 1) for line in ask("squeue", "-h", "--states=all", "-o", "%A|%k").splitlines())

    def _write_configuration(self) -> None:
        for name in ("controller", "node"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for gpu in range(GPUS):
            link = self.folder / f"gpu{gpu}"
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        controller_port, node_port = free_ports(2)
        values = {
            "name": NAME,
            "folder": self.folder,
            "host": self.host,
            "controller_port": controller_port,
            "node_port": node_port,
            "memory_mb": MEMORY_MB,
            "gpus": GPUS,
            "last_gpu": GPUS - 1,
            "grace_s": GRACE_S,
            "urgent": URGENT,
            "closed_account": CLOSED_ACCOUNT,
        }
        for name, text in (
            ("slurm.conf", SLURM_CONF),
            ("gres.conf", GRES_CONF),
            ("task_prolog.sh", TASK_PROLOG),
            ("job_submit.lua", JOB_SUBMIT),
        ):
            (self.folder / name).write_text(text.format(**values))
        (self.folder / "task_prolog.sh").chmod(0o755)
        (self.folder / "environments").touch()
        CONF.unlink(missing_ok=True)
        CONF.symlink_to(self.folder / "slurm.conf")

    def _start_node(self) -> None:
        """Start the node's daemon; where that is allowed, with a view of the file system of its own."""
        self._start(*(("unshare", "--mount", "slurmd", "-D") if may_mount() else ("slurmd", "-D")), name="slurmd")

    def _start(self, *command: str, name: str | None = None) -> None:
        """Start a daemon in a session of its own, and note its process; it looks for its files beside our slurm.conf."""
        name = name or command[0]
        environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        with (self.folder / f"{name}.out").open("a") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        (self.folder / f"{name}.process").write_text(str(process.pid))

    def _stop(self, program: str, how: signal.Signals) -> None:
        if process := running(self.folder, program):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, how)
                wait_until(lambda: ended(process), program, 20)
        (self.folder / f"{program}.process").unlink(missing_ok=True)


def running(folder: Path, program: str) -> int | None:
    """The process of a cluster's daemon, or None: never started, or ended, as by a power cut, without being stopped."""
    try:
        process = int((folder / f"{program}.process").read_text())
        command = Path(f"/proc/{process}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    # Numbers are used again: the process must be the daemon, and not merely there.
    return process if program in command else None


def ask(*command: str) -> str:
    """What a SLURM client prints, errors included."""
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def ended(process: int) -> bool:
    """Whether a process is gone; a child of ours is reaped."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def kill_jobs() -> None:
    """End all processes of the cluster's jobs, and those by which SLURM looks after them.

    SLURM itself finds a job's processes by their parents here, and misses one whose parent has ended.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            in_a_job = f"SLURM_CLUSTER_NAME={NAME}" in (folder / "environ").read_text(errors="replace").split("\0")
            if in_a_job or (folder / "cmdline").read_text().startswith("slurmstepd: ["):
                os.kill(int(folder.name), signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Ask a few times a second until the condition holds.

    Raises:
        TimeoutError: it did not hold in time; the message names what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.2)


def may_mount() -> bool:
    """Whether a process here may have a view of the file system of its own; root in a container may not."""
    return not subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode


def what_is_missing() -> str | None:
    """Why no cluster can be brought up here, or None."""
    if os.geteuid() != 0:
        return "a SLURM cluster takes root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install {' '.join(PACKAGES)}"
    if not CONF.exists():  # nor where it is a link to the folder of a cluster that is gone
        return None
    folder = CONF.resolve().parent
    if not (folder / "slurmctld.process").is_file():
        return f"{CONF}: this machine belongs to another SLURM cluster, which is left alone"
    if any(running(folder, daemon) for daemon in DAEMONS):
        return f"a cluster of these tests is still up: python tests/slurm/cluster.py down {folder}"
    return None  # one whose daemons were killed, and could not take its link along


if __name__ == "__main__":
    verb, folder = sys.argv[1:]
    cluster = Cluster(Path(folder))
    if verb == "down":
        cluster.down()
    elif reason := what_is_missing():
        sys.exit(reason)
    else:
        cluster.up()
        print(ask("sinfo"), end="")
