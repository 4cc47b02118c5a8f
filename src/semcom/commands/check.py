"""Checks a configuration file, and says in one line what is wrong with it.

    python -m semcom.commands.check FILE

Give it Snakemake's `--configfile`. Snakemake reads that file before any rule: where it is missing or not YAML, it names
neither line nor remedy. This does, and checks keys, values and files as the workflow does.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.common.errors import InputError
from semcom.config import paths
from semcom.config.loading import load_config
from semcom.config.stage import Stage
from semcom.planning.lookahead import check_scenes
from semcom.runs import environment


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.check", description="Checks a configuration file.")
    parser.add_argument("file", metavar="FILE", type=Path, help="as after snakemake's --configfile")
    file = parser.parse_args(arguments).file
    try:
        environment.check(os.environ)
        config = load_config(file)
        config.check_files()
        check_scenes(config)
        if config.weights():
            from semcom.models.weights import check_weights  # torch, which takes a second to import

            check_weights(config)
        if config.given_texts():
            from semcom.figures.style import check_texts  # matplotlib, only where it has something to check

            check_texts(config.given_texts(), str(file))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stages = [run.stage for run in paths.runs(config)]
    count = f"{stages.count(Stage.PRETRAIN)} runs of stage I, {stages.count(Stage.FINETUNE)} of stage II"
    print(f"{file}: {paths.results(config.experiment)}, {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
