"""One process at a time makes a job's files. One that comes later waits, and takes them if they are what it would make.

So work jobs that have no checkpoint, such as reading the raw files; a training run has an `Attempt`. Beside the first
file lies a lock, `<file>.lock`, with a note of who works, on what, and at last of the files that were made. It stays until
Snakemake ends (`clear_locks`): a job that outlives its Snakemake tells the next one by it what it has made.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from semcom.common.errors import InputError
from semcom.common.files import remove_temporaries
from semcom.common.reporting import logger
from semcom.runs.checkpoint import fingerprint
from semcom.runs.lock import Lock
from semcom.runs.record import process_in_words
from semcom.runs.signals import submitted_job


@contextlib.contextmanager
def alone(outputs: Iterable[str | Path], job: dict, inputs: Iterable[str | Path]) -> Iterator[float]:
    """The right to make these files. If another process has made the same meanwhile, this process ends with status 0.

    Args:
        outputs: that the job makes.
        job, inputs: all that decides them; inputs are files.

    Yields:
        Seconds that it has waited for another process.

    Raises:
        InputError: the lock file cannot be opened.
    """
    files = [Path(path) for path in outputs]
    lock = Lock(files[0].with_name(f"{files[0].name}.lock"))
    known = {"pid": os.getpid(), "host": socket.gethostname(), "slurm_job": submitted_job()}
    known |= {"fingerprint": fingerprint(job, 0, map(Path, inputs))}
    waited = lock.wait(lambda: _holder(lock))
    finished = False
    try:
        if _is_made(lock, known["fingerprint"], files):
            logger.info("another process has made the same meanwhile; its files stay")
            finished = True
            sys.exit(0)
        lock.note(json.dumps(known))
        if not lock.refused:  # then nobody writes now
            for path in files:
                remove_temporaries(path)
        yield waited
        # By content: Snakemake gives files another date once a job has ended.
        lock.note(json.dumps(known | {"made": fingerprint({}, 0, files)}))
        finished = True
    finally:
        lock.release(remove=not finished)


def clear_locks(folders: Iterable[str | Path]) -> None:
    """Remove the locks that `alone` has left below these folders, but those that a process holds."""
    for folder in folders:
        for path in Path(folder).rglob("*.lock"):
            if path.with_suffix("").is_file():  # not those of runs, which lie beside checkpoints
                lock = Lock(path)
                with contextlib.suppress(InputError, OSError):  # of another owner, say: it only takes room
                    if lock.acquire():
                        lock.release(remove=not lock.refused)


def _holder(lock: Lock) -> str:
    noted = _noted(lock)
    try:
        return process_in_words(noted["pid"], noted["host"], noted["slurm_job"])
    except KeyError:
        return "another process"


def _is_made(lock: Lock, decided_by: str, files: Sequence[Path]) -> bool:
    """Whether the last holder has made the same, and it still lies there."""
    noted = _noted(lock)
    if noted.get("fingerprint") != decided_by or not all(file.is_file() for file in files):
        return False
    return noted.get("made") == fingerprint({}, 0, files)


def _noted(lock: Lock) -> dict:
    with contextlib.suppress(ValueError):
        noted = json.loads(lock.noted())
        return noted if isinstance(noted, dict) else {}
    return {}
