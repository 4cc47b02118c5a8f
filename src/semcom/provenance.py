"""What a result was made from: configuration, versions, commit, device, seed, time and memory, as JSON beside it."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "numpy", "h5py", "pandas", "snakemake")


class Provenance:
    """Collects the record of one run; create it when the run starts."""

    def __init__(self, job: dict, seed: int, device: torch.device):
        self.job, self.seed, self.device = job, seed, device
        self.began = time.time()
        self.commit = commit()  # now: the tree may change while the run goes on

    def write(self, path: Path, *, earlier_s: float = 0, **extra: object) -> None:
        """Write the record.

        Args:
            earlier_s: seconds that attempts before this one took, where the run went on from a checkpoint.
            extra: what only the run knows, such as its status.
        """
        record = {
            **extra,
            "seed": self.seed,
            "settings": self.job,
            "commit": self.commit,
            "versions": versions(),
            "device": device_name(self.device),
            "cpu_threads": torch.get_num_threads(),
            "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "wall_time_s": round(earlier_s + time.time() - self.began, 3),
            "peak_memory_mb": peak_memory_mb(),
            "peak_device_memory_mb": peak_device_memory_mb(self.device),
        }
        write_atomically(path, json.dumps(record, indent=2) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """The commit of the source tree, with `-dirty` where a file differs or is new, or `unknown` outside a checkout."""
    folder = str(Path(__file__).parent)
    try:
        head, changes = (
            subprocess.run(["git", "-C", folder, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", folder])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("-dirty" if changes else "")


def device_name(device: torch.device) -> str:
    """Kind and model of a device, for a person."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {platform.processor() or platform.machine()}"


def peak_memory_mb() -> float:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)  # macOS counts bytes, Linux kilobytes


def peak_device_memory_mb(device: torch.device) -> float | None:
    """Largest allocation on a CUDA device so far, None elsewhere."""
    return round(torch.cuda.max_memory_allocated(device) / 1e6, 1) if device.type == "cuda" else None
