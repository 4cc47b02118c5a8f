"""What files hold, as SHA-256: what is compared where dates would mislead, and what a derived file carries beside it.

A derived file `scenes.h5` has a small file `scenes.h5.sha256` beside it, in the format of `sha256sum`. The rules list that
as their input, and take the large file whatever its date.

A large file is read again only when its size, its times or its inode have changed: the times include that of the last
change of state, which no program sets. What was read is kept in `KEPT`, below the folder that Snakemake runs in.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from semcom.common.errors import InputError
from semcom.common.files import write_text
from semcom.common.reading import fault_of_surroundings

SUFFIX = ".sha256"
KEPT = Path(".snakemake/semcom_checksums.json")
_WORTH_KEEPING = 2**24  # bytes read at a time; fewer are read within hundredths of a second
_WORTH_SAYING = 2**28
_SETTLED_NS = 2 * 10**9  # a file that changed this lately may change again within the same tick of the clock


def sha256_of(paths: Iterable[str | Path], say: Callable[[str], None] | None = None) -> list[str]:
    """The SHA-256 of each file's content, as hexadecimal text.

    Args:
        say: called with a line before files are read whose reading takes seconds.

    Raises:
        InputError: a file cannot be read.
    """
    paths = [Path(path) for path in paths]
    states = {path: _state(path) for path in paths}
    much = sum(state[0] for state in states.values()) >= _WORTH_KEEPING
    kept = _read_kept() if much else {}
    known = {path: entry[1] for path in states if (entry := kept.get(str(path))) and entry[0] == states[path]}
    unread = [path for path in states if path not in known]
    size = sum(states[path][0] for path in unread)
    if say and size >= _WORTH_SAYING:
        of = unread[0] if len(unread) == 1 else f"{len(unread)} files, such as {unread[0]}"
        say(f"reading {size / 1e9:.1f} GB for their checksum: {of}")
    now = time.time_ns()
    known |= {path: _digest(path) for path in unread}
    if size >= _WORTH_KEEPING:
        fresh = {str(path): [states[path], known[path]] for path in unread if _settled(states[path], now)}
        with contextlib.suppress(InputError, OSError):  # it only saves reading them again
            write_text(KEPT, json.dumps({path: e for path, e in _read_kept().items() if Path(path).exists()} | fresh))
    return [known[path] for path in paths]


def write_checksum(path: str | Path) -> None:
    """Write a derived file's checksum beside it, once the file is whole."""
    path = Path(path)
    write_text(checksum_file(path), f"{_digest(path)}  {path.name}\n")


def checksum_file(path: str | Path) -> str:
    """Where the checksum of a derived file lies."""
    return f"{path}{SUFFIX}"


def check_derived(files: Iterable[str | Path]) -> None:
    """See whether derived files still hold what was written.

    Args:
        files: inputs of a job; those that end in SUFFIX are checksums of the files beside them.

    Raises:
        InputError: a file holds something else, or it or its checksum cannot be read.
    """
    listed = [Path(file) for file in files if str(file).endswith(SUFFIX)]
    derived = [file.with_suffix("") for file in listed]
    for file, checksum, found in zip(derived, listed, sha256_of(derived), strict=True):
        if _recorded(checksum) != found:
            raise InputError(
                f"{file}: changed since this program wrote it ({checksum.name} has another SHA-256); put the file back that "
                f"was there, or move it away, and the same command makes it again"
            )


def check_content(expected: Mapping[str, str]) -> None:
    """See whether files hold what they are to hold.

    Args:
        expected: SHA-256 by path; what is no file is passed over.

    Raises:
        InputError: a file holds something else, or cannot be read.
    """
    files = [path for path in expected if Path(path).is_file()]
    for path, found in zip(files, sha256_of(files), strict=True):
        if expected[path] != found:
            raise InputError(
                f"{path}: its SHA-256 is not the one expected, {expected[path][:12]}...: it changed after this command began, or "
                "is not the file of data.download; put the right file there, or move it away if it was downloaded, and run "
                "the same command again"
            )


def _recorded(checksum: Path) -> str:
    try:
        return checksum.read_text().split()[0]
    except (OSError, ValueError, IndexError) as error:
        raise fault_of_surroundings(checksum, error) or InputError(
            f"{checksum}: damaged, it has no checksum; move it away, and the same command makes it again"
        ) from None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise fault_of_surroundings(path, error) or error from None


def _state(path: Path) -> list[int]:
    """What changes whenever a file does: size, time of change, time of change of state, inode."""
    try:
        found = path.stat()
    except OSError as error:
        raise fault_of_surroundings(path, error) or error from None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _settled(state: list[int], now: int) -> bool:
    return max(state[1], state[2]) < now - _SETTLED_NS


def _read_kept() -> dict[str, list]:
    try:
        kept = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
