"""Glue: render the built-in data set."""

from pathlib import Path

from semcom.data.rooms import write_rooms
from semcom.progress import Progress, reported_to

with reported_to(snakemake.log[0]):
    rooms = snakemake.params.rooms
    write_rooms(
        Path(snakemake.output.labeled_mat),
        Path(snakemake.output.splits_mat),
        **rooms,
        progress=Progress("render rooms", None, "scene").of,
    )
