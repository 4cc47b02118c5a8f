"""What runs cost over the air: stage II as its ledger has it, and stage I where the devices are apart.

Two prices of stage I. It is free where the scenes of all devices were recorded together, as the paper has it. Where
each device keeps its own scenes, the features that the loss correlates across devices have to meet, which costs what
`semcom.link.pretraining_overhead` counts; each run of stage II that starts from it bears the whole of it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semcom.link.airtime import airtime

LEDGER_COLUMNS = {  # unit -> columns of the ledger whose sum is a cumulative cost: both directions, all devices
    "channel_uses": ["uplink_channel_uses", "downlink_channel_uses"],
    "bits": ["uplink_bits", "downlink_bits"],
}


def with_costs(
    rounds: pd.DataFrame,
    overhead: pd.DataFrame | None,
    stage_one: Mapping[str, str | None],
    *,
    symbols_per_s: float | None = None,
) -> pd.DataFrame:
    """Evaluations with what their runs have cost up to then, and what stage I before them costs if devices are apart.

    Args:
        rounds: of `records.collect_rounds`.
        overhead: of `pretraining_overhead`, or its file; None where no run of stage I has finished.
        stage_one: by method the one whose stage I it starts from, or None.
        symbols_per_s: for costs in airtime; None leaves these out.

    Returns:
        `rounds` and for each unit of channel_uses, bits and airtime (s): <unit>, of stage II alone, and
        stage_one_<unit>, which is 0 for a method without a stage I, and NaN where `overhead` lacks the run.
    """
    costs = {unit: rounds[columns].sum(axis=1) for unit, columns in LEDGER_COLUMNS.items()}
    sources = rounds["method"].map(stage_one)
    runs = list(zip(sources, rounds["seed"], strict=True))
    for unit, columns in LEDGER_COLUMNS.items():
        known = {} if overhead is None else overhead.set_index(["method", "seed"])[columns].sum(axis=1).to_dict()
        price = [known.get(run, np.nan) for run in runs]
        costs[f"stage_one_{unit}"] = pd.Series(price, rounds.index, dtype=float).where(sources.notna(), 0.0)
    if symbols_per_s is not None:
        for name in ("", "stage_one_"):
            costs[f"{name}airtime"] = airtime(costs[f"{name}channel_uses"], symbols_per_s)
    return rounds.assign(**costs)
