"""A lock that one process holds at a time, and the wait for it."""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from semcom.common.errors import InputError, Interrupted
from semcom.common.files import outside_fault
from semcom.common.reporting import duration, logger

# Lustre without its mount option `flock`, and NFS without a lock manager, answer so; 524 is the kernel's own ENOTSUPP.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 524)
_POLL_SECONDS = 0.5
_GLANCE_SECONDS = 2  # who looks whether a process is alive holds its lock for a moment; nothing is said of that


class Lock:
    """The right to work on something, held by one process at a time.

    The lock is on the file, not its presence. The kernel lets go of it when the process ends, however it ends.

    Attributes:
        path: the lock file.
        refused: whether the file system has no locks, so that this one keeps nobody out.
    """

    def __init__(self, path: Path):
        self.path = path
        self.refused = False
        self._probed = False  # whether it is known that locks work here
        self._file: IO | None = None

    def acquire(self) -> bool:
        """Try to take the lock; whether this process has it now.

        On a file system without locks it is as good as taken; `refused` says so, and `wait` in the log.

        Raises:
            InputError: its file cannot be opened.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("ab", buffering=0)  # what `note` could not write, closing would try again
        except OSError as error:
            if line := outside_fault(error, self.path):
                raise InputError(line) from error
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError) and not self._all_refused():
                file.close()
                return False
            if not isinstance(error, BlockingIOError) and error.errno not in _NO_LOCKS:
                file.close()
                raise
            self.refused = True
        if not self._is_in_place(file):  # its last holder has removed it meanwhile
            file.close()
            return self.acquire()
        self._file = file
        return True

    def wait(self, holder: Callable[[], str], stop: Callable[[], str | None] = lambda: None) -> float:
        """Take the lock, waiting for as long as another process has it.

        Args:
            holder: who that is, for the log.
            stop: the name of a signal that has come, if the caller notes them.

        Returns:
            Seconds of waiting; 0 where it was free.

        Raises:
            Interrupted: a signal has asked to stop.
        """
        began, said, waited = time.monotonic(), False, False
        while not self.acquire():
            waited = True
            if not said and time.monotonic() - began >= _GLANCE_SECONDS:
                logger.warning("waiting: %s works on this; this process takes over when that has ended", holder())
                said = True
            if signal := stop():
                raise Interrupted(f"{signal} while waiting for another process to end this work")
            time.sleep(_POLL_SECONDS)
        if self.refused:
            logger.warning("%s: no file locks here; see to it that no second process does this work", self.path)
        seconds = time.monotonic() - began if waited else 0.0
        if said:
            logger.info("the other process has ended, after %s of waiting", duration(seconds))
        return seconds

    def note(self, text: str) -> None:
        """Put a text into the lock file, for those who wait and for who comes next; nothing, where the disk is full."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(0)  # opened to append: the next byte is the first
                self._file.write(text.encode())

    def noted(self) -> str:
        """The text that its last holder has put into the lock file; empty where there is none."""
        with contextlib.suppress(OSError):
            return self.path.read_text(errors="replace")
        return ""

    def release(self, *, remove: bool) -> None:
        """Let go of the lock; `remove` its file first, while no other process can have it."""
        if self._file is not None:
            if remove:
                with contextlib.suppress(OSError):
                    self.path.unlink()
            self._file.close()
            self._file = None

    def _is_in_place(self, file: IO) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        return False

    def _all_refused(self) -> bool:
        """Whether not even a file that nobody else knows can be locked: some network file systems call all of them held."""
        if self._probed:
            return False
        own = self.path.with_name(f"{self.path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            with own.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                own.unlink()
        self._probed = True
        return False


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock, for which this process waits as long as another has it; its file is there only meanwhile."""
    lock = Lock(path)
    lock.wait(lambda: "another process")
    try:
        yield
    finally:
        lock.release(remove=True)
