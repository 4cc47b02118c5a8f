"""`python -m benchmarks NAME [NAME ...] --configfile=FILE`."""

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks import arithmetic, page, parts, peer, processes, scale, steps
from benchmarks.subject import Subject
from semcom.common.errors import InputError
from semcom.common.reporting import log_to, logger
from semcom.runs.provenance import device_name

BENCHMARKS: dict[str, Callable[[Subject, str], list[dict]]] = {
    "steps": steps.stage_steps,
    "evaluation": steps.evaluation,
    "views": steps.batched_views,
    "parts": parts.parts,
    "profile": steps.profile,
    "arithmetic": arithmetic.choices,
    "compiling": arithmetic.compiling,
    "threads": arithmetic.threads,
    "allocator": arithmetic.allocator,
    "peer": peer.scenes_per_second,
    "start": processes.start,
    "ingest": processes.ingest,
    "memory": scale.epochs,
    "scale": scale.scale,
    "demo": processes.demo,
    "accuracy": arithmetic.accuracy,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, one after the other; what cannot be measured here is said, and the rest goes on.

    Returns:
        1 where something could not be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules["benchmarks"].__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}")
    parser.add_argument("--configfile", required=True, metavar="FILE", help="as Snakemake's")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark '{unknown[0]}'; there are {', '.join(BENCHMARKS)}")
    failed = False
    subject = Subject(options.configfile)
    folder = page.folder_of(device_name(subject.device))
    folder.mkdir(parents=True, exist_ok=True)
    log_to(folder / "bench.log")
    for name in options.names:
        logger.info("benchmark %s", name)
        try:
            path = page.write_rows(name, BENCHMARKS[name](subject, name), folder)
            logger.info("%s written", path)
        except InputError as error:
            logger.error("error: %s: %s", name, error)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
