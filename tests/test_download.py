"""Downloads from real servers on this machine that break in the ways servers do."""

import contextlib
import gzip
import hashlib
import http.server
import os
import re
import shutil
import socketserver
import ssl
import subprocess
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from semcom.common.errors import InputError
from semcom.data import download as module
from semcom.data.download import download, kept_path, verify_sha256

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
        if behaviour == "changes" and seen == 1:
            return self.answer(200, WRONG, {"ETag": "first"}, sent=100_000)
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
        if behaviour in ("drip", "slow"):
            return self.answer(status, body, headers, each=(1, 0.05) if behaviour == "drip" else (20_000, 0.05))
        if behaviour == "crumbs":
            return self.answer(status, body, headers, sent=1)
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

    def answer(self, status, body, headers=None, sent=None, each=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        size, pause_s = each or (len(body), 0)
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body[:sent]), size or 1):
                self.wfile.write(body[:sent][start : start + size])
                time.sleep(pause_s)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "BACKOFF_SECONDS", 0)
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    monkeypatch.setattr(module, "WINDOW_SECONDS", 5)
    monkeypatch.setattr(module, "LEAST_BYTES_PER_SECOND", 200)
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
    kept = kept_path(target, SHA256)
    kept.parent.mkdir(parents=True, exist_ok=True)
    return kept.with_name(f"{SHA256}.part")


def fetch(server, target, *behaviours, sha256=SHA256, size=len(CONTENT), **options):
    download([server.url(behaviour) for behaviour in behaviours], target, sha256=sha256, size=size, **options)


def assert_whole(target):
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


@pytest.mark.parametrize("behaviour", ["plain", "busy-once", "no-length", "no-range-cut-once", "changes"])
def test_file_arrives(server, target, behaviour):
    fetch(server, target, behaviour)
    assert_whole(target)
    assert kept_path(target, SHA256).samefile(target)


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


def test_part_longer_than_the_file_is_dropped(server, target):
    part_of(target).write_bytes(CONTENT + b"more")
    fetch(server, target, "plain")
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


# What an address may answer that is not the file: bytes as they go over the wire, or a function of the connection.

OK, PARTIAL = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 Partial Content\r\n"


def redirect(location: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n" + body


def without_end(head: bytes, block: bytes, pause_s: float = 0):
    def answer(connection):
        connection.write(head)
        while True:
            connection.write(block)
            time.sleep(pause_s)

    return answer


def silent(connection):
    connection.flush()
    time.sleep(4)


NOT_THE_FILE = {
    "nothing": b"",
    "http-0.9": b"<html>welcome</html>\r\n",
    "binary": bytes(range(256)) * 10,
    "length-twice": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "two-lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "length-abc": OK + b"Content-Length: abc\r\n\r\nabc",
    "length-negative": OK + b"Content-Length: -1\r\n\r\nabc",
    "length-of-5000-digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    "text-page": OK + b"Content-Type: text/plain\r\n\r\nplease log in",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "not-satisfiable": b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
    "unknown-status": b"HTTP/1.1 999 Denied\r\n\r\n",
    "no-range": PARTIAL + b"Content-Length: 3\r\n\r\nabc",
    "other-range": PARTIAL + b"Content-Range: bytes 5-7/300000\r\nContent-Length: 3\r\n\r\nabc",
    "other-total": PARTIAL + b"Content-Range: bytes 200000-200002/200003\r\nContent-Length: 3\r\n\r\nabc",
    "several-ranges": PARTIAL + b"Content-Type: multipart/byteranges; boundary=x\r\n\r\n--x\r\n",
    "compressed-range": PARTIAL + b"Content-Encoding: gzip\r\nContent-Range: bytes 200000-299999/300000\r\n\r\nabc",
    "compressed-not": OK + b"Content-Encoding: gzip\r\n\r\nabc",
    "compressed-cut": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(CONTENT)[:1000],
    "compressed-page": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"please log in"),
    "chunks-cut": OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
    "chunks-wrong": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc",
    "header-too-long": OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "headers-too-many": OK + b"X: x\r\n" * 1000 + b"\r\n",
    "redirect-bracket": redirect(b"http://[bad/"),
    "redirect-port": redirect(b"http://127.0.0.1:99999/"),
    "redirect-label": redirect(b"http://" + b"x" * 70 + b".invalid/"),
    "redirect-idn": redirect(b"http://\xc3\xbc..invalid/"),
    "redirect-file": redirect(b"file:///etc/passwd"),
    "redirect-ftp": redirect(b"ftp://127.0.0.1/x"),
    "redirect-loop": redirect(b"/redirect-loop"),
    "redirect-nowhere": b"HTTP/1.1 302 Found\r\n\r\n",
    "redirect-empty": redirect(b""),
    "redirect-without-end": without_end(redirect(b"/nothing"), bytes(100_000)),
    "headers-without-end": without_end(OK, b"X: x\r\n"),
    "continue-without-end": without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "silent": silent,
    "drip-status": without_end(b"", b"H", 0.1),
    "drip-header": without_end(OK + b"X: ", b"x", 0.1),
    "drip-body": without_end(OK + b"\r\n", CONTENT[:1], 0.1),
    "drip-chunks": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.1),
}


class Raw(socketserver.StreamRequestHandler):
    """Answers what `NOT_THE_FILE` has under the path."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode().strip("/")
        while self.rfile.readline().strip():
            pass
        self.server.requests.append(path)
        answer = NOT_THE_FILE[path]
        with contextlib.suppress(ConnectionError):
            answer(self.wfile) if callable(answer) else self.wfile.write(answer)


@pytest.fixture
def raw(server):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Raw) as running:
        running.daemon_threads, running.block_on_close, running.requests = True, False, []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.url = lambda behaviour: f"http://127.0.0.1:{running.server_address[1]}/{behaviour}"
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("there", [0, 200_000])
@pytest.mark.parametrize("behaviour", NOT_THE_FILE)
def test_whatever_an_address_does_the_next_is_tried_and_no_byte_is_lost(
    raw, server, target, behaviour, there, monkeypatch
):
    if behaviour.startswith(("drip", "silent", "continue")):
        monkeypatch.setattr(module, "WINDOW_SECONDS", 0.3)
    if there:
        part_of(target).write_bytes(CONTENT[:there])
    download([raw.url(behaviour), server.url("plain")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)
    assert raw.requests[0] == behaviour and len(raw.requests) <= 1 + module.REDIRECTS
    assert server.requests == [("plain", f"bytes={there}-" if there else None)]


@pytest.mark.parametrize("slow", ["drip", "crumbs"])
def test_a_server_below_the_least_speed_is_left_for_the_next(server, target, slow, monkeypatch):
    """Its bytes are right and always one more, within every time limit of a socket; or one in each connection."""
    monkeypatch.setattr(module, "WINDOW_SECONDS", 0.3)
    part_of(target).write_bytes(CONTENT[:200_000])
    fetch(server, target, slow, "plain")
    assert_whole(target)
    assert [name for name, _ in server.requests] == [slow] * module.ATTEMPTS + ["plain"]
    assert server.requests[-1] == ("plain", "bytes=200000-")


def test_a_slow_server_is_waited_for_as_long_as_it_keeps_the_least_speed(server, target, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_SECONDS", 0.2)
    began = time.monotonic()
    fetch(server, target, "slow")
    assert_whole(target)
    assert len(server.requests) == 1 and time.monotonic() - began > 3 * module.WINDOW_SECONDS


def test_a_slow_disk_is_not_the_address_s_fault(server, target, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_SECONDS", 0.2)
    monkeypatch.setattr(module, "LEAST_BYTES_PER_SECOND", 1_000_000)
    fetch(server, target, "plain", progress=lambda done, total: time.sleep(0.02))  # after 10 kB each
    assert_whole(target)
    assert len(server.requests) == 1


def test_a_body_beyond_the_file_is_not_waited_for(raw, server, target, monkeypatch):
    monkeypatch.setitem(NOT_THE_FILE, "endless", without_end(OK + b"\r\n", bytes(100_000)))
    monkeypatch.setitem(NOT_THE_FILE, "file-and-more", without_end(OK + b"\r\n" + CONTENT, bytes(100_000)))
    with pytest.raises(InputError, match="endless: the file has another SHA-256"):
        download([raw.url("endless")], target, sha256=SHA256, size=len(CONTENT))
    assert not part_of(target).exists()
    download([raw.url("file-and-more")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 300000, 300000\r\n\r\n",
        OK + b"Content-Length: abc\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 300000\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 300000\r\n\r\n",  # said of a file that is a .gz
    ],
)
def test_a_strange_header_before_the_right_file_is_no_fault(raw, target, head, monkeypatch):
    monkeypatch.setitem(NOT_THE_FILE, "strange", head + CONTENT)
    download([raw.url("strange")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)


@pytest.mark.parametrize("there", [0, 250_000])
def test_a_server_that_compresses_unasked_is_understood(raw, target, there, monkeypatch):
    monkeypatch.setitem(NOT_THE_FILE, "gzip", OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(CONTENT))
    if there:
        part_of(target).write_bytes(CONTENT[:there])
    download([raw.url("gzip")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)


def test_a_redirect_to_the_file_is_followed_and_continued(raw, server, target, monkeypatch):
    monkeypatch.setitem(NOT_THE_FILE, "moved", redirect(server.url("plain").encode()))
    part_of(target).write_bytes(CONTENT[:200_000])
    download([raw.url("moved")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)
    assert server.requests == [("plain", "bytes=200000-")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://127.0.0.1:1/x",
        "http://",
        "http://[bad/",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:port/x",
        "http://" + "x" * 70 + ".invalid/x",
        "http://ü..invalid/x",
        "http://no host/x",
    ],
)
def test_an_address_that_is_none_is_passed_over(server, target, url):
    download([url, server.url("plain")], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)


def test_a_certificate_that_nobody_signed_is_passed_over(server, target, tmp_path):
    pem = tmp_path / "server.pem"
    asked = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    try:
        subprocess.run([*asked, "-keyout", pem, "-out", f"{pem}.crt"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as own:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{pem}.crt", pem)
        own.socket, own.requests = context.wrap_socket(own.socket, server_side=True), []
        own.handle_error = lambda *_: None  # the client ends the handshake
        thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        https = f"https://127.0.0.1:{own.server_address[1]}/plain"
        try:
            with pytest.raises(InputError, match=f"{https}: .*certificate verify failed"):
                download([https], target, sha256=SHA256, size=len(CONTENT))
            plain_port = server.url("plain").replace("http:", "https:")
            download([https, plain_port, server.url("plain")], target, sha256=SHA256, size=len(CONTENT))
        finally:
            own.shutdown()
            thread.join()
    assert_whole(target)
    assert own.requests == []


def test_the_proxy_of_the_environment_is_used_and_one_that_is_dead_is_named(server, target, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(InputError, match="http://data.invalid/plain: the proxy: Connection refused"):
        download(["http://data.invalid/plain"], target, sha256=SHA256, size=len(CONTENT))
    monkeypatch.setenv("http_proxy", server.url(""))
    download(["http://data.invalid/plain"], target, sha256=SHA256, size=len(CONTENT))
    assert_whole(target)
    assert server.requests == [("http://data.invalid/plain", None)]


def test_all_addresses_fail(server, target):
    with pytest.raises(InputError) as error:
        download(
            [server.url("missing"), server.url("page"), server.url("wrong"), "http://127.0.0.1:1/x", "no address"],
            target,
            sha256=SHA256,
            size=len(CONTENT),
        )
    message = str(error.value)
    assert "\n" not in message
    for words in (
        "file.mat: no address delivered",
        "/missing: HTTP 404",
        "/page: answered with a web page",
        "/wrong: the file has another SHA-256",
        "http://127.0.0.1:1/x: Connection refused",
        "; no address: Failed to parse",
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


def test_a_verified_file_outlives_its_name(server, target):
    """As when Snakemake removes an output before the job, and no address answers then."""
    fetch(server, target, "plain")
    target.unlink()
    fetch(server, target, "missing")
    assert_whole(target)
    assert kept_path(target, SHA256).samefile(target)
    assert len(server.requests) == 1


def test_a_kept_file_that_has_changed_is_fetched_again(server, target):
    fetch(server, target, "plain")
    with target.open("r+b") as file:
        file.write(b"spoiled")
    with pytest.raises(InputError, match="HTTP 404"):
        fetch(server, target, "missing")
    fetch(server, target, "plain")
    assert_whole(target)
    assert kept_path(target, SHA256).read_bytes() == CONTENT


def test_a_file_of_another_name_is_taken_by_its_checksum(server, target):
    part_of(target)
    (target.parent / "as_its_address_ends.mat").write_bytes(CONTENT)
    (target.parent / "another_of_that_size.mat").write_bytes(WRONG)
    fetch(server, target, "missing")
    assert_whole(target)
    assert server.requests == []
    assert target.samefile(target.parent / "as_its_address_ends.mat")  # no room for a second one


def test_a_file_that_cannot_be_linked_is_copied(server, target, tmp_path):
    elsewhere = Path("/dev/shm") / f"semcom-test-{os.getpid()}.mat"
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    part_of(target)
    (target.parent / "link.mat").symlink_to(elsewhere)
    try:
        elsewhere.write_bytes(CONTENT)
        fetch(server, target, "missing")
    finally:
        elsewhere.unlink()
    assert_whole(target)
    assert not target.is_symlink() and not kept_path(target, SHA256).is_symlink()


@pytest.mark.parametrize(
    ("folder", "fault"), {"file": "is a file where a folder is wanted", "/sys": "no permission"}.items()
)
def test_a_folder_that_cannot_be_written_is_named(server, tmp_path, folder, fault):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"{folder}.*: {fault}.*data\.files") as error:
        fetch(server, tmp_path / folder / "file.mat", "plain")
    assert "\n" not in str(error.value)
    assert server.requests == []


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
    with pytest.raises(InputError, match=r"\.part: needs 0 MB more.*data\.files"):
        fetch(server, target, "plain")
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 100_000, 100_000))
    fetch(server, target, "plain")
    assert_whole(target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_disk_full_during_the_transfer(server, target):
    part_of(target).symlink_to("/dev/full")  # every write fails with ENOSPC
    with pytest.raises(InputError, match=r"\.part: the disk is full"):
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
