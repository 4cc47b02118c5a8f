"""Download one large file from whichever of several addresses answers, with resume and checksum.

Bytes go to `<target>.part` first, which survives failures and is continued by the next attempt, at the same address
or another, in this run or a later one. Only a file with the right SHA-256 ever gets the name `target`.
"""

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from semcom.common.errors import InputError

TIMEOUT_SECONDS = 60  # for the connection and for every read
ATTEMPTS = 5  # in a row without a byte more, per address
BACKOFF_SECONDS = 2.0  # before the second attempt, doubled before each further one

_BLOCK = 2**20
_REMEDY = "or name files that you already have in the config, under data.files"
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int | None], None]


class _AddressFailed(Exception):
    """This address will not give the file; the next one may."""


class _TransferBroken(Exception):
    """This attempt failed; another at the same address may continue it."""


def download(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str,
    size: int | None,
    progress: Progress | None = None,
) -> None:
    """Fetch `target` from the first of `urls` that delivers it; nothing is fetched if it is there already.

    Args:
        urls: addresses of the same file, tried in turn.
        sha256: hexadecimal digest of the whole file.
        size: bytes of the whole file, if known; an address that offers another size is passed over.
        progress: called with (bytes on disk, bytes in all or None) as the transfer goes on.

    Raises:
        InputError: no address delivered the file (the message names each with its fault), or the disk is full.
            A part that may still be continued is kept.
    """
    target = Path(target)
    if target.is_file() and verify_sha256(target, sha256):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    faults = []
    for url in urls:
        try:
            _fetch(url, part, sha256, size, progress)
        except _AddressFailed as fault:
            faults.append(f"{url}: {fault}")
        else:
            os.replace(part, target)
            return
    raise InputError(
        f"{target}: no address delivered the file ({'; '.join(faults) or 'none is given'}); try again later, {_REMEDY}"
    )


def verify_sha256(path: Path, sha256: str) -> bool:
    """Whether the file at `path` has this SHA-256 hexadecimal digest."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()


def _fetch(url: str, part: Path, sha256: str, size: int | None, progress: Progress | None) -> None:
    """Complete and verify `part` from one address, in as many attempts as it takes."""
    fruitless = 0
    furthest = _size(part)
    while True:
        resumed = _size(part) > 0
        try:
            _transfer(url, part, size, progress)
        except _TransferBroken as fault:
            # Only new ground counts as progress: a server that ignores Range and always breaks would never end.
            fruitless = 0 if _size(part) > furthest else fruitless + 1
            furthest = max(furthest, _size(part))
            if fruitless == ATTEMPTS:
                raise _AddressFailed(f"{fault}, {ATTEMPTS} times in a row") from fault
            time.sleep(BACKOFF_SECONDS * 2 ** max(0, fruitless - 1))
            continue
        if verify_sha256(part, sha256):
            return
        part.unlink()
        if not resumed:
            raise _AddressFailed("the file has another SHA-256")
        # The fault may lie in what an earlier run or another address left: once more, from the start.


def _transfer(url: str, part: Path, size: int | None, progress: Progress | None) -> None:
    """One attempt: append to `part` until it is as long as the file, or start it again if it cannot be continued."""
    if size is not None and _size(part) > size:
        part.unlink()
    offset = _size(part)
    if size is not None:
        if offset == size:
            return
        _check_room(part, size - offset)
    try:
        request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "semcom"})
    except ValueError as error:
        raise _AddressFailed(str(error)) from error
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            offset, total = _plan(response, offset, size)
            if total is not None:
                _check_room(part, total - offset)
            _save(response, part, offset, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond the part: it is whole, or one of the two is another file
            stated = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            total = int(stated[1]) if stated else None
            if size is not None and total is not None and total != size:
                raise _AddressFailed(f"offers {total} bytes, expected {size}") from error
            if size is None and total == offset:
                return
            part.unlink()
            raise _TransferBroken("HTTP 416, the part cannot be continued") from error
        fault = f"HTTP {error.code} {error.reason}"
        raise (_TransferBroken if error.code in _TRANSIENT_STATUS else _AddressFailed)(fault) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise InputError(
                f"{part}: the disk is full; make room in {part.parent} and run again, which continues from here, "
                f"{_REMEDY}"
            ) from error
        reason = getattr(error, "reason", error)
        words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise _TransferBroken(" ".join(words.split())) from error


def _plan(response: http.client.HTTPResponse, offset: int, size: int | None) -> tuple[int, int | None]:
    """Where this response starts in the file and how long the file is, checked before a byte is overwritten."""
    if response.headers.get_content_type() == "text/html":
        raise _AddressFailed("answered with a web page")
    length = response.headers.get("Content-Length")
    total = None if length is None else int(length)
    if response.status == 206:
        content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if content_range is None or int(content_range[1]) != offset:
            raise _AddressFailed("answered with another range than asked for")
        total = None if content_range[2] == "*" else int(content_range[2])
    else:
        offset = 0  # the server ignores Range and sends the whole file
    if size is not None and total is not None and total != size:
        raise _AddressFailed(f"offers {total} bytes, expected {size}")
    return offset, total if size is None else size


def _save(
    response: http.client.HTTPResponse, part: Path, offset: int, total: int | None, progress: Progress | None
) -> None:
    with part.open("ab" if offset else "wb") as file:
        received = offset
        while block := response.read(_BLOCK):
            file.write(block)
            received += len(block)
            if progress is not None:
                progress(received, total)
            if total is not None and received > total:
                raise _AddressFailed(f"sent more than the {total} bytes expected")
    if total is not None and received < total:
        raise _TransferBroken(f"the connection ended at {received} of {total} bytes")


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise InputError(
            f"{part}: needs {needed / 1e6:.0f} MB more, but {free / 1e6:.0f} MB are free in {part.parent}; make room, "
            f"{_REMEDY}"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
