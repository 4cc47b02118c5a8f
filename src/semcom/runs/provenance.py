"""What a result was made from: configuration, versions, commit, device, seed, time and memory, as JSON beside it."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from semcom.common import processor
from semcom.common.checksums import sha256_of
from semcom.common.files import write_text
from semcom.config.stage import Stage
from semcom.runs.signals import slurm_job

PACKAGES = ("torch", "torchvision", "numpy", "h5py", "pandas", "snakemake")
SOURCE = "src/semcom"
CHECKOUT = Path(__file__).resolve().parents[3]


class Provenance:
    """Collects the record of one run; create it when the run starts."""

    def __init__(self, job: dict, seed: int, device: torch.device):
        self.job, self.seed, self.device = job, seed, device
        self.started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.commit = commit()  # now: the tree may change while the run goes on

    def write(self, path: Path, *, stage: Stage, **told: object) -> None:
        """Write the record, after all other files of the run, whose checksums it holds.

        Args:
            told: what only the run knows, such as its status and what it took.
        """
        files = [path.with_name(name) for name in stage.outputs if name != path.name]
        digests = zip(files, sha256_of(files), strict=True)
        record = {
            "stage": stage,
            **told,
            "files": {file.name: digest for file, digest in digests},
            "seed": self.seed,
            "settings": self.job,
            "commit": self.commit,
            "versions": versions(),
            "device": device_name(self.device),
            "cpu_threads": torch.get_num_threads(),
            **scheduler(),
            "started_utc": self.started,
        }
        write_text(path, json.dumps(record, indent=2) + "\n")


def scheduler() -> dict[str, str | None]:
    """Where a scheduler put this process: SLURM job, node and GPUs; None for what no scheduler has said."""
    job = slurm_job()
    return {
        "slurm_job": job,
        "slurm_node": platform.node() if job else None,
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit(checkout: Path = CHECKOUT) -> str:
    """The commit of the source tree, with `-dirty` where a file of the package differs or is new.

    Args:
        checkout: the folder that has the package in `src/`.

    Returns:
        `unknown` where no commit has the source: outside git, and where a repository of somebody's own lies around an
        unpacked download, or around an environment that the package is installed in.
    """
    source = str(checkout / SOURCE)
    try:
        top, tracked = _git(source, "rev-parse", "--show-toplevel"), _git(source, "ls-files", "--", source)
        if not (tracked and os.path.samefile(top, checkout)):
            return "unknown"
        head, changes = _git(source, "rev-parse", "HEAD"), _git(source, "status", "--porcelain", "--", source)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("-dirty" if changes else "")


def _git(folder: str, *command: str) -> str:
    """What git says of a folder, whatever repository the environment names: GIT_DIR is set inside a git hook, say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = subprocess.run(["git", "-C", folder, *command], env=environment, capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def device_name(device: torch.device) -> str:
    """Kind and model of a device, for a person."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {processor.name() if device.type == 'cpu' else platform.machine()}"
