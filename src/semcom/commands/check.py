"""Checks configuration files, and says in one line what is wrong with them.

    python -m semcom.commands.check FILE [FILE ...]

Give it what follows Snakemake's `--configfile`. Snakemake reads these files before any rule: of a missing one, or one
that is not YAML, it names neither line nor remedy. This does, and checks keys, values and files as the workflow does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.common.errors import InputError
from semcom.config import paths
from semcom.config.experiment import load_config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.check", description="Checks configuration files.")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="as after snakemake's --configfile")
    files = parser.parse_args(arguments).files
    try:
        config = load_config(Path("config/config.yaml"), *files)
        config.check_files()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stages = [run.stage for run in paths.runs(config)]
    count = f"{stages.count('pretrain')} runs of stage I, {stages.count('finetune')} of stage II"
    print(f"{' + '.join(map(str, files))}: {paths.results(config.experiment)}, {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
