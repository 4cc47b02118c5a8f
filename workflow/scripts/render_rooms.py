"""Glue: render the built-in data set."""

from pathlib import Path

from semcom.common.checksums import write_checksum
from semcom.common.reporting import Progress, reported_to
from semcom.rooms.dataset import write_rooms
from semcom.runs.alone import alone

rooms = snakemake.params.rooms
with reported_to(snakemake.log[0]), alone(snakemake.output, rooms, snakemake.input):
    write_rooms(
        Path(snakemake.output.labeled_mat),
        Path(snakemake.output.splits_mat),
        **rooms,
        progress=Progress("render rooms", None, "scene").of,
    )
    write_checksum(snakemake.output.labeled_mat)
    write_checksum(snakemake.output.splits_mat)
