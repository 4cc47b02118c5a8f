"""The same experiment at several sizes, side by side: one table and one figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from semcom.analysis.records import read_table
from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings
from semcom.config.experiment import Config
from semcom.config.loading import load_config
from semcom.figures import panels, style

SPLIT = "test"
INTERVAL = ("mean", "ci95_low", "ci95_high")
QUANTITIES = ("accuracy", "accuracy_difference")


def sizes_table(experiments: Sequence[tuple[Config, pd.DataFrame]]) -> pd.DataFrame:
    """One row per experiment, label fraction, SNR and method.

    Args:
        experiments: configuration and `tables.summary` of each, smallest first.

    Returns:
        experiment, crop_size, width, pretrain_epochs, finetune_epochs, label_fraction, snr_db, method, seeds, diverged;
        and mean, ci95_low and ci95_high of accuracy and of accuracy_difference (to supervised, paired by seed).
    """
    tables = []
    for config, summary in experiments:
        sizes = {
            "crop_size": config.augmentation.crop_size,
            "width": config.encoder.width,
            "pretrain_epochs": config.pretrain.epochs,
            "finetune_epochs": config.finetune.epochs,
        }
        named = summary["method"].isin(config.grid.methods)  # an earlier grid's table may have more
        tables.append(summary[named & (summary["split"] == SPLIT)].assign(**sizes))
    statistics = [f"{quantity}_{bound}" for quantity in QUANTITIES for bound in INTERVAL]
    columns = ["experiment", *sizes, "label_fraction", "snr_db", "method", "seeds", "diverged", *statistics]
    return pd.concat(tables, ignore_index=True)[columns]


def sizes_figure(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """Accuracy against size, a panel a label fraction and SNR that all experiments have; bars are 95 % intervals.

    Args:
        table: of `sizes_table`.
        labels: what methods are called, as in `style.method_styles`.
    """
    experiments = list(dict.fromkeys(table["experiment"]))
    cells = table.groupby(["label_fraction", "snr_db"])["experiment"].nunique()
    shown = sorted(cells.index[cells == len(experiments)], key=lambda cell: (-cell[0], cell[1]))
    if not shown:
        raise InputError("the experiments have no label fraction and SNR in common; run one that they all have")
    looks = style.method_styles(list(dict.fromkeys(table["method"])), labels)
    names = table.drop_duplicates("experiment").set_index("experiment")
    ticks = [
        f"{row.crop_size} px\nwidth {row.width}\n{row.pretrain_epochs} + {row.finetune_epochs}"
        for row in names.itertuples()
    ]
    with style.applied():
        figure, panel_axes = panels.in_a_row(len(shown))
        for number, (axes, (fraction, snr)) in enumerate(zip(panel_axes, shown, strict=True)):
            axes.set_title(panels.cell_title(number, fraction, snr))
            panel = table[(table["label_fraction"] == fraction) & (table["snr_db"] == snr)]
            for order, (method, look) in enumerate(looks.items()):
                line = panel[panel["method"] == method].set_index("experiment").reindex(experiments)
                mean, low, high = (100 * line[f"accuracy_{bound}"].to_numpy() for bound in INTERVAL)
                x = [place + 0.06 * (order - (len(looks) - 1) / 2) for place in range(len(experiments))]
                spread = [(mean - low).clip(min=0), (high - mean).clip(min=0)]
                axes.errorbar(
                    x, mean, yerr=spread, color=look.color, linestyle=look.linestyle, marker=look.marker, capsize=2
                )
            axes.set_xticks(range(len(experiments)), ticks)
        panel_axes[0].set_ylabel("Test accuracy (%)")
        panels.legend_above(figure, [panels.legend_handle(look, look.label) for look in looks.values()])
        panels.note_below(
            figure,
            "Below: side of the image, width of the first layer, epochs of stages I + II.",
            panels.bar_note(table["seeds"]),
        )
    return figure


def read_experiment(folder: Path) -> tuple[Config, pd.DataFrame]:
    """Configuration and summary of a finished experiment.

    Raises:
        InputError: the folder lacks one of them, or a file cannot be read.
    """
    path = folder / "tables/summary.csv"
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{folder}: is not the folder of a finished experiment; name one below results/")
    config = load_config(folder / "config.yaml")
    try:
        summary = read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the experiment to its end first") from None
    except (OSError, ValueError) as error:
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a table ({' '.join(str(error).split())}); make that experiment's tables again"
        ) from None
    missing = {"split", "method", "accuracy_mean"} - set(summary)
    if missing:
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}; make that experiment's tables again")
    return config, summary
