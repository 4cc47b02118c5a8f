"""Who works on a run and how far it is: a small record beside its checkpoint, and a lock that its process holds.

Both lie outside a rule's declared output, which Snakemake removes when a job begins or fails. The kernel lets go of the
lock when the process ends, however it ends, so that no stale one is left. Nothing here needs torch.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from semcom.common.checksums import sha256_of
from semcom.common.errors import InputError
from semcom.common.files import write_text
from semcom.common.structure import fault, layout_of

# Where locks tell nothing, a run counts as alive for this long after its record was last written: the slowest steps and
# evaluations are shorter.
_FRESH = timedelta(minutes=5)
LAST_WRITTEN = "provenance.json"  # of a run's results: where it is, the others are whole


@dataclass(frozen=True)
class RunRecord:
    """How far a run is, as its running or last attempt says.

    Attributes:
        stage: its name.
        done, total: of `unit`, "epoch" or "round"; `total` is 0 until the attempt knows it.
        accuracy: at the last evaluation, on `split`, that which may be seen when settings are chosen.
        started_utc, updated_utc: of this attempt, ISO 8601.
        slurm_job: the job's number, where the pipeline has submitted it.
        attempt: counts from 1.
        error: one line on why the attempt failed; None also where a signal ended it.
    """

    stage: str
    done: int
    total: int
    unit: str
    accuracy: float | None
    split: str | None
    started_utc: str
    updated_utc: str
    host: str
    pid: int
    slurm_job: str | None
    attempt: int
    error: str | None

    def changed(self, **changes: object) -> "RunRecord":
        """The record with these changes, as of now."""
        return replace(self, updated_utc=now(), **changes)

    def write(self, path: Path) -> None:
        """Put the record in the place of the last one, whole."""
        write_text(path, json.dumps(asdict(self)) + "\n")

    def holder(self) -> str:
        """Which process this is, and how to stop it, for a person."""
        return process_in_words(self.pid, self.host, self.slurm_job)


def process_in_words(pid: int, host: str, slurm_job: str | None) -> str:
    """Which process works on something, and how to stop it, for a person."""
    if slurm_job:
        return f"process {pid} of SLURM job {slurm_job} on {host} (`scancel {slurm_job}` stops it)"
    return f"process {pid} on {host} (`kill {pid}` there stops it)"


def now() -> str:
    """The time of day, as records give it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(path: Path) -> RunRecord | None:
    """The record at `path`, or None where there is none that can be read, or it is of another version."""
    try:
        values = json.loads(Path(path).read_text())
        if fault(values, layout_of(RunRecord), "record"):
            return None
        for name in ("started_utc", "updated_utc"):
            if datetime.fromisoformat(values[name]).tzinfo is None:
                return None
        return RunRecord(**values)
    except (OSError, ValueError):
        return None


def check_results(files: Iterable[str | Path]) -> None:
    """See whether results of finished runs still hold what their runs wrote, by the checksums in `LAST_WRITTEN` beside them.

    Args:
        files: inputs of a job; what no run wrote is passed over.

    Raises:
        InputError: a file holds something else, or cannot be read.
    """
    by_folder: dict[Path, list[Path]] = {}
    for file in map(Path, files):
        by_folder.setdefault(file.parent, []).append(file)
    for folder, members in by_folder.items():
        try:
            written = json.loads((folder / LAST_WRITTEN).read_text())["files"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        members = [file for file in members if file.name in written]
        for file, found in zip(members, sha256_of(members), strict=True):
            if found != written[file.name]:
                raise InputError(
                    f"{file}: changed since its run wrote it ({LAST_WRITTEN} has another SHA-256); put the file back that "
                    "was there, or move it away, and the same command repeats the run"
                )


def is_alive(record: Path) -> bool:
    """Whether a process works on the run of this record: whether it holds the lock beside it.

    Where the file system has no locks, or the lock cannot be opened, a record counts that was written lately.
    """
    try:
        with Path(record).with_suffix(".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not see each other
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        last = read_record(record)
        return last is not None and datetime.now(UTC) - datetime.fromisoformat(last.updated_utc) < _FRESH


def clear_finished(checkpoints: Path, results: Path) -> None:
    """Remove what is left of runs whose results Snakemake has taken over.

    A run keeps its last checkpoint beyond its end: if Snakemake is killed and started again while the run goes on, it
    removes the results before a second process could find them, and that one must not train anew.

    Args:
        checkpoints, results: `pretrain/proposed/seed0.pt` in the one is of `pretrain/proposed/seed0/` in the other.
    """
    for checkpoint in sorted(Path(checkpoints).rglob("*.pt")):
        folder = Path(results) / checkpoint.relative_to(checkpoints).with_suffix("")
        if (folder / LAST_WRITTEN).is_file() and not is_alive(checkpoint.with_suffix(".json")):
            with contextlib.suppress(OSError):  # of another owner, say: it only takes room
                checkpoint.unlink(missing_ok=True)
    for folder in [*sorted(Path(checkpoints).rglob("*/"), reverse=True), Path(checkpoints)]:
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
