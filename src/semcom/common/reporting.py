"""Progress of long work, as plain lines: the same in a terminal and in a log file, at most one every few seconds."""

import contextlib
import functools
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from semcom.common.errors import InputError, Interrupted
from semcom.common.files import is_disk_full, outside_fault

logger = logging.getLogger("semcom")
_ENDING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)  # by default they end a process on the spot


class _Terminal(logging.Formatter):
    """Says of an error where the job's log lies: on a terminal, lines of several jobs stand side by side."""

    def __init__(self, *formats: str, log: str | Path | None):
        super().__init__(*formats)
        self.log = log

    def format(self, record: logging.LogRecord) -> str:
        where = f" (log: {self.log})" if self.log and record.levelno >= logging.ERROR else ""
        return super().format(record) + where


class _LogFile(logging.FileHandler):
    """A log file that says a single time when it cannot be written; the work that it is about goes on."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            _say_unwritable(self.baseFilename, sys.exc_info()[1])


def _say_unwritable(path: str | Path, error: BaseException | None) -> None:
    print(f"warning: the log {path} cannot be written ({error}); going on without it", file=sys.stderr)


def log_to(path: str | Path) -> None:
    """Send the package's messages to standard error and, if it can be written, to a file, with the time of day."""
    formats = "%(asctime)s %(message)s", "%H:%M:%S"
    logger.setLevel(logging.INFO)
    logger.handlers.clear()
    try:
        file = _LogFile(path, mode="a", encoding="utf-8")
        file.setFormatter(logging.Formatter(*formats))
        logger.addHandler(file)
    except OSError as error:
        _say_unwritable(path, error)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_Terminal(*formats, log=path if logger.handlers else None))
    logger.addHandler(terminal)


@contextlib.contextmanager
def reported_to(path: str | Path) -> Iterator[None]:
    """Run a job with its messages in a log file; end it with one line, not a traceback, where `in_one_line` has one.

    `semcom.runs.failures` finds in the log what is said here, and says it again when the whole workflow ends.
    An interrupted job ends with the status that asks for another try (`os.EX_TEMPFAIL`), so that it is told from one
    that failed. So do signals that would end it on the spot, so that it clears up before. Nothing but the end of the
    process is to follow.
    """
    log_to(path)
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        yield
    except Interrupted as interruption:
        logger.warning("interrupted: %s", interruption)
        sys.exit(os.EX_TEMPFAIL)
    except KeyboardInterrupt:
        logger.warning("interrupted")
        sys.exit(os.EX_TEMPFAIL)
    except Exception as error:
        line = in_one_line(error)
        if line is None:
            logger.exception("unexpected error")  # the traceback; Python's own would be the same once more
        else:
            logger.error("error: %s", line)
        sys.exit(1)
    finally:
        for number in _ENDING:
            if signal.getsignal(number) is _interrupt:  # a training run has its own way, and keeps it
                signal.signal(number, signal.SIG_DFL)
        # Python ends by looking for garbage among all that torch and pandas made on import, for a third of a second.
        gc.freeze()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End what is under way.

    Raises:
        Interrupted: always; further signals are ignored, which would disturb the clearing up.
    """
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(f"{signal.Signals(number).name}: the same command starts this work again")


def reported(main: Callable[[Sequence[str] | None], int]) -> Callable[[Sequence[str] | None], int]:
    """A command's `main` that ends with status 1 and one line, not a traceback, where `in_one_line` has one."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        try:
            return main(arguments)
        except Exception as error:
            line = in_one_line(error)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            return 1

    return run


def in_one_line(error: BaseException) -> str | None:
    """What went wrong and what to do about it, if that is for the user to do; None for a fault of our own."""
    if isinstance(error, InputError):
        return str(error)
    if is_disk_full(error):
        where = getattr(error, "filename", None) or "while writing"
        return f"the disk is full ({where}); make room and run the same command again"
    if isinstance(error, OSError) and (line := outside_fault(error)):
        return line
    if _is_out_of_memory(error):
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return (
            f"out of memory ({reason}); lower `batch_size` in the config, or ask for more: `mem_mb` in the profile for a "
            "job's own memory, a larger card for a GPU's"
        )
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """PyTorch raises a RuntimeError, known by its text, on a CPU, and one of a kind of its own on a GPU."""
    told = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(t in str(error) for t in told))


class Progress:
    """Says where a loop stands, what it reads, and how long it will take.

    Args:
        label: what is running, e.g. "pretrain proposed seed 0".
        total: steps in all; None where only `of` will know.
        unit: name of a step.
        start: steps done when the work begins or goes on; None takes them from the first report.
        every_seconds: least time between two lines; the last step always gets one.
    """

    def __init__(self, label: str, total: int | None, unit: str, *, start: float | None = 0, every_seconds: float = 10):
        self.label, self.total, self.unit, self.every_seconds = label, total, unit, every_seconds
        self.start = start
        self.began = self.last = time.monotonic()

    def __call__(self, done: int, **readings: float) -> None:
        """Report that `done` steps are done."""
        now = time.monotonic()
        if self.start is None:
            self.start, self.began = done, now
        if now - self.last < self.every_seconds and done < self.total:
            return
        self.last = now
        values = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in readings.items())
        if done > self.start:  # else nothing tells yet how long a step takes
            left = (now - self.began) / (done - self.start) * (self.total - done)
            values += f", {duration(left)} left"
        logger.info("%s: %s %d/%d%s", self.label, self.unit, done, self.total, values)

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
