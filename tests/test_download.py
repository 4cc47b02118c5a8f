"""Downloads from a real HTTP server on this machine that breaks in the ways servers do."""

import hashlib
import http.server
import re
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from semcom.common.errors import InputError
from semcom.data import download as module
from semcom.data.download import download, verify_sha256

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = bytes(len(CONTENT))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the first part of the path says how."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        behaviour = self.path.strip("/")
        asked = self.headers.get("Range")
        self.server.requests.append((behaviour, asked))
        seen = [name for name, _ in self.server.requests].count(behaviour)
        body, status, headers = CONTENT, 200, {}
        if behaviour == "missing":
            return self.answer(404, b"")
        if behaviour == "busy-once" and seen == 1:
            return self.answer(503, b"")
        if behaviour == "page":
            return self.answer(200, b"<html>moved</html>", {"Content-Type": "text/html; charset=utf-8"})
        if behaviour == "wrong":
            body = WRONG
        if behaviour == "short":
            body = CONTENT[:1000]
        if asked and not behaviour.startswith("no-range"):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            if behaviour == "shifted":
                start -= 1
            status, headers = 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            body = body[start:]
        if (behaviour, seen) in {("cut-twice", 1), ("cut-twice", 2), ("no-range-cut-once", 1)}:
            return self.answer(status, body, headers, sent=100_000)
        if behaviour == "no-range-cut-always":
            return self.answer(status, body, headers, sent=100_000)
        if behaviour == "cut-always":
            return self.answer(status, body, headers, sent=0 if asked else 100_000)
        if behaviour == "no-length":
            self.close_connection = True
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)
            return None
        return self.answer(status, body, headers)

    def answer(self, status, body, headers=None, sent=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "BACKOFF_SECONDS", 0)
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 5)
    monkeypatch.setattr(module, "_BLOCK", 10_000)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.url = lambda behaviour: f"http://127.0.0.1:{running.server_address[1]}/{behaviour}"
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "data" / "file.mat"


def part_of(target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    return target.with_name("file.mat.part")


def fetch(server, target, *behaviours, sha256=SHA256, size=len(CONTENT), **options):
    download([server.url(behaviour) for behaviour in behaviours], target, sha256=sha256, size=size, **options)


def assert_whole(target):
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("behaviour", ["plain", "busy-once", "no-length", "no-range-cut-once"])
def test_file_arrives(server, target, behaviour, size):
    fetch(server, target, behaviour, size=size)
    assert_whole(target)


def test_transfer_cut_in_the_middle_is_continued_where_it_broke(server, target):
    fetch(server, target, "cut-twice")
    assert_whole(target)
    assert server.requests == [("cut-twice", None), ("cut-twice", "bytes=100000-"), ("cut-twice", "bytes=200000-")]


def test_part_of_an_earlier_run_is_continued(server, target):
    part_of(target).write_bytes(CONTENT[:250_000])
    fetch(server, target, "plain")
    assert_whole(target)
    assert server.requests == [("plain", "bytes=250000-")]


def test_server_that_ignores_range_starts_over(server, target):
    part_of(target).write_bytes(CONTENT[:250_000])
    fetch(server, target, "no-range")
    assert_whole(target)
    assert server.requests == [("no-range", "bytes=250000-")]


def test_server_that_ignores_range_and_always_breaks_is_given_up(server, target):
    with pytest.raises(InputError, match="ended at 100000 of 300000 bytes, 3 times in a row"):
        fetch(server, target, "no-range-cut-always")
    assert len(server.requests) == 4  # the first one gained ground


def test_whole_part_needs_no_transfer(server, target):
    part_of(target).write_bytes(CONTENT)
    fetch(server, target, "plain")
    assert_whole(target)
    assert server.requests == []


def test_whole_part_of_unknown_size_is_accepted_after_416(server, target):
    part_of(target).write_bytes(CONTENT)
    fetch(server, target, "plain", size=None)
    assert_whole(target)
    assert server.requests == [("plain", "bytes=300000-")]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_part_longer_than_the_file_is_dropped(server, target, size):
    part_of(target).write_bytes(CONTENT + b"more")
    fetch(server, target, "plain", size=size)
    assert_whole(target)


def test_damaged_part_costs_one_more_transfer_from_the_same_address(server, target):
    part_of(target).write_bytes(WRONG[:1000])
    fetch(server, target, "plain")
    assert_whole(target)
    assert server.requests == [("plain", "bytes=1000-"), ("plain", None)]


def test_wrong_checksum_then_a_good_mirror(server, target):
    fetch(server, target, "wrong", "plain")
    assert_whole(target)
    assert [name for name, _ in server.requests] == ["wrong", "plain"]


@pytest.mark.parametrize("bad", ["missing", "page", "short", "shifted"])
def test_bad_address_costs_no_bytes_that_are_already_there(server, target, bad):
    part_of(target).write_bytes(CONTENT[:200_000])
    fetch(server, target, bad, "plain")
    assert_whole(target)
    assert server.requests[-1] == ("plain", "bytes=200000-")


def test_all_addresses_fail(server, target):
    with pytest.raises(InputError) as error:
        download(
            [server.url("missing"), server.url("page"), server.url("wrong"), "http://127.0.0.1:1/x", "no address"],
            target,
            sha256=SHA256,
            size=None,
        )
    message = str(error.value)
    assert "\n" not in message
    for words in (
        "file.mat",
        "/missing: HTTP 404",
        "/page: answered with a web page",
        "/wrong: the file has another SHA-256",
        "http://127.0.0.1:1/x: Connection refused",
        "no address: unknown url type",
        "under data.files",
    ):
        assert words in message
    assert not target.exists()
    assert not part_of(target).exists()


def test_connection_lost_for_good_keeps_the_part(server, target):
    with pytest.raises(InputError, match="3 times in a row"):
        fetch(server, target, "cut-always")
    assert part_of(target).read_bytes() == CONTENT[:100_000]


def test_finished_file_is_not_fetched_again_and_a_wrong_one_is_replaced(server, target):
    part_of(target)
    target.write_bytes(CONTENT)
    fetch(server, target, "missing")
    assert server.requests == []
    target.write_bytes(WRONG)
    fetch(server, target, "plain")
    assert_whole(target)


def test_failure_leaves_an_older_file_untouched(server, target):
    part_of(target)
    target.write_bytes(b"older")
    with pytest.raises(InputError):
        fetch(server, target, "wrong")
    assert target.read_bytes() == b"older"


def test_room_on_disk_is_checked_less_what_is_there(server, target, monkeypatch):
    part_of(target).write_bytes(CONTENT[:200_000])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 99_999, 99_999))
    with pytest.raises(InputError, match=r"file\.mat\.part: needs 0 MB more.*data\.files"):
        fetch(server, target, "plain")
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 100_000, 100_000))
    fetch(server, target, "plain")
    assert_whole(target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_disk_full_during_the_transfer(server, target):
    part_of(target).symlink_to("/dev/full")  # every write fails with ENOSPC
    with pytest.raises(InputError, match=r"file\.mat\.part: the disk is full"):
        fetch(server, target, "plain", "plain")
    assert len(server.requests) == 1
    assert part_of(target).is_symlink()
    assert not target.exists()


def test_progress_counts_bytes_on_disk(server, target):
    calls = []
    part_of(target).write_bytes(CONTENT[:250_000])
    fetch(server, target, "plain", progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[0][0] > 250_000
    assert calls[-1] == (300_000, 300_000)


def test_verify_sha256(tmp_path):
    (tmp_path / "x").write_bytes(CONTENT)
    assert verify_sha256(tmp_path / "x", SHA256.upper())
    assert not verify_sha256(tmp_path / "x", hashlib.sha256(WRONG).hexdigest())
