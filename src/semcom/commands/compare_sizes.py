"""The same experiment at several sizes, side by side: does a difference between methods grow with the network?

    python -m semcom.commands.compare_sizes results/nyud2-32 results/nyud2-48 results/nyud2-small --output results/sizes

Each folder is that of a finished experiment, smallest first; its `config.yaml` and `tables/summary.csv` are read. Writes
`sizes.csv` and `sizes.pdf`, `.svg` and `.png`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.analysis.records import write_csv
from semcom.common.reporting import reported
from semcom.figures import panels
from semcom.figures.sizes import read_experiment, sizes_figure, sizes_table


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m semcom.commands.compare_sizes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a finished experiment")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write")
    options = parser.parse_args(arguments)
    experiments = [read_experiment(folder) for folder in options.folders]
    table = sizes_table(experiments)
    figure = sizes_figure(table, {name: label for config, _ in experiments for name, label in config.labels().items()})
    write_csv(table, options.output / "sizes.csv")
    panels.save(figure, [options.output / f"sizes{suffix}" for suffix in (".pdf", ".svg", ".png")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
