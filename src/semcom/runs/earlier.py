"""What is there of a job's results before the job, put back if the job leaves none.

Snakemake removes a job's outputs when the job begins, and what a failed one has written; it records the failed job as
if it had made them. So before the first job begins, a second name (a hard link) is given to every finished file that is to
be made anew, and Snakemake's own record of it is kept. At the end, of each job whose outputs are all there the second
names are dropped; the others' files and records are put back, with their dates, so that the next start finds all as it
was and has the same reasons to run them. A Snakemake that is killed leaves the second names; the next one goes on with
them.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from semcom.common.files import write_text, written_atomically

_ENTRY = "entry.json"
_LEFT_SECONDS = 3600  # an entry that is still without a name then is of a process that was killed


@dataclass(frozen=True)
class _Entry:
    """One job's earlier results.

    Attributes:
        outputs: of the job, all of them.
        records: Snakemake's record of each output that was there, as JSON; None where there was none.
        may_serve: whether they may stand for the job's results, if they turn out to be made from the same.
    """

    outputs: list[str]
    records: dict[str, str | None]
    may_serve: bool


class EarlierResults:
    """The earlier results of jobs that are to run, kept in a folder of their own.

    Args:
        folder: on the file system of the results, if they are not to be copied.
        read_record: Snakemake's record of an output, as JSON, or None.
        write_record: replaces it, and takes an output for complete.
    """

    def __init__(
        self,
        folder: Path,
        read_record: Callable[[str], str | None],
        write_record: Callable[[str, str | None], None],
    ):
        self.folder, self._read_record, self._write_record = Path(folder), read_record, write_record

    def set_aside(self, jobs: Iterable[tuple[Sequence[str], bool]]) -> None:
        """Keep what is there of the jobs' outputs, before Snakemake removes it.

        What an earlier Snakemake has set aside, and was killed before it put it back, is kept if one of these jobs makes it,
        and else put back now.

        Args:
            jobs: the outputs of each job that is to run, and whether what is there of them may stand for its results.

        Raises:
            OSError, InputError: the folder cannot be written.
        """
        jobs = [(list(map(str, outputs)), may_serve) for outputs, may_serve in jobs]
        to_run = {path for outputs, _ in jobs for path in outputs}
        for place, entry in self._entries():
            if to_run.isdisjoint(entry.outputs) or _all_there(entry.outputs):
                self._settle(place, entry)
        for outputs, may_serve in jobs:
            place = _place(self.folder, outputs)
            there = [path for path in outputs if os.path.isfile(path)]
            if there and not place.exists():
                entry = _Entry(outputs, {path: self._read_record(path) for path in there}, may_serve)
                self.folder.mkdir(parents=True, exist_ok=True)
                unnamed = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
                for path in there:
                    _give_second_name(path, unnamed / str(outputs.index(path)))
                write_text(unnamed / _ENTRY, json.dumps(asdict(entry)))
                with contextlib.suppress(OSError):  # another Snakemake has been faster
                    unnamed.rename(place)
                shutil.rmtree(unnamed, ignore_errors=True)

    def settle(self) -> list[str]:
        """Put back what was set aside for jobs that have left no results, and drop the rest.

        Returns:
            The files that were put back.
        """
        restored = [path for place, entry in self._entries() for path in self._settle(place, entry)]
        for unnamed in self.folder.glob(".*/"):
            if time.time() - unnamed.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(unnamed, ignore_errors=True)
        with contextlib.suppress(OSError):  # not there, or not empty
            self.folder.rmdir()
        return restored

    def _settle(self, place: Path, entry: _Entry) -> list[str]:
        restored = []
        if not _all_there(entry.outputs):
            for path, record in entry.records.items():
                with contextlib.suppress(FileNotFoundError):  # another Snakemake has done so
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(place / str(entry.outputs.index(path)), path)
                    self._write_record(path, record)
                    restored.append(path)
        shutil.rmtree(place, ignore_errors=True)
        return restored

    def _entries(self) -> list[tuple[Path, _Entry]]:
        """Those that are whole: of another, whose name begins with a dot, Snakemake has removed nothing yet."""
        places = sorted(self.folder.glob("[!.]*/"))
        return [(place, entry) for place in places if (entry := _read(place))]


def take_again(folder: Path, outputs: Sequence[Path], same: Callable[[Path], bool]) -> bool:
    """Put a job's earlier results in the place of those that it is to make, if they would be the same.

    Called in the job itself. They get the present date, since Snakemake takes nothing older than a job's inputs for its
    results.

    Args:
        folder: that of `EarlierResults`.
        outputs: of the job, that by which the results are known last.
        same: whether the results are made from what the job is given, told by the last of them.

    Returns:
        Whether they are in place now.
    """
    outputs = list(map(str, outputs))
    place = _place(folder, outputs)
    entry = _read(place)
    kept = [place / str(number) for number in range(len(outputs))]
    if entry is None or not entry.may_serve or not _all_there(kept) or not same(kept[-1]):
        return False
    for file, path in zip(kept, outputs, strict=True):
        with written_atomically(path) as temporary:
            shutil.copyfile(file, temporary)
    return True


def _place(folder: Path, outputs: Sequence[str]) -> Path:
    return Path(folder) / hashlib.sha256("\n".join(outputs).encode()).hexdigest()[:20]


def _read(place: Path) -> _Entry | None:
    try:
        return _Entry(**json.loads((place / _ENTRY).read_text()))
    except (OSError, ValueError, TypeError):  # another Snakemake has settled it
        return None


def _all_there(outputs: Iterable[str | Path]) -> bool:
    return all(map(os.path.isfile, outputs))


def _give_second_name(path: str, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # another file system, one without links, or another owner's file
        shutil.copy2(path, name)
