"""The lock of a run, held by one process at a time."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from semcom.common.reporting import logger

# Lustre without its mount option `flock`, and NFS without a lock manager, answer so.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RunLock:
    """The right to work on a run, held by one process at a time.

    Args:
        path: the lock file; it holds nothing, and the lock is on the file, not its presence.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file: IO | None = None

    def acquire(self) -> bool:
        """Try to take the lock; whether this process has it now.

        On a file system without locks it is as good as taken, which the log says.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                if isinstance(error, BlockingIOError):
                    return False
                raise
            logger.warning("%s: no file locks here; see to it that no second process works on this run", self.path)
        if not self._is_in_place(file):  # its last holder has removed it meanwhile
            file.close()
            return self.acquire()
        self._file = file
        return True

    def release(self, *, remove: bool) -> None:
        """Let go of the lock; `remove` its file first, while no other process can have it."""
        if self._file is not None:
            if remove:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _is_in_place(self, file: IO) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        return False
