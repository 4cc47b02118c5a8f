"""Download one large file from whichever of several addresses delivers it, with resume and checksum.

Bytes go to a part, which survives failures and is continued by the next attempt, at the same address or another, in this
run or a later one. A file with the right SHA-256 is kept as `.verified/<sha256>` beside the target; the target is a second
name of it. Whoever removes the target, as Snakemake does before it runs a job, thus costs no transfer.

requests speaks HTTP: proxies of the environment, redirects, certificates, chunks. It does so in a thread of its own, so
that no server can hold up the job, whatever it sends or leaves unsent.
"""

import contextlib
import hashlib
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import requests

from semcom.common.errors import InputError
from semcom.common.files import is_disk_full, outside_fault, written_atomically

KEPT = ".verified"  # folder of the verified files, named by checksum

# An address that is slower than this over the window is left for another try. 2.97 GB would take 34 days so; the window
# outlasts a network that is away for a moment. No server may be silent for longer either.
LEAST_BYTES_PER_SECOND = 1000
WINDOW_SECONDS = 60.0
ATTEMPTS = 5  # in a row that bring less than a window's least, per address
BACKOFF_SECONDS = 2.0  # before the second attempt, doubled before each further one
REDIRECTS = 10

_BLOCK = 2**20
_REMEDY = "or name files that you already have in the config, under data.files"
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int], None]


class _AddressFailed(Exception):
    """This address will not give the file; the next one may."""


class _TransferBroken(Exception):
    """This attempt failed; another at the same address may continue it."""


def download(urls: Sequence[str], target: Path, *, sha256: str, size: int, progress: Progress | None = None) -> None:
    """Put a file at `target`: one that is there already under any name, else from the first of `urls` that delivers it.

    Of two processes that download the same file, one must wait for the other: `kept_path` names the file to lock.

    Args:
        urls: addresses of the same file, tried in turn.
        target: the file's name; a verified file of any name beside it is taken, whoever put it there.
        sha256: hexadecimal digest of the whole file.
        size: bytes of the whole file; an address that offers another size is passed over.
        progress: called with (bytes on disk, bytes in all) as the transfer goes on.

    Raises:
        InputError: no address delivered the file (the message names each with its fault), or the disk is full or
            cannot be written. A part that may still be continued is kept, and so is an older file at `target`.
    """
    target = Path(target)
    kept = kept_path(target, sha256)
    part = kept.with_name(kept.name + ".part")
    try:
        if not _is_verified(kept, sha256, size):
            here = _found_beside(target, sha256, size)
            if here is None:
                _fetch_from_any(urls, target, part, sha256, size, progress)
                os.replace(part, kept)
            else:
                _name_also(here, kept)
        if not (target.exists() and target.samefile(kept)):
            _name_also(kept, target)
    except OSError as error:
        if is_disk_full(error):
            raise InputError(
                f"{part}: the disk is full; make room in {part.parent} and run again, which continues from here, "
                f"{_REMEDY}"
            ) from error
        if line := outside_fault(error, error.filename or target):
            raise InputError(f"{line}, {_REMEDY}") from error
        raise


def kept_path(target: Path, sha256: str) -> Path:
    """Where the verified file of `target` is kept."""
    return Path(target).parent / KEPT / sha256.lower()


def verify_sha256(path: Path, sha256: str) -> bool:
    """Whether the file at `path` has this SHA-256 hexadecimal digest."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()


def _is_verified(path: Path, sha256: str, size: int) -> bool:
    return path.is_file() and _size(path) == size and verify_sha256(path, sha256)


def _found_beside(target: Path, sha256: str, size: int) -> Path | None:
    """The same file under `target` or another name in its folder, as an earlier version or the user named it."""
    for path in sorted(target.parent.glob("*")):
        with contextlib.suppress(OSError):
            if _is_verified(path, sha256, size):
                return path
    return None


def _name_also(path: Path, name: Path) -> None:
    """Give a file another name: a hard link, or a copy where the file system has none."""
    with written_atomically(name) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(path.resolve(), temporary)
        except OSError:
            shutil.copyfile(path, temporary)


def _fetch_from_any(
    urls: Sequence[str], target: Path, part: Path, sha256: str, size: int, progress: Progress | None
) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    faults = []
    for url in urls:
        before = _size(part)
        try:
            return _fetch(url, part, sha256, size, progress)
        except _AddressFailed as fault:
            faults.append(f"{url}: {fault}")
        if 0 < _size(part) - before < LEAST_BYTES_PER_SECOND * WINDOW_SECONDS:
            # So little may as well be a page of text, after which every mirror would send the whole file in vain.
            os.truncate(part, before)
    raise InputError(
        f"{target}: no address delivered the file ({'; '.join(faults) or 'none is given'}); try again later, {_REMEDY}"
    )


def _fetch(url: str, part: Path, sha256: str, size: int, progress: Progress | None) -> None:
    """Complete and verify `part` from one address, in as many attempts as it takes."""
    if _size(part) > size:
        part.unlink()
    fruitless, furthest = 0, _size(part)
    resumed = restarted = False
    while True:
        resumed |= _size(part) > 0
        try:
            if _size(part) < size:
                _transfer(url, part, size, progress)
        except _TransferBroken as fault:
            # Only new ground counts: a server that always breaks after the same bytes, or after one more, would never end.
            gained = _size(part) - furthest
            fruitless = 0 if gained >= LEAST_BYTES_PER_SECOND * WINDOW_SECONDS else fruitless + 1
            furthest += max(0, gained)
            if fruitless == ATTEMPTS:
                raise _AddressFailed(f"{fault}, {ATTEMPTS} times in a row") from fault
            time.sleep(BACKOFF_SECONDS * 2 ** max(0, fruitless - 1))
            continue
        with part.open("rb") as file:
            os.fsync(file.fileno())  # else a machine that goes down may leave an empty file under the verified name
        if verify_sha256(part, sha256):
            return
        part.unlink()
        if restarted or not resumed:
            raise _AddressFailed("the file has another SHA-256")
        # An earlier run, another address, or a file that changed meanwhile may be at fault: once more, from the start.
        resumed, restarted, furthest = False, True, 0


def _transfer(url: str, part: Path, size: int, progress: Progress | None) -> None:
    """One attempt: append to `part` until it is as long as the file. What it has already is never shortened."""
    offset = _size(part)
    free = shutil.disk_usage(part.parent).free
    if free < size - offset:
        raise InputError(
            f"{part}: needs {(size - offset) / 1e6:.0f} MB more, but {free / 1e6:.0f} MB are free in {part.parent}; make "
            f"room, {_REMEDY}"
        )
    with contextlib.closing(_in_time(_answer(url, offset, size))) as answer:
        position = _start(next(answer), offset, size)
        with part.open("ab") as file:
            for block in answer:
                new = block[max(0, offset - position) : size - position]
                position += len(block)
                offset += file.write(new)
                if progress is not None:
                    progress(offset, size)
                if offset == size:
                    return
    raise _TransferBroken(f"the connection ended at {position} of {size} bytes")


def _answer(url: str, offset: int, size: int) -> Iterator[requests.Response | bytes]:
    """What an address answers to a request for all from `offset` on: the response, then its body block by block."""
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "semcom"})
        if offset:
            session.headers["Range"] = f"bytes={offset}-"
        # requests reads the body of a redirect, however long, unless it is closed.
        session.hooks["response"] = lambda response, **_: response.close() if response.is_redirect else None
        with session.get(url, stream=True, timeout=WINDOW_SECONDS) as response:
            yield response
            response.raw.enforce_content_length = False  # the file's own size decides, whatever the header states
            decode = _is_compressed(response, size)
            while block := response.raw.read1(_BLOCK, decode_content=decode):
                yield block


def _in_time(answer: Iterator[requests.Response | bytes]) -> Iterator[requests.Response | bytes]:
    """What `answer` gives, made in a thread, which is left to itself when the answer is too slow.

    Time limits of sockets are for each read. A server that sends a byte now and then, in its body, its header or the
    handshake, keeps all of them. Only time spent in waiting for the address counts, not the disk's.

    Raises:
        _AddressFailed, _TransferBroken: the answer failed, or was too slow.
    """
    received = queue.Queue(maxsize=4)
    left = threading.Event()

    def receive() -> None:
        try:
            with contextlib.closing(answer):
                for item in answer:
                    received.put(item)
                    if left.is_set():
                        return
            received.put(None)
        except Exception as error:  # a server has many ways to upset a library, and every one is the address's fault
            received.put(error)

    threading.Thread(target=receive, daemon=True).start()
    try:
        waited, count = 0.0, 0
        while True:
            began = time.monotonic()
            try:
                item = received.get(timeout=max(0.0, WINDOW_SECONDS - waited))
            except queue.Empty:
                item = b""
            waited += time.monotonic() - began
            if item is None:
                return
            if isinstance(item, Exception):
                # A ValueError is an address, own or redirected to, or a header that cannot be read.
                lasting = isinstance(item, ValueError | requests.TooManyRedirects)
                raise (_AddressFailed if lasting else _TransferBroken)(_words(item)) from item
            if isinstance(item, bytes):
                count += len(item)
            if waited >= WINDOW_SECONDS:
                if count < LEAST_BYTES_PER_SECOND * WINDOW_SECONDS:
                    raise _TransferBroken(f"sent {count} bytes in {WINDOW_SECONDS:g} s")
                waited, count = 0.0, 0
            if item != b"":
                yield item
    finally:
        left.set()
        with contextlib.suppress(queue.Empty):  # the thread may be waiting to put something there
            while True:
                received.get_nowait()


def _start(response: requests.Response, offset: int, size: int) -> int:
    """Where in the file this response starts, checked by its header.

    Raises:
        _AddressFailed, _TransferBroken: it is not of the file.
    """
    status = response.status_code
    if status not in (200, 206):
        fault = f"HTTP {status} {response.reason}".strip()
        raise (_TransferBroken if status in _TRANSIENT_STATUS else _AddressFailed)(fault)
    compressed = _is_compressed(response, size)
    start, total = 0, None if compressed else _stated_length(response)
    if status == 206:
        content_range = re.fullmatch(
            r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if compressed or content_range is None or int(content_range[1]) != offset:
            raise _AddressFailed("answered with another range than asked for")
        start, total = offset, None if content_range[2] == "*" else int(content_range[2])
    if total != size and response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _AddressFailed("answered with a web page")
    if total not in (None, size):
        raise _AddressFailed(f"offers {total} bytes, expected {size}")
    return start


def _is_compressed(response: requests.Response, size: int) -> bool:
    """Whether the body is to be decompressed. Servers also say so of a file that is itself a .gz; its length tells."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return coding not in ("", "identity") and _stated_length(response) != size


def _stated_length(response: requests.Response) -> int | None:
    """The body's length as the header states it; None if it does not, or not in one number."""
    stated = {length.strip() for length in response.headers.get("Content-Length", "").split(",")}
    length = stated.pop()
    return int(length) if not stated and re.fullmatch("[0-9]{1,18}", length) else None


def _words(error: BaseException) -> str:
    """What lies under the library's layers of an error, in one line."""
    through = "the proxy: " if isinstance(error, requests.exceptions.ProxyError) else ""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return through + " ".join(words.split())[:200]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
