"""Studies of baselines: their table, what their training sends, and which way to the server is best; plain pandas, no torch.

A *sender* is a scheme, such as the coded label, or a method whose features are sent. All methods together are one *way*,
`FEATURES`; each scheme is a way of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semcom.analysis.records import LEDGER, read_parts
from semcom.analysis.statistics import t_interval
from semcom.baselines.columns import COLUMNS, TRAINING_COLUMNS
from semcom.common.spelling import spelled_number

FEATURES = "features"
VERDICT_COLUMNS = [
    "experiment", "tested_snr_db", "channel_uses",
    *(f"{side}{part}" for side in (FEATURES, "rival") for part in ("", "_channel_uses", "_accuracy", "_ci95_low", "_ci95_high")),
    "difference", "difference_ci95_low", "difference_ci95_high", "seeds", "verdict", "in_words",
]  # fmt: skip
AGAIN = "answer again"
TYPES = {"experiment": str, "sender": str, "tested_snr_db": float, "seed": int, **dict.fromkeys(LEDGER, float)}
LEAST_SEEDS = 3  # for a verdict; the interval of two says little (t = 12.7)


def collect_baselines(paths: Iterable[str | Path], *, senders: Sequence[str]) -> pd.DataFrame:
    """A study of all seeds: `COLUMNS`, one row a sender, SNR, channel uses, split and seed.

    Args:
        paths: of single seeds, in any order.
        senders: in the order of the rows.

    Raises:
        InputError: a file cannot be read or lacks a column.
    """
    table = read_parts(paths, COLUMNS, again=AGAIN, types=TYPES)
    rank = {sender: place for place, sender in enumerate(senders)}
    key = ["sender", "tested_snr_db", "channel_uses", "split", "seed"]
    by = table.sort_values(key, key=lambda column: column.map(rank) if column.name == "sender" else column)
    return by.reset_index(drop=True)


def training_table(
    schemes: Iterable[str | Path], rounds: pd.DataFrame, overhead: pd.DataFrame | None, *, stage_one: Mapping[str, str]
) -> pd.DataFrame:
    """What training sends, the mean over seeds: channel uses and bits, up and down.

    Args:
        schemes: files of single seeds with `TRAINING_COLUMNS`; their channel uses are at capacity, and depend on the SNR.
        rounds: of `records.collect_rounds`, of the methods whose features are compared; analog uses, by the ledger.
        overhead: of `pretraining_overhead`, if they have a stage I.
        stage_one: of each such method the one whose stage I it starts from.

    Returns:
        experiment, sender, part ("stage_1", apart from it "training"), tested_snr_db (blank where nothing depends on it), seeds,
        and the ledger's columns, in whole numbers, which may be beyond an int64 at the lowest SNRs.
    """
    parts = [read_parts(schemes, TRAINING_COLUMNS, again=AGAIN, types=TYPES).assign(part="training")]
    last = rounds.sort_values("round").groupby(["method", "seed"], sort=False).tail(1)
    for method in dict.fromkeys(rounds["method"]):
        if overhead is not None and method in stage_one:
            own = overhead[overhead["method"] == stage_one[method]]
            parts.append(own.assign(sender=method, part="stage_1", tested_snr_db=np.nan))
        own = last[last["method"] == method]
        parts.append(own.assign(sender=method, part="training", tested_snr_db=np.nan))
    table = pd.concat([part[["experiment", "sender", "part", "tested_snr_db", "seed", *LEDGER]] for part in parts])
    groups = table.groupby(["experiment", "sender", "part", "tested_snr_db"], sort=False, dropna=False)
    means = groups[LEDGER].mean().round()
    means.insert(0, "seeds", groups["seed"].nunique())
    return means.reset_index()


def verdict_table(table: pd.DataFrame, *, methods: Sequence[str], labels: Mapping[str, str]) -> pd.DataFrame:
    """Features against each other way, at every SNR and budget of channel uses of an inference.

    Of features the method and K are chosen by mean accuracy on validation scenes, the same for every seed. Every other way
    takes all channel uses of the budget that it can: what a server fits on validation scenes, such as how often a device
    is right, makes accuracy there too good to choose by. The verdict is on test scenes: features win or lose where the 95 %
    t-interval of the difference, seed by seed, leaves out 0. No correction is made for the number of budgets.

    Args:
        table: of `collect_baselines`.
        methods: senders of features.
        labels: what senders are called.

    Returns:
        One row an SNR, budget and rival: experiment, tested_snr_db, channel_uses (the budget), seeds, for features and their rival the
        sender, the uses and test accuracy with its interval, the difference with its interval, verdict, in_words. No row
        where every sender diverged.
    """
    alive = table[table["status"] == "ok"]
    largest = int(alive["channel_uses"].max()) if len(alive) else 0
    budgets = [2**power for power in range(1, max(largest - 1, 1).bit_length() + 1)]
    rows = []
    for snr_db in sorted(set(alive["tested_snr_db"])):
        here = alive[alive["tested_snr_db"] == snr_db]
        for budget in budgets:
            within = here[here["channel_uses"] <= budget]
            features = _best(within[within["sender"].isin(methods)])
            most = within[~within["sender"].isin(methods)].groupby("sender", sort=False)["channel_uses"].max()
            rivals = list(most.items()) or ([None] if features else [])
            place = {"experiment": table["experiment"].iloc[0], "tested_snr_db": snr_db, "channel_uses": budget}
            where = f"At {spelled_number(snr_db)} dB and {budget} channel uses"
            rows += [place | _compared(within, features, rival, labels, where) for rival in rivals]
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def _best(points: pd.DataFrame) -> tuple[str, int] | None:
    """Sender and channel uses with the best mean accuracy on validation scenes; of equals that of fewer uses."""
    chosen = points[points["split"] == "validation"]
    if chosen.empty:
        return None
    means = chosen.groupby(["channel_uses", "sender"])["accuracy"].mean()  # sorted, and idxmax takes the first
    uses, sender = means.idxmax()
    return sender, uses


def _compared(
    points: pd.DataFrame, features: tuple | None, rival: tuple | None, labels: Mapping[str, str], where: str
) -> dict:
    row, by_seed, said = {}, {}, {}
    for name, chosen in ((FEATURES, features), ("rival", rival)):
        sender, uses = chosen or ("", np.nan)
        own = points[(points["sender"] == sender) & (points["channel_uses"] == uses) & (points["split"] == "test")]
        by_seed[name] = own.set_index("seed")["accuracy"]
        mean, low, high = map(float, t_interval(by_seed[name].to_numpy()))
        row |= {name: sender, f"{name}_channel_uses": uses, f"{name}_accuracy": mean}
        row |= {f"{name}_ci95_low": low, f"{name}_ci95_high": high}
        called = labels.get(sender, sender)
        said[name] = f"{called} ({uses:.0f} uses) {100 * mean:.1f} %" if chosen else ""
    gap = (by_seed[FEATURES] - by_seed["rival"]).dropna().to_numpy()
    mean, low, high = map(float, t_interval(gap)) if len(gap) else (np.nan, np.nan, np.nan)
    row |= {"difference": mean, "difference_ci95_low": low, "difference_ci95_high": high, "seeds": len(gap)}
    interval = f"{100 * mean:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    if features is None or rival is None:
        verdict = "no features fit" if features is None else "features alone fit"
        sentence = f"{where} {verdict}; {said['rival'] or said[FEATURES]}."
    elif len(gap) < LEAST_SEEDS:
        verdict = "too few seeds"
        sentence = f"{where}: {said[FEATURES]}, {said['rival']}; {len(gap)} seeds are too few for a verdict."
    else:
        verdict = "features win" if low > 0 else "features lose" if high < 0 else "no difference shown"
        sentence = f"{where} {verdict}: {said[FEATURES]}, {said['rival']}; {interval} over {len(gap)} seeds."
    return row | {"verdict": verdict, "in_words": sentence}
