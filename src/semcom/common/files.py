"""Files that appear whole or not at all, also where the process is killed, the disk fills or the machine goes down."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from semcom.common.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place on success and is removed on failure.

    Its bytes reach the disk before it takes the name. Else a file system may do the renaming first, and a machine that
    then goes down leaves an empty file under a name that promises a whole one.

    Raises:
        InputError: the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if is_disk_full(error):
            raise InputError(
                f"{path}: the disk is full; make room in {path.parent} and run the same command again"
            ) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all, its lines ending as in `text`."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is a full disk or a used-up quota.

    HDF5 reports one as an OSError or RuntimeError with the cause in its text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, OSError | RuntimeError) and any(os.strerror(code) in str(error) for code in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
