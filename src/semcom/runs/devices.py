"""The device that a job trains on; with several GPUs and no scheduler to hand them out, one that has a place for it."""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import torch

from semcom.common.errors import InputError
from semcom.common.reporting import logger
from semcom.config.sections import ComputeSettings
from semcom.runs.environment import runs_per_gpu

_ALLOCATION = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
_NO_GPU = ("", "-1", "NoDevFiles")  # what CUDA_VISIBLE_DEVICES says where there is none
_POLL_SECONDS = 1
_ELSEWHERE = "set TMPDIR to a folder of your own, the same for all jobs of this machine"
_claimed: list[IO] = []  # open until the process ends, which is when the kernel gives their locks back


def choose(compute: ComputeSettings) -> torch.device:
    """The device that the configuration asks for; `auto` takes a GPU where there is one, else the CPU.

    Where several GPUs can be seen, `auto` takes a place on one of them, `environment.runs_per_gpu` on each, and keeps it
    until the process ends.

    Raises:
        InputError: the device is not there; `auto` finds no GPU where one was allocated, which would leave it idle; or
            there is no safe folder to claim one in.
    """
    if compute.device != "auto":
        return _named(compute.device)
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        if gpu := allocated(os.environ):
            raise InputError(
                f"compute.device: auto finds no GPU that torch can use, though {gpu} says that this job has one; "
                "install a CUDA build of torch, or set compute.device to cpu and take a profile without GPUs"
            )
        return torch.device("cpu")
    if found.type != "cuda" or torch.cuda.device_count() == 1:
        return found
    names = visible_gpus(torch.cuda.device_count(), os.environ)
    device = torch.device("cuda", claim(names, claims_folder(), runs_per_gpu(os.environ)))
    torch.cuda.set_device(device)
    return device


def allocated(environment: Mapping[str, str]) -> str | None:
    """The variable by which a scheduler or a user gave this process a GPU, as NAME=VALUE, if there is one."""
    return next(
        (f"{name}={environment[name]}" for name in _ALLOCATION if environment.get(name, "") not in _NO_GPU), None
    )


def visible_gpus(count: int, environment: Mapping[str, str]) -> list[str]:
    """A name for each GPU that this process sees, the same in every process that sees it: its number, or its UUID."""
    named = environment.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "")
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


def claims_folder() -> Path:
    """Where this user's jobs on this machine claim GPUs: a folder of this user's own in the temporary one, made if needed.

    Others may write into the temporary folder too. A link there, or a folder of theirs, would let them hold back these
    jobs, or direct the lock files elsewhere.

    Raises:
        InputError: what lies there is no folder, not this user's, or open to others; or none can be made.
    """
    folder = Path(tempfile.gettempdir()) / f"semcom-gpus-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be made, to claim GPUs in ({error.strerror}); {_ELSEWHERE}") from None
    found = folder.lstat()  # of a link itself, not of where it leads
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(f"{folder}: is no folder, so no GPU can be claimed in it; move it away, or {_ELSEWHERE}")
    if found.st_uid != os.getuid():
        raise InputError(f"{folder}: belongs to another user, so no GPU is claimed in it; {_ELSEWHERE}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(f"{folder}: others may write to it, so no GPU is claimed in it; chmod 700 {folder}")
    return folder


def claim(names: Sequence[str], folder: Path, runs_per_gpu: int = 1) -> int:
    """Take the first free place on these GPUs, for as long as this process lives; wait while there is none.

    Every GPU's first place is taken before any one's second.

    Args:
        names: of `visible_gpus`.
        folder: of `claims_folder`.
        runs_per_gpu: places on each GPU.

    Returns:
        The GPU's position in `names`.

    Raises:
        InputError: a lock file cannot be opened, or is none.
    """
    said = False
    while True:
        for place in range(runs_per_gpu):
            for index, name in enumerate(names):
                if file := _locked(folder / f"{name.replace('/', '_')}.{place}.lock"):
                    _claimed.append(file)
                    return index
        if not said:
            places = (
                f"all {len(names)} GPUs" if runs_per_gpu == 1 else f"all {runs_per_gpu} places on {len(names)} GPUs"
            )
            most = len(names) * runs_per_gpu
            logger.info("waiting: other jobs have %s; --resources gpu=%d starts no more", places, most)
            said = True
        time.sleep(_POLL_SECONDS)


def _locked(path: Path) -> IO | None:
    """The file with its lock, or None where another process has it."""
    try:
        # Neither through a link nor, should it be a pipe, waiting for who reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened, to claim a GPU ({error.strerror}); {_ELSEWHERE}") from None
    file = open(descriptor, "ab")  # kept open, and with it the lock
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise InputError(f"{path}: is no file, so no GPU can be claimed by it; move it away, or {_ELSEWHERE}")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _named(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"compute.device: '{name}' cannot be used ({reason}); set it to auto or cpu") from None
    return device
