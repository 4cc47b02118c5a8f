"""Glue: raw files to scenes.h5."""

from pathlib import Path

from semcom.common.checksums import check_content, check_derived, write_checksum
from semcom.common.reporting import Progress, logger, reported_to
from semcom.data.ingest import ingest
from semcom.runs.alone import alone

with reported_to(snakemake.log[0]), alone(snakemake.output, dict(snakemake.params.items()), snakemake.input):
    check_derived(snakemake.input)
    check_content(snakemake.params.content)
    counts = ingest(
        snakemake.params.reader,
        snakemake.params.files,
        Path(snakemake.output.scenes),
        size=snakemake.params.size,
        counts_csv=Path(snakemake.output.counts),
        progress=Progress("ingest", None, "scene").of,
    )
    write_checksum(snakemake.output.scenes)
    logger.info("scenes per class\n%s", counts.to_string(index=False))
