"""HDF5 files, opened and written so that a fault of the disk or file system ends in a message.

HDF5 2.0 reports a write that fails and, when the process ends, crashes over what it could not write. So HDF5 writes where
there is room, and Python to the disk. The bytes are those that HDF5 would write itself.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import h5py

Region = tuple[int, int]  # its first byte, and one past its last

_MEMORY = Path("/dev/shm")  # Linux's file system in memory


def open_hdf5(path: Path) -> h5py.File:
    """Open a file to read, without a lock: nothing here changes a file in place, and some file systems have no locks.

    Raises:
        OSError: as h5py. The environment variable HDF5_USE_FILE_LOCKING, where it is set, has the last word on locks.
    """
    return h5py.File(path, "r", locking=False)


@contextlib.contextmanager
def new_hdf5(path: Path, **options: object) -> Iterator[h5py.File]:
    """An empty file in memory, which is written to `path` at the end.

    Args:
        options: of `h5py.File`.

    Raises:
        OSError: `path` cannot be written.
    """
    with h5py.File(path, "w", driver="core", backing_store=False, **options) as file:
        yield file
        file.flush()
        user_block, content = bytes(file.userblock_size), file.id.get_file_image()
    with path.open("wb") as target:
        target.write(user_block)
        target.write(content)


@contextlib.contextmanager
def new_sparse_hdf5(path: Path) -> Iterator[tuple[h5py.File, list[Region]]]:
    """An empty file of which the caller writes the large arrays to `path` itself.

    Yields:
        The file, and an empty list for the regions of `path` that the caller writes: HDF5 is only to allocate them. All
        else is written to `path` at the end.

    Raises:
        OSError: `path` cannot be written.
    """
    own: list[Region] = []
    folder = _MEMORY if os.access(_MEMORY, os.W_OK) else None  # what is allocated and not written takes no room there
    descriptor, name = tempfile.mkstemp(dir=folder)
    with open(descriptor, "rb") as rest, path.open("wb") as target:
        try:
            file = h5py.File(name, "w", locking=False)
        finally:
            os.unlink(name)  # open, it lives on for as long as this process
        with file:
            yield file, own
        size = os.fstat(rest.fileno()).st_size
        last = 0
        for start, stop in [*sorted(own), (size, size)]:
            rest.seek(last)
            target.seek(last)
            _copy(rest, target, start - last)
            last = stop
        target.truncate(size)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size and (block := source.read(min(size, shutil.COPY_BUFSIZE))):
        target.write(block)
        size -= len(block)
