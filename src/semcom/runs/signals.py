"""Signals that ask a run to stop: noted when they come, heeded between two steps; and the way back into SLURM's queue."""

import os
import signal
import subprocess
from types import FrameType, TracebackType
from typing import Self

# scancel and preemption; the warning that a batch system sends before a time limit; Ctrl-C; a terminal that is closed.
ASKED_TO_STOP = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
SUBMITTED_JOB = "SEMCOM_SUBMITTED_JOB"
_OFTEN_IGNORED = (signal.SIGINT, signal.SIGHUP)


class Signals:
    """Notes signals instead of dying of them, from when it is entered; once it is left, the process ignores them.

    A signal is not heeded at once, since it may come in the middle of a step or of an import. Afterwards, with all
    results written, one must not turn success into failure while the interpreter shuts down. SIGINT and SIGHUP are left
    alone where the process was started to ignore them, in the background of a script or by nohup.

    Attributes:
        caught: name of the first that came, such as "SIGTERM"; None as long as none has.
    """

    def __init__(self):
        self.caught: str | None = None

    def __enter__(self) -> Self:
        for number in ASKED_TO_STOP:
            if number not in _OFTEN_IGNORED or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in ASKED_TO_STOP:
            signal.signal(number, signal.SIG_IGN)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = self.caught or signal.Signals(number).name


def slurm_job() -> str | None:
    """The number of the SLURM job that this process is part of, if it is of one."""
    return os.environ.get("SLURM_JOB_ID")


def submitted_job() -> str | None:
    """The number of the SLURM job that the pipeline has submitted for this process.

    None also within an allocation that the user has made and started Snakemake in: that is the user's, to cancel and to
    requeue. Snakemake's process that begins a submitted job names it in the environment, see `workflow/rules/slurm.smk`.
    """
    job = slurm_job()
    return job if job is not None and os.environ.get(SUBMITTED_JOB) == job else None


def may_requeue(job: str, signal_name: str) -> bool:
    """Whether a running SLURM job that got this signal should go back into the queue.

    SIGUSR1 announces the end of its time. SIGTERM may announce a preemption, but is also how its user cancels a job,
    which SLURM then no longer calls running.
    """
    if signal_name == "SIGUSR1":
        return True
    return signal_name == "SIGTERM" and _asked("squeue", "--noheader", f"--jobs={job}", "--format=%T") == (0, "RUNNING")


def requeue(job: str) -> str | None:
    """Ask SLURM to put a running job back into its queue, where it begins again under the same number.

    Returns:
        None, or why SLURM would not: on some clusters jobs may not be requeued.
    """
    status, answer = _asked("scontrol", "requeue", job)
    return answer if status else None


def _asked(*command: str) -> tuple[int, str]:
    """Exit status of a SLURM client, and what it says, in one line."""
    try:
        asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, " ".join(str(error).split())
    return asked.returncode, " ".join((asked.stdout + asked.stderr).split())
