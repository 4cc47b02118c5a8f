"""Files that appear whole or not at all, also where the process is killed, the disk fills or the machine goes down.

And what to say where the surroundings refuse: rights, a full or failing disk, a path that is too long.
"""

import contextlib
import errno
import os
import pwd
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from semcom.common.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM)
_ABANDONED_SECONDS = 24 * 3600  # no writer is silent for so long
_REMEDIES = {
    errno.EROFS: "the file system may only be read; run in a folder that can be written to",
    errno.ENAMETOOLONG: "the name or path is longer than the file system allows; choose a shorter name of the experiment, "
    "or a folder with a shorter path",
    errno.EIO: "the disk or the network fails; the file may be good, so run the same command again once they are in order",
    errno.ESTALE: "the file server has lost sight of it; run the same command again",
    errno.EMFILE: "this process may open no more files; raise `ulimit -n`",
    errno.ENFILE: "this machine may open no more files; try again later",
    errno.ELOOP: "its symbolic links lead in a circle; correct them",
}  # beside those that `outside_fault` writes itself


@contextlib.contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place on success and is removed on failure.

    Its name is this writer's own, so that two writers of one path do not meet: the last one's file stays. Its bytes reach
    the disk before it takes the name. Else a file system may do the renaming first, and a machine that then goes down
    leaves an empty file under a name that promises a whole one.

    Raises:
        InputError: the disk is full, or the file system or its rights refuse the file; see `outside_fault`.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path, older_than_s=_ABANDONED_SECONDS)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if is_disk_full(error):
            raise InputError(
                f"{path}: the disk is full; make room in {path.parent} and run the same command again"
            ) from error
        if isinstance(error, OSError):
            about = error.filename if error.filename not in (None, str(temporary)) else path
            if line := outside_fault(error, about):
                raise InputError(line) from error
        raise


def remove_temporaries(path: str | Path, *, older_than_s: float = 0) -> None:
    """Remove what killed writers of `path` have left.

    Args:
        older_than_s: since its last byte. 0 is for those who know that nobody writes the file now.
    """
    path = Path(path)
    left = re.compile(re.escape(path.name) + r"\.\d+-[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):  # they only take room
        for found in path.parent.iterdir():
            if left.fullmatch(found.name) and time.time() - found.lstat().st_mtime >= older_than_s:
                found.unlink()


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


def outside_fault(error: OSError, path: str | Path | None = None) -> str | None:
    """One line on an error that lies in a file's surroundings and not in the file: path, fault, remedy.

    Args:
        path: what was to be read or written; else the one that the error names.

    Returns:
        None for an error of another kind, such as a file that is missing.
    """
    path = path if path is not None else error.filename
    if path is None or error.errno is None:
        return None
    path = Path(os.fsdecode(path) if isinstance(path, bytes) else path)
    if error.errno in _FULL:
        return f"{path}: the disk is full; make room in {path.parent} and run the same command again"
    if error.errno in _NO_RIGHT:
        return _no_right(path)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        in_the_way = _first(path, lambda place: place.exists() and not place.is_dir())
        return f"{in_the_way}: is a file where a folder is wanted; move it away" if in_the_way else None
    if error.errno == errno.EISDIR:
        return f"{path}: is a folder where a file is wanted; move it away"
    return f"{path}: {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else None


def check_reachable(folder: str | Path) -> None:
    """See whether what lies in a folder, which may not exist yet, can be seen.

    Raises:
        InputError: it cannot; the message names the file or folder in the way.
    """
    folder = Path(folder)
    try:
        if in_the_way := _first(folder, lambda place: place.exists() and not place.is_dir()):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(in_the_way))
        for place in [folder, *_folders_in(folder)]:
            if place.is_dir() and not _may(place, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    except OSError as error:
        raise InputError(outside_fault(error, error.filename or folder) or f"{folder}: {error.strerror}") from None


def check_writable(folder: str | Path) -> None:
    """See whether files can be written into a folder, which may not exist yet, and into the folders that it holds.

    Raises:
        InputError: they cannot; the message names the file or folder that refuses.
    """
    check_reachable(folder)
    for place in [Path(folder), *_folders_in(Path(folder))]:
        while not place.exists():
            place = place.parent
        if not _may(place, os.W_OK | os.X_OK):
            code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
            raise InputError(outside_fault(OSError(code, os.strerror(code)), place))


def _folders_in(folder: Path) -> list[Path]:
    """The folders that a folder holds, as far as it lets them be seen."""
    try:
        return [place for place in folder.iterdir() if place.is_dir()]
    except FileNotFoundError:
        return []


def _no_right(path: Path) -> str:
    """Which folder or file on the way to a path refuses, whose it is, and what to do."""
    place = _first(path, lambda place: place.is_dir() and not _may(place, os.X_OK))
    with contextlib.suppress(OSError):
        if place is None and (not path.exists() or _may(path, os.R_OK | os.W_OK)):  # then its folder refuses
            place = next((parent for parent in path.parents if parent.exists()), None)
    place = place or path
    whose = ""
    with contextlib.suppress(OSError):
        found = place.stat()
        whose = f" to {_user(os.geteuid())}: it is {_user(found.st_uid)}'s, {stat.filemode(found.st_mode)}"
    return f"{place}: no permission{whose}; have its owner change that, or work in a folder of your own"


def _first(path: Path, holds) -> Path | None:
    """The first of the folders on the way to a path, and of the path itself, for which something holds."""
    for place in [*reversed(path.parents), path]:
        try:
            if holds(place):
                return place
        except OSError:  # what lies behind a closed door is not looked at
            return None
    return None


def _may(path: Path, how: int) -> bool:
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container
        return f"user {number}"
