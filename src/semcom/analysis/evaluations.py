"""What `evaluations:` of the configuration asked of trained links, as one table; plain pandas, no torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from semcom.analysis.records import MEASURED, RUN, by_method
from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings

COLUMNS = [*RUN, "condition", "tested_snr_db", "split", *MEASURED, "channel_uses", "status"]


def collect_evaluations(paths: Iterable[str | Path], *, methods: Sequence[str]) -> pd.DataFrame:
    """One evaluation of all runs: `COLUMNS`, one row a run, condition, tested SNR and split.

    `snr_db` is what a system was trained at, `channel_uses` the uplink uses of one inference of all devices that send.

    Args:
        paths: of single methods and seeds, in any order.
        methods: in the order of the rows.

    Raises:
        InputError: a file cannot be read or lacks a column.
    """
    frames = []
    for path in map(Path, paths):
        try:
            frame = pd.read_csv(path, dtype={"experiment": str, "method": str, "condition": str})
        except (OSError, ValueError) as error:
            raise fault_of_surroundings(path, error) or InputError(
                f"{path}: not a table ({' '.join(str(error).split())}); evaluate again"
            ) from None
        missing = [column for column in COLUMNS if column not in frame]
        if missing:
            raise InputError(f"{path}: column {missing[0]} is missing; evaluate again")
        frames.append(frame[COLUMNS])
    conditions = list(dict.fromkeys(condition for frame in frames for condition in frame["condition"]))
    table = pd.concat(frames, ignore_index=True)
    rank = {condition: position for position, condition in enumerate(conditions)}
    table = table.assign(_condition=table["condition"].map(rank))
    key = ["experiment", "method", "snr_db", "label_fraction", "seed", "_condition", "tested_snr_db", "split"]
    return by_method(table, key, methods).drop(columns="_condition")
