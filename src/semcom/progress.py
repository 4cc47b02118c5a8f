"""Progress of long work, as plain lines: the same in a terminal and in a log file, at most one every few seconds."""

import contextlib
import errno
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from semcom.errors import InputError

logger = logging.getLogger("semcom")


def log_to(path: str | Path) -> None:
    """Send the package's messages to standard error and to a file, with the time of day."""
    logger.setLevel(logging.INFO)
    logger.handlers.clear()
    for handler in (logging.StreamHandler(sys.stderr), logging.FileHandler(path, mode="a")):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


@contextlib.contextmanager
def reported_to(path: str | Path) -> Iterator[None]:
    """Run a job with its messages in a log file; end it with one line, not a traceback, where the input is at fault."""
    log_to(path)
    try:
        yield
    except InputError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        logger.error("error: the disk is full (%s); make room and run the same command again", error.filename)
        sys.exit(1)
    except Exception:
        logger.exception("unexpected error")
        raise


class Progress:
    """Says where a loop stands, what it reads, and how long it will take.

    Args:
        label: what is running, e.g. "pretrain proposed seed 0".
        total: steps in all; None where only `of` will know.
        unit: name of a step.
        every_seconds: least time between two lines; the last step always gets one.
    """

    def __init__(self, label: str, total: int | None, unit: str, *, start: float = 0, every_seconds: float = 10):
        self.label, self.total, self.unit, self.every_seconds = label, total, unit, every_seconds
        self.start = start
        self.began = self.last = time.monotonic()

    def __call__(self, done: int, **readings: float) -> None:
        """Report that `done` steps are done."""
        now = time.monotonic()
        if now - self.last < self.every_seconds and done < self.total:
            return
        self.last = now
        left = (now - self.began) / max(1e-9, done - self.start) * (self.total - done)
        values = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in readings.items())
        logger.info("%s: %s %d/%d%s, %s left", self.label, self.unit, done, self.total, values, duration(left))

    def of(self, done: int, total: int) -> None:
        """Report that `done` of `total` steps are done, for callers that learn the total on the way."""
        self.total = total
        self(done)


def duration(seconds: float) -> str:
    """Seconds as `42 s`, `3 min 07 s` or `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
