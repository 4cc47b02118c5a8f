"""Intervals over seeds."""

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


BOOTSTRAP_SAMPLES = 10_000  # leaves a percentile's Monte Carlo error far below the gap between two seeds


def t_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and two-sided 95 % Student t-interval of the mean, over the first axis.

    Args:
        values: (n, ...), one entry a seed.

    Returns:
        mean, low, high, each (...); the bounds are NaN for n < 2, and all three for n = 0.
    """
    values = np.asarray(values, float)
    n, unknown = len(values), np.full(values.shape[1:], np.nan)
    if n < 2:
        return values.mean(axis=0) if n else unknown, unknown, unknown
    mean = values.mean(axis=0)
    half = stdtrit(n - 1, 0.5 + CONFIDENCE / 2) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


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
