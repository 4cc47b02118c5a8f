"""The device that a job trains on; with several GPUs and no scheduler to hand them out, one that no other job has."""

import fcntl
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import torch

from semcom.common.errors import InputError
from semcom.common.reporting import logger
from semcom.config.sections import ComputeSettings

_ALLOCATION = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
_NO_GPU = ("", "-1", "NoDevFiles")  # what CUDA_VISIBLE_DEVICES says where there is none
_POLL_SECONDS = 1
_claimed: list[IO] = []  # open until the process ends, which is when the kernel gives their locks back


def choose(compute: ComputeSettings) -> torch.device:
    """The device that the configuration asks for; `auto` takes a GPU where there is one, else the CPU.

    Where several GPUs can be seen, `auto` takes one that no other job of this user has taken, and keeps it until the
    process ends.

    Raises:
        InputError: the device is not there; or `auto` finds no GPU where one was allocated, which would leave it idle.
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
    device = torch.device("cuda", claim(visible_gpus(torch.cuda.device_count(), os.environ), claims_folder()))
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
    """Where this user's jobs on this machine claim GPUs."""
    return Path(tempfile.gettempdir()) / f"semcom-gpus-{os.getuid()}"


def claim(names: Sequence[str], folder: Path) -> int:
    """Take the first of these GPUs that is free, for as long as this process lives; wait while none is.

    Returns:
        Its position in `names`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = False
    while True:
        for index, name in enumerate(names):
            file = (folder / f"{name}.lock").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _claimed.append(file)
            return index
        if not said:
            logger.info(
                "waiting: other jobs have all %d GPUs; --resources gpu=%d starts no more", len(names), len(names)
            )
            said = True
        time.sleep(_POLL_SECONDS)


def _named(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"compute.device: '{name}' cannot be used ({reason}); set it to auto or cpu") from None
    return device
