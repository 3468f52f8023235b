"""Bootstrap over persons: one set of resamples serves every cell, pair and ranking of a comparison."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

RESAMPLES = 9999
LEVEL = 0.95
_BATCH = 1 << 20
"""Elements of a block of resamples that is multiplied at once (8 MiB of float64)."""


@lru_cache(maxsize=4)
def resample_counts(n: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.uint8]:
    """How often each of n persons is drawn in each resample: (resamples, n), rows sum to n; read-only.

    The draws are those of `scipy.stats.bootstrap` with ``default_rng(seed)``, so that intervals agree with it.
    """
    generator = np.random.default_rng(seed)
    counts = np.empty((resamples, n), np.uint8)  # a person is drawn 256 times with a probability far below 1e-100
    step = max(1, _BATCH // n)
    for start in range(0, resamples, step):
        drawn = generator.integers(0, n, (min(step, resamples - start), n))
        drawn += n * np.arange(len(drawn))[:, None]
        counts[start : start + step] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
    counts.flags.writeable = False
    return counts


def resampled_means(values: Floats, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Means of columns over the same resamples of persons.

    A person without a value counts for nothing, wherever he is drawn: the mean is over those drawn who have one.

    Args:
        values: (n, columns), a row a person; NaN where a person has no value.
        resamples: Number of resamples.
        seed: Of the resampling.

    Returns:
        (columns, resamples); NaN in resamples that hold no person with a value.
    """
    known = ~np.isnan(values)
    patterns = {pattern.tobytes(): pattern for pattern in known.T}  # of who has a value; most columns share one
    which = [list(patterns).index(pattern.tobytes()) for pattern in known.T]
    filled = np.stack([*np.where(known, values, 0).T, *patterns.values()])
    sums = _multiply(filled, resample_counts(len(values), resamples, seed))
    with np.errstate(invalid="ignore"):
        means: Floats = sums[: len(which)] / sums[len(which) :][which]
    return means


def _multiply(columns: Floats, counts: NDArray[np.uint8]) -> Floats:
    sums = np.empty((len(columns), len(counts)))
    step = max(1, _BATCH // counts.shape[1])
    for start in range(0, len(counts), step):
        np.matmul(columns, counts[start : start + step].T.astype(float), out=sums[:, start : start + step])
    return sums


def resampled_differences(values: Floats, first: list[int], second: list[int]) -> Floats:
    """Means of paired differences over the same resamples: (pairs, resamples).

    A difference of means where both columns are whole, which spares most of the work.

    Args:
        values: (n, columns), a row a person; NaN where a person has no value.
        first: Column of each pair that is subtracted from.
        second: Column of each pair that is subtracted.
    """
    means = resampled_means(values)
    differences: Floats = means[first] - means[second]
    partial = np.asarray(np.isnan(values).any(axis=0))
    if len(odd := np.flatnonzero(partial[first] | partial[second])):
        differences[odd] = resampled_means((values[:, first] - values[:, second])[:, odd])
    return differences


def intervals(values: Floats, resamples: int = RESAMPLES, seed: int = 0, means: Floats | None = None) -> Floats:
    """95 % intervals of column means, bias-corrected and accelerated (BCa; Efron, JASA 1987).

    Percentiles are taken where the correction has no value, e.g. when all values are equal.

    Args:
        values: (n, columns), a row a person; NaN where a person has no value.
        resamples: Number of resamples.
        seed: Of the resampling, so that the same scores always print the same interval.
        means: `resampled_means` of the values, where they are known already.

    Returns:
        (columns, 2), lower and upper end; NaN with fewer than two values.
    """
    ends = np.full((values.shape[1], 2), np.nan)
    able = np.flatnonzero((~np.isnan(values)).sum(axis=0) >= 2)
    if not len(able):
        return ends
    values = values[:, able]
    means = resampled_means(values, resamples, seed) if means is None else means[able]
    means = np.sort(means, axis=1)  # NaN goes last
    levels = _levels(values, means)
    found = np.stack([_quantile(means, level) for level in levels.T], axis=1)
    # A mean lies between the values; rounding may not take it beyond.
    ends[able] = np.clip(found, np.nanmin(values, axis=0)[:, None], np.nanmax(values, axis=0)[:, None])
    return ends


def _levels(values: Floats, means: Floats) -> Floats:
    """(columns, 2): the quantiles of the resampled means that are the ends of the interval."""
    observed = np.nanmean(values, axis=0)
    plain = np.array([0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    # Sums of the same numbers in another order differ in their last digits and are still ties.
    slack = 1e-9 * np.nanmax(np.abs(values), axis=0)
    drawn = (~np.isnan(means)).sum(axis=1)
    below = (means < (observed - slack)[:, None]).sum(axis=1) + (means <= (observed + slack)[:, None]).sum(axis=1)
    deviation = np.nan_to_num(values - observed)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = ndtri(below / (2 * drawn))[:, None]
        skew = (deviation**3).sum(axis=0) / (deviation**2).sum(axis=0) ** 1.5 / 6
        shifted = bias + ndtri(plain)
        levels: Floats = ndtr(bias + shifted / (1 - skew[:, None] * shifted))
    return np.where(np.isfinite(levels).all(axis=1, keepdims=True), levels, plain)


def _quantile(ordered: Floats, levels: Floats) -> Floats:
    """One quantile a row of sorted rows, linear between neighbours; NaN at the end of a row is left out."""
    place = levels * ((~np.isnan(ordered)).sum(axis=1) - 1)
    left = np.floor(place).astype(int)
    right = np.ceil(place).astype(int)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, left], ordered[rows, right]
    quantile: Floats = low + (high - low) * (place - left)
    return quantile


def bootstrap_interval(values: Floats, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean (BCa, see `intervals`).

    Args:
        values: (n,) one value a person; NaN where a person has none.
        seed: Of the resampling.

    Returns:
        Lower and upper end; NaN with fewer than two values.
    """
    low, high = intervals(np.asarray(values, dtype=float)[:, None], seed=seed)[0]
    return float(low), float(high)
