"""Files that cannot be read although they may be whole: the fault is named for what it is, and nothing is to be deleted.

The faults are real: a link to /proc/self/mem gives an I/O error, a limit of open files is reached, a lock is held.
"""

import errno
import fcntl
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from nyud2_files import named, write_both
from semcom.analysis import records
from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.common.tensor_file import read_tensors
from semcom.data.ingest import write_scenes
from semcom.data.readers import nyud2, png_folder, sunrgbd
from semcom.data.readers._images import read_image
from semcom.data.scenes import load_scenes, scene_table
from semcom.figures.contact_sheet import contact_sheet
from semcom.link.trace import read_trace
from semcom.models.weights import load_saved
from semcom.planning.estimate import read_prediction
from semcom.runs.checkpoint import Checkpoint

MEMORY = Path("/proc/self/mem")  # whose first byte cannot be read
CALLED_BROKEN = re.compile(r"damage|truncat|\bnot an?\b|remove|delete|download|again from", re.IGNORECASE)


def in_subprocess(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | paths | environment)


@pytest.fixture
def files(tmp_path):
    return write_both(tmp_path)


@pytest.fixture
def scenes_h5(files, tmp_path):
    with nyud2.open_scenes(named(*files), published_counts=None) as source:
        write_scenes(source, tmp_path / "scenes.h5", size=8)
    return tmp_path / "scenes.h5"


def png_rooms(folder: Path, table: Path) -> None:
    scene = folder / "pngs/train/office/1"
    scene.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(scene / "rgb.png")
    png_folder.open_scenes({"scenes": folder / "pngs", "rooms": table})


# Each reads the file at `path`; the others that it needs are whole.
READERS = {
    "scenes.h5": lambda path, folder: scene_table(path),
    "scenes.h5 for a figure": lambda path, folder: contact_sheet(path, seed=0),
    "splits.csv": lambda path, folder: load_scenes(folder / "scenes.h5", path, device="cpu"),
    "labeled.mat": lambda path, folder: nyud2.open_scenes(named(path, folder / "splits.mat")),
    "splits.mat": lambda path, folder: nyud2.open_scenes(named(folder / "labeled.mat", path)),
    "allsplit.mat": lambda path, folder: sunrgbd.open_scenes({"scenes": folder, "split": path.rename(f"{path}.mat")}),
    "a list of scenes": lambda path, folder: sunrgbd.open_scenes({"scenes": folder, "split": path}),
    "rooms.csv": lambda path, folder: png_rooms(folder, path),
    "image": lambda path, folder: read_image(path),
    "weights": lambda path, folder: load_saved(path, "remedy"),
    "rounds.csv": lambda path, folder: records.collect_rounds([path], methods=["proposed"]),
    "predicted.csv": lambda path, folder: read_prediction(path),
    "kept system": lambda path, folder: read_tensors(path, format="kept", remedy="remedy"),
    "channel trace": lambda path, folder: read_trace(path, ["rgb"]),
    "checkpoint": lambda path, folder: Checkpoint(path, "fingerprint").load(),
}


@pytest.mark.skipif(not MEMORY.exists(), reason="no /proc")
@pytest.mark.parametrize("kind", READERS)
def test_a_disk_that_fails_is_not_a_broken_file(kind, scenes_h5, tmp_path):
    path = tmp_path / "file"
    path.symlink_to(MEMORY)
    with pytest.raises(InputError) as error:
        READERS[kind](path, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{path}") and "cannot be read (Input/output error); see to its disk" in message
    assert "\n" not in message and not CALLED_BROKEN.search(message)


@pytest.mark.parametrize("kind", ["scenes.h5", "labeled.mat", "a list of scenes", "image", "weights", "checkpoint"])
def test_too_many_open_files_are_not_a_broken_file(kind, scenes_h5, tmp_path):
    path = tmp_path / "file"
    path.write_bytes((scenes_h5 if kind == "scenes.h5" else tmp_path / "labeled.mat").read_bytes())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(InputError) as error:
            READERS[kind](path, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    message = str(error.value)
    assert message.startswith(
        f"{path}: cannot be read (Too many open files); raise the limit of open files (ulimit -n)"
    )
    assert not CALLED_BROKEN.search(message)


AS_NOBODY = """
import codecs, os, sys
from pathlib import Path
import scipy.io
from test_reading import READERS
from semcom.common.errors import InputError
codecs.lookup("utf-16-le")  # Python imports the codec, which may lie where others may not enter
os.seteuid(65534)
path, folder, *kinds = sys.argv[1:]
for kind in kinds:
    try:
        READERS[kind](Path(path), Path(folder))
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_file_that_may_not_be_read_is_not_a_broken_file(scenes_h5, tmp_path):
    kinds = [*("scenes.h5", "labeled.mat", "splits.mat", "image", "weights", "rounds.csv", "splits.csv", "checkpoint")]
    with tempfile.TemporaryDirectory() as name:  # unlike tmp_path, in a folder that others may enter
        folder = Path(name)
        folder.chmod(0o755)
        for file in tmp_path.iterdir():
            shutil.copyfile(file, folder / file.name)
        path = folder / "file"
        path.write_bytes(b"whole")
        path.chmod(0)
        closed = in_subprocess(AS_NOBODY, path, folder, *kinds)
        folder.chmod(0)
        closed_folder = in_subprocess(AS_NOBODY, path, folder, "scenes.h5", "labeled.mat")
    for said, number in ((closed, len(kinds)), (closed_folder, 2)):
        assert len(said.stdout.splitlines()) == number, said.stderr
        for message in said.stdout.splitlines():
            assert re.match(f"({path}|{folder}): no permission to nobody: .*; have its owner change that", message)
            assert not CALLED_BROKEN.search(message)


def test_a_lock_that_is_held_or_refused_does_not_matter(files, scenes_h5):
    for path in (files[0], scenes_h5):
        with path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            code = "import h5py, sys; h5py.File(sys.argv[1])"
            assert "unable to lock file, errno = 11" in in_subprocess(code, path).stderr  # as HDF5 opens it by itself
            READERS["scenes.h5" if path == scenes_h5 else "labeled.mat"](path, path.parent)


READ = """
import sys
from pathlib import Path
from test_reading import READERS
from semcom.common.errors import InputError
try:
    READERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[2]).parent)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["scenes.h5", "labeled.mat"])
def test_a_lock_that_the_environment_insists_on_is_named_with_its_remedy(kind, files, scenes_h5):
    path = scenes_h5 if kind == "scenes.h5" else files[0]
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        message = in_subprocess(READ, kind, path, HDF5_USE_FILE_LOCKING="TRUE").stdout
    assert message.startswith(f"{path}: cannot be read (its lock is refused: Resource temporarily unavailable)")
    assert "set HDF5_USE_FILE_LOCKING=FALSE in the environment" in message and not CALLED_BROKEN.search(message)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
        (OSError("unable to lock file, errno = 37, error message = 'No locks available'"), "No locks available"),
        (OSError("unable to lock file, errno = 95, error message = 'Operation not supported'"), "not supported"),
        (OSError("unable to lock file, errno = 524, error message = 'Unknown error 524'"), "Operation not supported"),
        (KeyError("unable to open object (file read failed: errno = 5, error message = '...')"), "Input/output error"),
        (RuntimeError("file read failed: errno = 116"), "Stale file handle"),
        (MemoryError(), "Cannot allocate memory"),
        (OSError("truncated file: eof = 96, sblock->base_addr = 0"), None),
        (OSError("file read failed: errno = 22, error message = 'Invalid argument'"), None),  # a damaged address
        (OSError("file read failed: errno = 0, error message = 'Success'"), None),
        (ValueError("could not convert string to float"), None),
        (KeyError("images"), None),
    ],
)
def test_faults_of_the_surroundings_are_told_from_those_of_the_content(error, reason):
    try:
        raise InputError("said by another layer") from error
    except InputError as outer:
        found = [fault_of_surroundings("a.h5", fault) for fault in (error, outer)]
    if reason is None:
        assert found == [None, None]
    else:
        assert all(str(fault).startswith("a.h5: cannot be read (") and reason in str(fault) for fault in found)


# What unpacks to far more than it should


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_small_image_file_of_very_many_pixels_is_not_unpacked(side, tmp_path):
    path = tmp_path / "rgb.png"
    Image.new("1", (side, side)).save(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=rf"rgb\.png: not a readable image \(Image size \({side**2} pixels\) exceeds"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**14  # KiB


def test_a_text_in_an_image_that_unpacks_to_very_much_is_refused_in_one_line(tmp_path):
    path, text = tmp_path / "rgb.png", PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 10_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(path, pnginfo=text)
    with pytest.raises(InputError, match=r"rgb\.png: not a readable image \(Decompressed data too large"):
        read_image(path)


def test_packed_weights_that_unpack_to_very_much_are_refused_unread(tmp_path, monkeypatch):
    buffer, path = io.BytesIO(), tmp_path / "weights.pt"
    torch.save({"conv1.weight": torch.zeros(5_000_000)}, buffer)
    with zipfile.ZipFile(buffer) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    assert load_packed_by_torch(path)  # it reads such a file
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(InputError, match=r"weights\.pt: .* unpacks to 20 MB, which no weights do; save them by torch"):
        load_saved(path, "remedy")


def load_packed_by_torch(path: Path) -> bool:
    return torch.load(path, weights_only=True)["conv1.weight"].numel() == 5_000_000


# HDF5 files on a full disk

RENDER = """
import sys
from pathlib import Path
from semcom.common.reporting import reported_to
from semcom.rooms.dataset import write_rooms
folder = Path(sys.argv[1])
with reported_to("/dev/null"):
    write_rooms(folder / "labeled.mat", folder / "splits.mat", train_scenes=20, test_scenes=20, width=32, height=24, seed=0)
"""

INGEST = """
import shutil, sys
from collections import namedtuple
from pathlib import Path
from nyud2_files import named
from semcom.common.reporting import reported_to
from semcom.data.ingest import write_scenes
from semcom.data.readers.nyud2 import open_scenes
usage = namedtuple("usage", "total used free")
shutil.disk_usage = lambda path: usage(10**9, 0, 10**9)  # it fills up after that
with reported_to("/dev/null"), open_scenes(named(*map(Path, sys.argv[2:])), published_counts=None) as source:
    write_scenes(source, Path(sys.argv[1], "scenes.h5"), size=64)
"""


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("taken_kib", [0, 48, 64])
@pytest.mark.parametrize(("code", "name"), [(RENDER, "labeled.mat"), (INGEST, "scenes.h5")])
def test_a_full_disk_ends_in_one_line_and_not_in_a_crash(code, name, taken_kib, small_disk, files):
    (small_disk / "taken").write_bytes(bytes(taken_kib * 1024))
    ended = in_subprocess(code, small_disk, *files)
    assert ended.returncode == 1, ended
    assert len(ended.stderr.splitlines()) == 1 and f"disk/{name}: the disk is full; make room in" in ended.stderr
    assert [path.name for path in small_disk.iterdir()] == ["taken"]


def test_files_built_in_memory_are_those_that_hdf5_writes(tmp_path):
    from semcom.common.hdf5 import new_hdf5, new_sparse_hdf5

    def fill(file: h5py.File) -> h5py.Dataset:
        file.create_dataset("packed", data=np.arange(10_000).reshape(10, 1000), chunks=(1, 1000), compression="gzip")
        placed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        placed.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        large = file.create_dataset("large", (100, 777), "u1", dcpl=placed)
        file.create_dataset("names", data=["a", "bc"] * 500, dtype=h5py.string_dtype())
        large.attrs["unit"] = "m" * 300
        return large

    for block in (0, 512):
        with h5py.File(tmp_path / "direct.h5", "w", userblock_size=block) as file:
            fill(file)[:] = 7
        with new_hdf5(tmp_path / "memory.h5", userblock_size=block) as file:
            fill(file)[:] = 7
        assert (tmp_path / "memory.h5").read_bytes() == (tmp_path / "direct.h5").read_bytes()
        if block == 0:
            with new_sparse_hdf5(tmp_path / "sparse.h5") as (file, own), (tmp_path / "sparse.h5").open("r+b") as raw:
                start = fill(file).id.get_offset()
                own.append((start, start + 77_700))
                raw.seek(start)
                raw.write(bytes([7]) * 77_700)
            assert (tmp_path / "sparse.h5").read_bytes() == (tmp_path / "direct.h5").read_bytes()
