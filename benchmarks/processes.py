"""Whole processes by turns: a job's start, reading the raw file, and the demo."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py

from benchmarks.subject import Subject
from benchmarks.timing import Target, row
from semcom.common.errors import InputError
from semcom.config import paths
from semcom.config.experiment import Config

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = ("Snakefile", "workflow", "profiles", "config", "envs", "src")

FIRST_STEP = """
import sys
from pathlib import Path
from semcom.runs.attempt import Attempt
from semcom.runs.devices import choose
from semcom.training.process import set_up
from semcom.data.scenes import load_scenes
from semcom.models.encoders import save_encoders
from semcom.config.jobs import PretrainJob
from semcom.training.pretrain import pretrain
from semcom.runs.provenance import Provenance
from semcom.analysis.records import write_csv
from semcom.planning.calibration import EnoughSteps

settings = PretrainJob.model_validate_json(sys.argv[1])
set_up(settings.compute)
device = choose(settings.compute)
Provenance(settings.model_dump(), 0, device)
scenes = load_scenes(*map(Path, sys.argv[2:4]), device=device, modalities=settings.modalities)

class AtTheFirstStep:
    def start(self, total, *_):
        sys.exit(0)

pretrain(settings, scenes, 0, AtTheFirstStep())
"""
READ_AND_RESIZE = """
import sys
import h5py, numpy as np
from PIL import Image
size = int(sys.argv[2])
with h5py.File(sys.argv[1]) as file:
    for images, depths in zip(file["images"], file["depths"]):
        for plane in (*images, depths):
            np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
"""
READ_AND_RESIZE_OPENCV = """
import sys
import cv2, h5py
cv2.setNumThreads(1)
size = int(sys.argv[2])
with h5py.File(sys.argv[1]) as file:
    for images, depths in zip(file["images"], file["depths"]):
        for plane in (*images, depths):
            cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA)
"""
INGEST = """
import sys, tempfile
from pathlib import Path
from semcom.data.ingest import ingest
with tempfile.TemporaryDirectory(dir=sys.argv[5]) as folder:
    ingest(sys.argv[3], {"labeled_mat": sys.argv[1], "splits_mat": sys.argv[4]}, Path(folder) / "scenes.h5",
           size=int(sys.argv[2]), counts_csv=Path(folder) / "counts.csv")
"""
WATCH = """
import json, resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
seconds = time.monotonic() - began
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3]))
"""


def start(subject: Subject, name: str, repeats: int = 9) -> list[dict]:
    """From the beginning of a job's Python to its first step, less what importing torch takes."""
    job = subject.pretrain_job.model_dump_json()
    files = [str(file) for file in subject.files]
    cases = {
        "first step": ["-c", FIRST_STEP, job, *files],
        "torch": ["-c", "import torch"],
        "optimizer": ["-c", "import torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)"],
    }
    took: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(repeats):
        for case, arguments in cases.items():
            took[case].append(_spent(arguments)[0])
    more = {
        case: [own - torch for own, torch in zip(took[case], took["torch"], strict=True)]
        for case in ("first step", "optimizer")
    }
    where = subject.where(name)
    return [
        row(name, "importing torch", took["torch"], "s", **where),
        row(name, "a job's start beyond it, to the first step", more["first step"], "s", target=Target(1.5), **where),
        row(name, "of that, what making an optimizer of torch loads", more["optimizer"], "s", **where),
    ]


def ingest(subject: Subject, name: str, repeats: int = 3) -> list[dict]:
    """Ingest against reading every scene with h5py and resizing it with the fastest library that is installed."""
    data = subject.config.data
    mat, splits = (_raw_file(subject.config, key) for key in ("labeled_mat", "splits_mat"))
    width, height = _pixels(mat)
    as_published = (width, height) == (640, 480)  # which is what the targets are for
    size = str(data.image_size)
    folder = subject.files[0].parent
    cases = {"ingest": ["-c", INGEST, mat, size, data.reader, splits, str(folder)]}
    cases["Pillow"] = ["-c", READ_AND_RESIZE, mat, size]
    if _has("cv2"):
        cases["OpenCV"] = ["-c", READ_AND_RESIZE_OPENCV, mat, size]
    took: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(repeats):
        for case, arguments in cases.items():
            took[case].append(_spent(arguments))
    where = subject.where(name) | {"size": f"{width} x {height} to {size} x {size}"}
    peers = {case: [seconds for seconds, _ in found] for case, found in took.items() if case != "ingest"}
    rows = [
        row(
            name, "ingest of the raw file", [seconds for seconds, _ in took["ingest"]], "s",
            against=f"h5py and {peer} in one process", reference=seconds, target=Target(1.2) if as_published else None, **where,
        )
        for peer, seconds in peers.items()
    ]  # fmt: skip
    memory = [megabytes for _, megabytes in took["ingest"]]
    return [
        *rows,
        row(name, "ingest, peak memory", memory, "MB", target=Target(600) if as_published else None, **where),
    ]


def demo(subject: Subject, name: str) -> list[dict]:
    """The demo in a fresh copy of the checkout, on two cores, after the installation."""
    with tempfile.TemporaryDirectory() as folder:
        for part in CHECKOUT:
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, Path(folder) / part)
        command = ["-m", "snakemake", "all", "--cores", "2", "--configfile=config/demo.yaml"]
        minutes = _spent(command, cwd=folder)[0] / 60
    where = subject.where(name) | {"size": "config/demo.yaml", "threads": 2}
    target = Target(5 if subject.compute.precision == "bfloat16" else 8)
    return [row(name, "make demo, after installation", [minutes], "min", target=target, **where)]


def _spent(arguments: list[str], cwd: str | Path | None = None) -> tuple[float, float]:
    """Seconds and peak memory in MB of a Python process, which a small one of its own starts: memory is that of the
    largest child."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, sys.executable, *arguments], cwd=cwd, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise InputError(f"{' '.join(arguments[:2])[:60]}: ended with status {done.returncode}: {done.stderr[-500:]}")
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _raw_file(config: Config, key: str) -> str:
    """The raw file that was ingested, as the workflow finds it."""
    if config.data.files:
        return config.data.files[key]
    if config.data.rooms:
        return f"{paths.results(config.experiment)}/data/rooms_{key.removesuffix('_mat')}.mat"
    return paths.download(key, config.data.download[key].sha256)


def _pixels(mat: str) -> tuple[int, int]:
    with h5py.File(mat) as file:
        return file["depths"].shape[1:]
