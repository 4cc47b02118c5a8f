"""A channel trace of the user's own: the SNR of every device, round by round, from a CSV file.

Columns `round` (from 0, whole, none left out), `device` and `snr_db`; other columns are not looked at. So a network
simulator, a measurement, or a resource allocator decides in which round which device is heard how well.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings

LARGEST_DB = 300  # either way, as of an SNR in the configuration
COLUMNS = ("round", "device", "snr_db")


def read_trace(
    path: str | Path, devices: Sequence[str], *, known: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """(rounds,) SNR in dB of each device.

    Args:
        devices: that there must be.
        known: that there may be, `devices` among them; None: any. Rows of others than `devices` give no result.

    Raises:
        InputError: the file is missing, or no such table; a value is no number of dB; a round is left out or there twice; a
            device is unknown or missing. The message names the file and the line.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: cannot be read as a table ({' '.join(str(error).split())}); correct the path"
        ) from None
    for column in COLUMNS:
        if column not in table:
            raise InputError(f"{path}: column {column} is missing; a trace has {', '.join(COLUMNS)}")
    for column in ("round", "snr_db"):
        values = pd.to_numeric(table[column], errors="coerce")
        bad = ~np.isfinite(values)
        bad |= (values % 1 != 0) | (values < 0) if column == "round" else values.abs() > LARGEST_DB
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            span = f"from -{LARGEST_DB} to {LARGEST_DB}"
            kind = "a whole number from 0 up" if column == "round" else f"a number of dB {span}"
            raise InputError(f"{path}, line {row + 2}: {column} is {table[column].iloc[row]!r}, not {kind}; correct it")
        table[column] = values
    unknown = [] if known is None else [row for row, device in enumerate(table["device"]) if device not in known]
    if unknown:
        raise InputError(
            f"{path}, line {unknown[0] + 2}: device '{table['device'].iloc[unknown[0]]}' is not one of {', '.join(known)}; "
            "correct the name, or `modalities`"
        )
    trace = {}
    for device in devices:
        own = table[table["device"] == device].sort_values("round")
        if own.empty:
            raise InputError(f"{path}: has no row of device '{device}'; give one a round")
        rounds = own["round"].to_numpy()
        off = np.flatnonzero(rounds != np.arange(len(rounds)))
        if len(off):
            raise InputError(
                f"{path}: device '{device}' has not just one row of round {off[0]}; give one a round, from 0 on"
            )
        trace[device] = own["snr_db"].to_numpy(float)
    return trace


def check_length(trace: dict[str, np.ndarray], needed: int, path: str | Path, what: str) -> None:
    """Whether a trace goes far enough.

    Args:
        needed: rounds.
        what: they are for, for the message.

    Raises:
        InputError: it does not.
    """
    for device, values in trace.items():
        if len(values) < needed:
            raise InputError(
                f"{path}: has {len(values)} rounds of device '{device}', and {what} takes {needed}; give a longer trace"
            )
