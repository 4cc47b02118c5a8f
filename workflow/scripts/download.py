"""Glue: one raw file, from what is kept or fetched."""

import os
import socket
from pathlib import Path

from semcom.common.reporting import Progress, reported_to
from semcom.data.download import download, kept_path
from semcom.runs.lock import Lock
from semcom.runs.record import process_in_words

with reported_to(snakemake.log[0]):
    name, target = snakemake.params.name, Path(snakemake.output[0])
    remote = snakemake.config["data"]["download"][name]
    progress = Progress(f"download {name}", remote["bytes"] // 2**20, "MiB", start=None)
    kept = kept_path(target, remote["sha256"])
    lock = Lock(kept.with_name(f"{kept.name}.lock"))
    lock.wait(lambda: lock.noted() or "another process")
    lock.note(process_in_words(os.getpid(), socket.gethostname(), None))
    try:
        download(
            remote["urls"],
            target,
            sha256=remote["sha256"],
            size=remote["bytes"],
            progress=lambda done, total: progress(done // 2**20),
        )
    finally:
        lock.release(remove=True)
