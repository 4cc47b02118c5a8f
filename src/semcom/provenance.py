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

    def write(self, path: Path, **extra: object) -> None:
        """Write the record; `extra` adds what only the run knows, such as its status."""
        record = {
            **extra,
            "seed": self.seed,
            "settings": self.job,
            "commit": commit(),
            "versions": versions(),
            "device": device_name(self.device),
            "cpu_threads": torch.get_num_threads(),
            "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "wall_time_s": round(time.time() - self.began, 3),
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
    """The commit of the source tree, with `-dirty` where it has changes, or `unknown` outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def device_name(device: torch.device) -> str:
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
