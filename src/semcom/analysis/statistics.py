"""Intervals over seeds."""

import math

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
DECIMALS = 12  # of a mean of shares in float64; what follows is noise of the sum
BOOTSTRAP_SAMPLES = 10_000  # leaves a percentile's Monte Carlo error far below the gap between two seeds


def t_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and two-sided 95 % Student t-interval of the mean, over the first axis.

    Rounded to `DECIMALS`, so that equal accuracies differ by 0, and seeds that all meet a threshold do not pass it.

    Args:
        values: (n, ...), one entry a seed: shares, or differences of shares.

    Returns:
        mean, low, high, each (...); the bounds are NaN for n < 2, and all three for n = 0.
    """
    values = np.asarray(values, float)
    n, unknown = len(values), np.full(values.shape[1:], np.nan)
    if n < 2:
        return _without_noise(values.mean(axis=0)) if n else unknown, unknown, unknown
    mean = values.mean(axis=0)
    half = stdtrit(n - 1, 0.5 + CONFIDENCE / 2) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return _without_noise(mean), _without_noise(mean - half), _without_noise(mean + half)


def _without_noise(values: np.ndarray) -> np.ndarray:
    return np.round(values, DECIMALS) + 0.0  # -0.0 becomes 0.0


def cost_ratio(ours: float, supervised: float, supervised_spent: float) -> float:
    """What it costs to reach a target over what it costs supervised learning: one convention for every table.

    Args:
        ours, supervised: cost of reaching it; 0 where it is reached before training, infinite where it never is.
        supervised_spent: what supervised learning spent in all.

    Returns:
        The ratio. Infinite where ours never reaches the target, or supervised learning alone has it before training.
        Where supervised learning alone never reaches it, it counts with `supervised_spent`: it needs more than that, so
        that the ratio is an upper bound. NaN where neither reaches the target, or both have it before training.
    """
    if math.isinf(ours) and math.isinf(supervised):
        return math.nan
    least = min(supervised, supervised_spent)
    if least == 0:
        return math.inf if ours > 0 else math.nan
    return ours / least


def bootstrap_median_interval(values: np.ndarray, *, samples: int, seed: int) -> tuple[float, float]:
    """95 % percentile bootstrap interval (low, high) of the median of (n,) values, one a seed; NaN for n < 2.

    Values may be infinite. `seed` draws the same resamples for every table row, so rows do not depend on each other.
    """
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(n, size=(samples, n))
    medians = np.median(np.asarray(values, float)[drawn], axis=1)
    # An order statistic, since interpolating between a finite and an infinite median is not defined.
    low, high = np.quantile(medians, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], method="inverted_cdf")
    return float(low), float(high)
