"""Rule `download` as a user meets it: what is verified is never fetched again, and never lost to a failing job."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import run_snakemake
from semcom.config import paths
from semcom.data.download import KEPT
from semcom.data.readers.nyud2 import FILES

pytestmark = pytest.mark.slow

CONTENT = {name: np.random.default_rng(seed).bytes(100_000) for seed, name in enumerate(FILES)}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
PATHS = {name: paths.download(name, sha256) for name, sha256 in SHA256.items()}


class Handler(BaseHTTPRequestHandler):
    """Serves a file at `/<its name>/content`, as soon as it may."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.may_answer.wait(60)
        content = CONTENT.get(self.path.split("/")[1]) if self.server.has_files else None
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.may_answer, running.has_files = [], threading.Event(), True
        running.may_answer.set()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.may_answer.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def configured(checkout, server) -> Callable[..., str]:
    """Writes a configuration that downloads both files, with something changed, and gives the option that names it."""

    def configure(mirrors: tuple[str, ...] = (), **sha256: str) -> str:
        data = yaml.safe_load((checkout / "tests/config.yaml").read_text())["data"]
        remote = {
            name: {
                "urls": [*mirrors, f"http://127.0.0.1:{server.server_port}/{name}/content"],
                "sha256": sha256.get(name, SHA256[name]),
                "bytes": len(content),
            }
            for name, content in CONTENT.items()
        }
        text = {"extends": "tests/config.yaml", "data": data | {"reader": "nyud2", "rooms": None, "download": remote}}
        (checkout / "mine.yaml").write_text(yaml.safe_dump(text))
        return "--configfile=mine.yaml"

    return configure


def assert_whole(checkout: Path, *names: str) -> None:
    for name in names or FILES:
        assert (checkout / PATHS[name]).read_bytes() == CONTENT[name]
        assert (checkout / paths.DOWNLOADS / KEPT / SHA256[name]).read_bytes() == CONTENT[name]


def test_files_whose_addresses_end_alike_are_two(checkout, server, configured):
    done = run_snakemake(checkout, *PATHS.values(), configured())
    assert done.returncode == 0, done.stdout
    assert_whole(checkout)
    assert sorted(server.asked) == [f"/{name}/content" for name in sorted(FILES)]


def test_a_file_with_another_checksum_is_no_file(checkout, configured):
    wrong = paths.download("splits_mat", "0" * 64)
    done = run_snakemake(checkout, "--keep-going", PATHS["labeled_mat"], wrong, configured(splits_mat="0" * 64))
    assert done.returncode != 0
    assert "splits_mat-0000" in done.stdout and "another SHA-256" in done.stdout and "data.files" in done.stdout
    assert_whole(checkout, "labeled_mat")
    assert not (checkout / wrong).exists() and not (checkout / paths.DOWNLOADS / KEPT / ("0" * 64)).exists()


def test_a_verified_file_is_neither_fetched_again_nor_lost(checkout, server, configured):
    assert run_snakemake(checkout, *PATHS.values(), configured()).returncode == 0
    asked, server.has_files = list(server.asked), False  # no address answers from now on
    mirror = configured(mirrors=(f"http://127.0.0.1:{server.server_port}/mirror",))
    done = run_snakemake(checkout, *PATHS.values(), mirror)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout
    script = checkout / "workflow/scripts/download.py"
    script.write_text(script.read_text() + "\n# changed\n")
    for options in ([], ["--forcerun", "download"]):
        done = run_snakemake(checkout, *PATHS.values(), mirror, *options)
        assert done.returncode == 0, done.stdout
        assert_whole(checkout)
    done = run_snakemake(checkout, *PATHS.values(), mirror, "--delete-all-output")
    assert done.returncode == 0 and not any((checkout / path).exists() for path in PATHS.values())
    done = run_snakemake(checkout, *PATHS.values(), mirror)
    assert done.returncode == 0, done.stdout
    assert_whole(checkout)
    assert server.asked == asked


def test_a_file_of_an_earlier_version_s_name_is_taken(checkout, server, configured):
    earlier = checkout / paths.DOWNLOADS / "nyu_depth_v2_labeled.mat"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(CONTENT["labeled_mat"])
    done = run_snakemake(checkout, PATHS["labeled_mat"], configured())
    assert done.returncode == 0, done.stdout
    assert_whole(checkout, "labeled_mat")
    assert server.asked == []


def test_of_two_that_want_a_file_the_second_waits_and_takes_it(checkout, server, configured):
    server.may_answer.clear()
    path, option = PATHS["labeled_mat"], configured()
    command = [Path(sys.executable).with_name("snakemake"), "--cores", "1", "--nolock", path, option]

    def start() -> subprocess.Popen:
        return subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    first = start()
    read = ""
    while not server.asked:
        assert first.poll() is None
        threading.Event().wait(0.05)
    second = start()
    while "waiting: process" not in read:
        line = second.stdout.readline()
        assert line, read
        read += line
    server.may_answer.set()
    told = first.communicate()[0], read + second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert_whole(checkout, "labeled_mat")
    assert server.asked == ["/labeled_mat/content"]
    assert not list((checkout / paths.DOWNLOADS / KEPT).glob("*.lock"))
