"""Glue: fetch one raw file."""

from pathlib import Path

from semcom.common.reporting import Progress, reported_to
from semcom.data.download import download

with reported_to(snakemake.log[0]):
    remote = snakemake.params.remote
    progress = Progress(f"download {snakemake.wildcards.file}", remote["bytes"] // 2**20, "MiB", start=None)
    download(
        remote["urls"],
        Path(snakemake.output[0]),
        sha256=remote["sha256"],
        size=remote["bytes"],
        progress=lambda done, total: progress(done // 2**20),
    )
