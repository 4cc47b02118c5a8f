"""Finished experiments in one figure, with the table of the numbers drawn.

    python -m semcom.commands.compare results/a results/b --figure accuracy --output results/compared
    python -m semcom.commands.compare results/a results/b --figure final --x encoder.width --output results/compared

`accuracy` is test accuracy against communication round, a line an experiment and method. `final` is accuracy at the end
of training against the experiment, or against a key of the configuration (`--x`), a line a method. Panels are the label
fractions and SNRs that all experiments have. Each folder's `config.yaml` and `tables/rounds.csv` are read. Writes
`<figure>.csv`, `.pdf`, `.svg` and `.png`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.analysis.comparison import chosen_methods, curves, final_table, read_experiments
from semcom.analysis.records import write_csv
from semcom.common.errors import InputError
from semcom.common.reporting import reported
from semcom.figures import panels, style
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.figures.comparison import comparison_figure, drawn_numbers


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m semcom.commands.compare", description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a finished experiment")
    parser.add_argument("--figure", choices=("accuracy", "final"), default="accuracy", help="default: accuracy")
    parser.add_argument("--labels", nargs="+", metavar="LABEL", help="of the experiments; default: the folders' names")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="to show; default: all")
    parser.add_argument("--x", metavar="KEY", help="of the configuration: the axis of `final`; default: the experiment")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write")
    options = parser.parse_args(arguments)
    if options.x and options.figure != "final":
        raise InputError("--x: is the axis of --figure final; add that, or leave --x out")
    experiments = read_experiments(options.folders, options.labels)
    style.check_texts({"--labels": " ".join(e.label for e in experiments)}, "compare")
    methods = chosen_methods(experiments, options.methods)
    if options.figure == "final":
        table = final_table(experiments, methods, options.x)
        labels = {name: label for e in reversed(experiments) for name, label in e.config.labels().items()}
        axis_label = options.x or "Experiment"
        figure = accuracy_by_figure(table, labels=labels, axis_label=axis_label)
    else:
        figure = comparison_figure(experiments, methods)
        table = drawn_numbers(curves(experiments, methods))
    write_csv(table, options.output / f"{options.figure}.csv")
    panels.save(figure, [options.output / f"{options.figure}{suffix}" for suffix in (".pdf", ".svg", ".png")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
