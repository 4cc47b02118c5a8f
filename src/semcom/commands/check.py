"""Checks configuration files, and says of each in one line what it runs, or what is wrong with it.

    python -m semcom.commands.check FILE [FILE ...]

Each file is one experiment, as Snakemake's `--configfile`. Snakemake reads that before any rule: where it is missing or
not YAML, it names neither line nor remedy. This does, and checks keys, values and files as the workflow does.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.common.errors import InputError
from semcom.common.reporting import reported
from semcom.config import paths
from semcom.config.loading import load_config
from semcom.config.stage import Stage
from semcom.planning.lookahead import check_scenes, check_traces
from semcom.runs import environment


def checked(file: Path) -> str:
    """What a configuration file would run, in one line.

    Raises:
        InputError: what is wrong with it.
    """
    config = load_config(file)
    config.check_files(str(file))
    check_scenes(config)
    check_traces(config)
    if config.weights():
        from semcom.models.weights import check_weights  # torch, which takes a second to import

        check_weights(config)
    if config.given_texts():
        from semcom.figures.style import check_texts  # matplotlib, only where it has something to check

        check_texts(config.given_texts(), str(file))
    stages = [run.stage for run in paths.runs(config)]
    count = f"{stages.count(Stage.PRETRAIN)} runs of stage I, {stages.count(Stage.FINETUNE)} of stage II"
    return f"{file}: {paths.results(config.experiment)}, {count}"


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status, 1 where any of the files is at fault."""
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.check", description="Checks configuration files.")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="as after snakemake's --configfile")
    status = 0
    environment.check(os.environ)
    for file in parser.parse_args(arguments).files:
        try:
            print(checked(file))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
