"""A and B by turns, and what a row of the table says of them. Nothing here needs torch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

COLUMNS = [
    "benchmark", "case", "against", "unit", "value", "low", "high", "reference", "ratio", "ratio_low", "ratio_high",
    "target", "met", "repeats", "size", "device", "arithmetic", "threads", "command",
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What a ratio, or where there is nothing to compare with a value, is wanted to be at most, or at least."""

    bound: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def by_turns(cases: dict[str, Callable[[], object]], repeats: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds of each call of each case, all cases once in each turn."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(warm_up + repeats):
        for name, case in cases.items():
            began = time.perf_counter()
            case()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - began)
    return times


def row(
    benchmark: str,
    case: str,
    values: Sequence[float],
    unit: str,
    *,
    against: str = "",
    reference: Sequence[float] = (),
    target: Target | None = None,
    **where: object,
) -> dict[str, object]:
    """A row of the table: medians, quartiles, and the ratio of each value to the reference of the same turn.

    Args:
        values: one a turn.
        against: what `reference` is.
        reference: one a turn, or none.
        target: of the ratio, or of the value where there is no reference.
        where: size, device, threads and command.
    """
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    found = {"benchmark": benchmark, "case": case, "against": against, "unit": unit}
    found |= {"value": median, "low": low, "high": high, "repeats": len(values)}
    judged = median
    if len(reference):
        ratios = np.asarray(values) / np.asarray(reference)
        low, judged, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        found |= {"reference": np.median(reference), "ratio": judged, "ratio_low": low, "ratio_high": high}
    if target is not None:
        found |= {"target": str(target), "met": target.is_met(judged)}
    return found | where
