"""The CSV files that runs leave, and their tables: read, checked, put together, written; plain pandas, no torch.

Stage I leaves one `steps.csv` a run, stage II one `rounds.csv` (evaluations) and one `steps.csv` (rounds). A *run* of
stage II is one method, SNR, label fraction and seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semcom.common.errors import InputError
from semcom.common.files import write_text
from semcom.common.reading import fault_of_surroundings
from semcom.common.spelling import spelled_number

RUN = ["experiment", "method", "snr_db", "label_fraction", "seed"]
LEDGER = ["uplink_channel_uses", "downlink_channel_uses", "uplink_bits", "downlink_bits"]
SHARES = ["accuracy", "mean_class_accuracy"]
MEASURED = [*SHARES, "loss"]
ROUNDS_COLUMNS = [*RUN, "split", "round", "epoch", *MEASURED, *LEDGER, "status"]
ROUNDS_STATUS = ["ok", "diverged", "pretraining_diverged"]
ROUND_STEPS_COLUMNS = [*RUN, "round", "epoch", "loss", "gradient_norm", "status"]

STEPS_RUN = ["experiment", "method", "seed"]
STEPS_COLUMNS = [*STEPS_RUN, "step", "epoch", "scenes", "loss", "gradient_norm", "status"]
STEPS_STATUS = ["ok", "diverged"]

_COORDINATES = ["snr_db", "tested_snr_db", "label_fraction", "x"]  # by which rows are found again: every digit counts
_INTEGERS = ["seed", "round", "step", *LEDGER]
_TEXT = ["experiment", "method", "split", "status"]
_NAMES = [*_TEXT, "condition", "class", "trial", "like", "family", "line"]  # of rows in tables


def collect_rounds(paths: Iterable[str | Path], *, methods: Sequence[str]) -> pd.DataFrame:
    """All evaluations of all runs, one row per run, split and round.

    Reads the files of single runs as well as the collected table, so `collect_rounds([written])` gives it back.

    Args:
        paths: in any order.
        methods: the grid's, in the order of the rows; methods beyond them follow by name.

    Returns:
        `ROUNDS_COLUMNS`, sorted by experiment, method, SNR, label fraction, seed, split and round.

    Raises:
        InputError: a file is missing, empty or malformed, or a row occurs twice; the message names the file.
    """
    frames = []
    for path in map(Path, paths):
        frame = _read(path, ROUNDS_COLUMNS, ROUNDS_STATUS, nan_if_diverged=MEASURED, exact=True)
        for column in SHARES:
            _refuse(path, frame, column, (frame[column] < 0) | (frame[column] > 1), "a share from 0 to 1")
        frames.append(frame.assign(_path=str(path)))
    return _collected(frames, methods, [*RUN, "split", "round"], "rounds.csv")


def collect_steps(paths: Iterable[str | Path], *, methods: Sequence[str]) -> pd.DataFrame:
    """All pre-training steps of all runs; terms that only other methods' losses have are NaN.

    Args and errors are those of `collect_rounds`.

    Returns:
        `STEPS_COLUMNS` and whatever else the files hold, sorted by experiment, method, seed and step.
    """
    nan_if_diverged = ["loss", "gradient_norm"]
    frames = [
        _read(path, STEPS_COLUMNS, STEPS_STATUS, nan_if_diverged=nan_if_diverged, exact=False).assign(_path=str(path))
        for path in map(Path, paths)
    ]
    return _collected(frames, methods, [*STEPS_RUN, "step"], "steps.csv")


def collect_round_steps(paths: Iterable[str | Path], *, methods: Sequence[str]) -> pd.DataFrame:
    """Loss and gradient norm of every round of all runs of stage II.

    Args and errors are those of `collect_rounds`.

    Returns:
        `ROUND_STEPS_COLUMNS`, sorted by experiment, method, SNR, label fraction, seed and round.
    """
    nan_if_diverged = ["loss", "gradient_norm"]
    frames = []
    for path in map(Path, paths):
        frame = _read(path, ROUND_STEPS_COLUMNS, ROUNDS_STATUS, nan_if_diverged=nan_if_diverged, exact=True)
        frames.append(frame.assign(_path=str(path)))
    return _collected(frames, methods, [*RUN, "round"], "steps.csv of stage II")


def told_split(rounds: pd.DataFrame) -> str:
    """The split that tables and figures tell of: test, or validation where no run has seen a test scene.

    Args:
        rounds: of `collect_rounds`.
    """
    return "test" if (rounds["split"] == "test").any() else "validation"


def read_table(path: str | Path) -> pd.DataFrame:
    """A table that `write_csv` wrote; NaN where it wrote nothing, and there alone: a name may be `None` or `NA`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table.
    """
    return pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""])


def read_parts(
    paths: Iterable[str | Path], columns: Sequence[str], *, again: str, types: Mapping[str, type] | None = None
) -> pd.DataFrame:
    """The given columns of several tables that `write_csv` wrote, one below the other.

    Args:
        paths: in any order.
        again: what makes such a table anew, for the message.
        types: of columns, which also a table without rows has then.

    Raises:
        InputError: a file cannot be read, is no table, or lacks a column.
    """
    frames = []
    for path in map(Path, paths):
        try:
            frame = read_table(path)
        except (OSError, ValueError) as error:
            raise fault_of_surroundings(path, error) or InputError(
                f"{path}: not a table ({' '.join(str(error).split())}); {again}"
            ) from None
        missing = [column for column in columns if column not in frame]
        if missing:
            raise InputError(f"{path}: column {missing[0]} is missing; {again}")
        frames.append(frame[list(columns)].astype({name: types[name] for name in columns if name in (types or {})}))
    return pd.concat(frames, ignore_index=True)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table so that equal tables give equal bytes; `path` appears only when it is whole.

    Six significant digits, whole numbers in full, `inf` for infinity, nothing for NaN. SNR, label fraction and the value
    on an axis have all their digits.
    """
    exact = [name for name in _COORDINATES if name in table and pd.api.types.is_float_dtype(table[name])]
    table = table.assign(**{name: table[name].map(spelled_number, na_action="ignore") for name in exact})
    write_text(path, table.to_csv(index=False, float_format=shown, lineterminator="\n"))


def write_rounds(rounds: pd.DataFrame, path: str | Path) -> None:
    """Write evaluations (`ROUNDS_COLUMNS`, or of kept systems) as `write_csv` does, but shares with all their digits.

    They are subtracted from one another: of shares that were rounded first, a difference of 0 would come out as 1e-7.
    """
    write_csv(rounds.assign(**{name: rounds[name].map(spelled_number, na_action="ignore") for name in SHARES}), path)


def _read(
    path: Path, required: list[str], statuses: list[str], *, nan_if_diverged: list[str], exact: bool
) -> pd.DataFrame:
    remedy = "run its stage again"
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: empty; {remedy}") from None
    except (OSError, ValueError) as error:
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a table ({' '.join(str(error).split())}); {remedy}"
        ) from None
    missing = [column for column in required if column not in raw]
    extra = [column for column in raw if exact and column not in required]
    if missing or extra:
        fault = f"column {missing[0]} is missing" if missing else f"column {extra[0]} is not known"
        raise InputError(f"{path}: {fault}; {remedy}")
    if raw.empty:
        raise InputError(f"{path}: holds no rows; {remedy}")
    _refuse(path, raw, "status", ~raw["status"].isin(statuses), f"one of {', '.join(statuses)}")
    frame = raw.copy()
    for column in frame.columns.difference(_TEXT):
        frame[column] = pd.to_numeric(raw[column], errors="coerce").astype(np.float64)
        if column in required:  # what else a file holds is passed on, as numbers
            blank = raw[column].str.lower().isin(["", "nan"])
            allowed = blank & raw["status"].ne("ok") & (column in nan_if_diverged)
            _refuse(path, raw, column, frame[column].isna() & ~allowed, "a number")
        if column in required and column in _INTEGERS:
            _refuse(path, raw, column, (frame[column] % 1 != 0) | (frame[column] < 0), "a whole number from 0 up")
            frame[column] = frame[column].astype(np.int64)
    return frame[required] if exact else frame


def _refuse(path: Path, frame: pd.DataFrame, column: str, bad: pd.Series, expected: str) -> None:
    """Raise for the first row in which `bad` holds."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = frame[column].iloc[row]
        fault = f"line {row + 2}, column {column}: {str(value)!r} is not {expected}"
        raise InputError(f"{path}: {fault}; run its stage again")


def _collected(frames: list[pd.DataFrame], methods: Sequence[str], key: list[str], what: str) -> pd.DataFrame:
    if not frames:
        raise InputError(f"no {what} was given; run the stage that writes it")
    table = pd.concat(frames, ignore_index=True)
    twice = table[table.duplicated(key, keep=False)].sort_values([*key, "_path"], kind="stable")
    if not twice.empty:
        first = twice.iloc[0]
        same = twice[(twice[key] == first[key]).all(axis=1)]["_path"].unique()
        which = ", ".join(f"{column} {first[column]}" for column in key)
        raise InputError(f"{' and '.join(same)}: twice the row of {which}; keep one")
    return by_method(table.drop(columns="_path"), key, methods)


def by_method(table: pd.DataFrame, key: list[str], methods: Sequence[str]) -> pd.DataFrame:
    """Sort by `key`, with the methods in their own order; methods beyond `methods` follow by name."""
    order = [*methods, *sorted(set(table["method"]) - set(methods))]
    rank = {method: position for position, method in enumerate(order)}
    by = table.sort_values(key, key=lambda column: column.map(rank) if column.name == "method" else column)
    return by.reset_index(drop=True)


def shown(value: float) -> str:
    """A number as the tables spell it."""
    # Six digits would round channel uses and bits, which are exact counts.
    return f"{value:.0f}" if np.isfinite(value) and abs(value) >= 1e6 else f"{value:.6g}"
