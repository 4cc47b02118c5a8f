"""A real SLURM cluster of one node for the tests: controller, node, two stand-in GPUs, and nothing outside one folder.

    python tests/slurm/cluster.py up FOLDER      start it, and print the line that lets a shell use it
    python tests/slurm/cluster.py down FOLDER    stop it

It takes root and the Debian packages of `PACKAGES`. Keys, sockets, ports and configuration are its own, so that it meets
no other SLURM. The GPUs are links to /dev/null: SLURM allocates them and sets CUDA_VISIBLE_DEVICES as for real ones.
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
GPUS = 2
CPUS = 4  # advertised; the machine may have fewer
MEMORY_MB = 8000
CLOSED_ACCOUNT = "closed"

# MinJobAge: the executor asks squeue, which must still know a job that ended a while ago.
# cred_expire: a requeued job waits until its old credential has expired, two minutes by default.
# OverMemoryKill, Frequency: memory is enforced by looking at it each second, which needs no cgroups.
SLURM_CONF = """\
ClusterName=semcom
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
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/ended
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
MinJobAge=300
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
GresTypes=gpu
JobSubmitPlugins=lua
EnforcePartLimits=ALL
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=2:00:00 PriorityTier=1 GraceTime=20 State=UP
PartitionName=cpu Nodes={host} MaxTime=2:00:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes={host} MaxTime=2:00:00 PriorityTier=2 State=UP
"""
GRES_CONF = """\
AutoDetect=off
NodeName={host} Name=gpu File={folder}/gpu[0-{last_gpu}]
"""


class Cluster:
    """One cluster in one folder; `environment` is what a client of it needs."""

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.host = socket.gethostname().split(".")[0]

    def up(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        self._write_configuration()
        (self.folder / "munge.key").unlink(missing_ok=True)
        subprocess.run(["mungekey", "--create", f"--keyfile={self.folder}/munge.key"], check=True)
        self._start(
            "munged",
            "--foreground",
            "--force",
            *(f"--{name}={self.folder}/munge.{suffix}" for name, suffix in MUNGE_FILES.items()),
        )
        wait_until(lambda: (self.folder / "munge.socket").exists(), "munged's socket")
        self._start("slurmctld", "-D", "-c")
        wait_until(lambda: "UP" in self.ask("scontrol", "ping"), "the controller")
        self.start_node()

    def start_node(self) -> None:
        """Start the node's daemon and wait until the node is idle."""
        self._start("slurmd", "-D")
        wait_until(lambda: self.ask("sinfo", "-h", "-p", "gpu", "-o", "%t").strip() in ("idle", "mix"), "the node")

    def stop_node(self) -> None:
        """End the node's daemon, as a crash would."""
        self._stop("slurmd", signal.SIGKILL)

    def down(self) -> None:
        """End all jobs and daemons."""
        self.ask("scancel", "--user=root")
        self.ask("scancel", "--user=root", "--signal=KILL", "--full")
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.ask("squeue", "-h", "--states=running,completing"), "the jobs' end", 20)
        for daemon in ("slurmd", "slurmctld", "munged"):
            self._stop(daemon, signal.SIGTERM)

    def ask(self, *command: str) -> str:
        """What a SLURM command prints, errors included."""
        done = subprocess.run(
            command, env=os.environ | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.stdout

    def _write_configuration(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("controller", "node"):
            (self.folder / name).mkdir(exist_ok=True)
        for gpu in range(GPUS):
            link = self.folder / f"gpu{gpu}"
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        controller_port, node_port = free_ports(2)
        values = {
            "folder": self.folder,
            "host": self.host,
            "controller_port": controller_port,
            "node_port": node_port,
            "cpus": CPUS,
            "memory_mb": MEMORY_MB,
            "gpus": GPUS,
            "last_gpu": GPUS - 1,
            "closed_account": CLOSED_ACCOUNT,
        }
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
        (self.folder / "gres.conf").write_text(GRES_CONF.format(**values))

    def _start(self, program: str, *arguments: str) -> None:
        """Start a daemon of our own, in its own session, and note its process."""
        with (self.folder / f"{program}.out").open("a") as output:
            process = subprocess.Popen(
                [program, *arguments],
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.folder / f"{program}.process").write_text(str(process.pid))

    def _stop(self, program: str, how: signal.Signals) -> None:
        note = self.folder / f"{program}.process"
        if not note.is_file():
            return
        process = int(note.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, how)
            wait_until(lambda: ended(process), program, 20)
        note.unlink()


MUNGE_FILES = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}


def ended(process: int) -> bool:
    """Whether a process is gone; a child of ours is reaped."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Ask a few times a second until the condition holds.

    Raises:
        TimeoutError: it did not hold in time; the message names what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.2)


def what_is_missing() -> str | None:
    """Why no cluster can be brought up here, or None."""
    if os.geteuid() != 0:
        return "a SLURM cluster takes root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install {' '.join(PACKAGES)}"
    running = subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout
    if "UP" in running:
        return "this machine already belongs to a SLURM cluster, which is left alone"
    return None


if __name__ == "__main__":
    verb, folder = sys.argv[1:]
    cluster = Cluster(Path(folder))
    if verb == "down":
        cluster.down()
    elif reason := what_is_missing():
        sys.exit(reason)
    else:
        cluster.up()
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}")
