"""Why a file could not be read: because of what it holds, or because of its surroundings."""

import errno
import os
import re
from pathlib import Path

from semcom.common.errors import InputError
from semcom.common.files import outside_fault

# A damaged file sends its reader to where no file reaches, and the system answers so.
_BY_CONTENT = (errno.EINVAL, errno.EOVERFLOW, errno.EFBIG)

_REMEDIES = {
    errno.ENOENT: "put it there, or correct the path",
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP), "correct the path"),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "raise the limit of open files (ulimit -n), or run fewer jobs at a time"
    ),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    errno.ENOMEM: "give the job more memory (`mem_mb` in the profile)",
}
_LATER = "see to its disk or network file system"
_UNLOCKED = "set HDF5_USE_FILE_LOCKING=FALSE in the environment"


def fault_of_surroundings(path: str | Path, error: BaseException | None) -> InputError | None:
    """What to raise where the system, not the file's content, made reading `path` fail; None if it did not.

    To be asked before a file is called damaged or of another kind: one that cannot be read may be whole. Whatever the
    system gives an error number for counts as its own, but for the few that a damaged file provokes. HDF5 gives that
    number in its text alone, in errors of several types.
    """
    while error is not None:
        number = _system_error(error)
        if number is not None:
            if number in (errno.EACCES, errno.EPERM) and "lock file" not in str(error):
                return InputError(outside_fault(OSError(number, os.strerror(number)), path))
            reason, remedy = _in_words(number), _REMEDIES.get(number, _LATER)
            if "lock file" in str(error):
                reason, remedy = f"its lock is refused: {reason}", _UNLOCKED
            return InputError(f"{path}: cannot be read ({reason}); {remedy}, and run the same command again")
        error = error.__cause__ or error.__context__
    return None


def _system_error(error: BaseException) -> int | None:
    """The number by which the system told why it failed, if it was the system."""
    number = None
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    elif isinstance(error, OSError) and error.errno:
        number = error.errno
    elif isinstance(error, OSError | RuntimeError | KeyError | ValueError):
        told = re.search(r"\berrno = (\d+)", str(error))
        number = int(told[1]) if told else None
    return None if number in (0, *_BY_CONTENT) else number


def _in_words(number: int) -> str:
    return (
        "Operation not supported" if number == 524 else os.strerror(number)
    )  # Linux's ENOTSUPP, which C does not know
