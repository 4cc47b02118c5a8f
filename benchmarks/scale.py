"""Time and memory for data sets of 1,449, 10,335 (SUN RGB-D's size) and 100,000 scenes, and for many epochs.

Scenes are those of the configuration's own file, over and over, each shifted by its number of pixels, so that no two are
alike. The encoders are narrow: what is looked for is a cost that grows with the data set, not with the networks.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from benchmarks.subject import Subject
from benchmarks.timing import Target, row
from semcom.data.scenes import stored_spec

SIZES = (1449, 10335, 100_000)
WIDTH = 8
LEAST_SCENES = 10_000


class Repeated:
    """A `SceneSource` of any number of scenes, made of a few."""

    def __init__(self, scenes_h5: Path, number: int):
        with h5py.File(scenes_h5) as file:
            self.class_names = tuple(file["class_names"].asstr()[:])
            few = {name: file[name][:64] for name in file.attrs["modalities"]}
            self.modalities = {name: stored_spec(file[name]) for name in few}
            labels, types = file["label"][:64], file["scene_type"].asstr()[:64]
        which = np.arange(number) % 64
        self.labels = labels[which]
        self.scene_types = types[which].tolist()
        self.rooms = [f"room{i}" for i in range(number)]
        self.split = np.where(np.arange(number) % 20 < 11, "train", "test")
        self.files = (Path(scenes_h5),)
        self.published_counts = None
        self._few = {name: np.moveaxis(v, 1, -1) if v.shape[1] > 1 else v[:, 0] for name, v in few.items()}

    def __len__(self) -> int:
        return len(self.labels)

    def __enter__(self) -> "Repeated":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def origin(self, index: int, modality: str) -> Path:
        return self.files[0]

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Scene `index` modulo the few, shifted sideways by its number of rounds through them."""
        return {name: np.roll(values[index % 64], index // 64, axis=1) for name, values in self._few.items()}


INGEST = """
import json, sys, time
from pathlib import Path
from benchmarks.scale import Repeated
from semcom.data.ingest import write_scenes
from semcom.common.usage import peak_memory_mb
source = Repeated(Path(sys.argv[1]), int(sys.argv[2]))
before, began = peak_memory_mb(), time.perf_counter()
write_scenes(source, Path(sys.argv[3]), size=int(sys.argv[4]))
print(json.dumps([time.perf_counter() - began, peak_memory_mb(), before]))
"""
EPOCH = """
import json, sys, time
import torch
from pathlib import Path
from semcom.runs.devices import choose
from semcom.training.process import set_up
from semcom.data.scenes import load_scenes, scene_table
from semcom.config.jobs import PretrainJob
from semcom.training.pretrain import pretrain
from semcom.common.usage import peak_memory_mb, proc_status_mb

def own_memory_mb():
    "Resident memory less the pages of mapped files, which the kernel takes back when it needs them."
    return proc_status_mb("RssAnon") or peak_memory_mb()

job = PretrainJob.model_validate_json(sys.argv[1])
set_up(job.compute)
torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # loads what every optimizer needs, which is no part of an epoch
device = choose(job.compute)
table = scene_table(Path(sys.argv[2]))
began = time.perf_counter()
scenes = load_scenes(Path(sys.argv[2]), table, device=device, in_memory_mb=job.compute.data_in_memory_mb)
loaded, after_loading = time.perf_counter(), own_memory_mb()
pretrain(job, scenes, 0)
print(json.dumps([loaded - began, time.perf_counter() - loaded, after_loading, own_memory_mb()]))
"""


def scale(subject: Subject, name: str, sizes: tuple[int, ...] = SIZES, least_scenes: int = LEAST_SCENES) -> list[dict]:
    """Ingest, and an epoch of stage I from memory and from a memory map, at each size; cost per scene against the
    smallest's.

    Args:
        least_scenes: a small set has as many epochs as come nearest to so many scenes, or its first step, which is slow,
            would tell.
    """
    rows, smallest = [], {}

    def add(what: str, number: int, seconds: float, scenes: int, megabytes: float) -> None:
        each = 1e3 * seconds / scenes
        smallest.setdefault(what, each)
        size = subject.where(name) | {"size": f"{number} scenes"}
        rows.append(
            row(
                name, what, [each], "ms/scene", against=f"the same at {sizes[0]} scenes", reference=[smallest[what]],
                target=Target(1.1), **size,
            )
        )  # fmt: skip
        rows.append(row(name, f"{what}, memory", [megabytes], "MB", **size))

    scenes_h5, config = subject.files[0], subject.config
    with tempfile.TemporaryDirectory(dir=scenes_h5.parent) as folder:
        for number in sizes:
            path = Path(folder) / f"{number}.h5"
            seconds, peak, _ = _told(INGEST, scenes_h5, number, path, config.data.image_size)
            add("ingest", number, seconds, number, peak)
            train = np.count_nonzero(np.arange(number) % 20 < 11)
            for where, megabytes in (("memory", 10**6), ("a memory map", 1)):
                epochs = max(1, least_scenes // train)
                job = narrow_job(subject, epochs=epochs, in_memory_mb=megabytes)
                _, seconds, _, used = _told(EPOCH, job, path)
                add(f"stage I epoch from {where}", number, seconds / epochs, train, used)
            path.unlink()
    return rows


def epochs(subject: Subject, name: str, few: int = 2, many: int = 42) -> list[dict]:
    """Memory of stage I after few epochs and after many, against the data set's own bytes; what grows is the log."""
    scenes_h5 = subject.files[0]
    peaks, loaded = {}, 0.0
    for number in (few, many):
        _, _, loaded, peaks[number] = _told(EPOCH, narrow_job(subject, epochs=number, in_memory_mb=10**6), scenes_h5)
    where = subject.where(name)
    stored = sum(images.nbytes for images in subject.scenes.images.values()) / 1e6
    return [
        row(name, "data set in memory, as integers", [stored], "MB", **where),
        row(name, "process with the data set, before its first step", [loaded], "MB", **where),
        *(row(name, f"process after {number} epochs", [peak], "MB", **where) for number, peak in peaks.items()),
        row(name, "growth an epoch", [(peaks[many] - peaks[few]) / (many - few)], "MB", **where),
    ]


def narrow_job(subject: Subject, *, epochs: int, in_memory_mb: int) -> str:
    """Stage I with narrow encoders and so many epochs, as JSON."""
    job = subject.pretrain_job
    schedule = job.schedule.model_copy(update={"epochs": epochs, "warmup_epochs": 0.0})
    compute = job.compute.model_copy(update={"data_in_memory_mb": in_memory_mb})
    encoder = job.encoder.model_copy(update={"width": WIDTH})
    return job.model_copy(update={"schedule": schedule, "compute": compute, "encoder": encoder}).model_dump_json()


def _told(script: str, *arguments: object) -> list[float]:
    """What a process prints at its end."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
