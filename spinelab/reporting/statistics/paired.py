"""Every pair of rows, person by person: difference, test, size of the effect, and how many persons would tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from spinelab.reporting.statistics.bootstrap import intervals, resampled_differences
from spinelab.reporting.statistics.power import persons_needed

Floats = NDArray[np.float64]

DISTINGUISHABLE_FROM = 6
"""With fewer persons no two-sided sign or signed-rank test can reach 0.05 (2 * 0.5**5 > 0.05), so none is called."""
TRUSTED_FROM = 10
"""With fewer persons a bootstrap interval is markedly too narrow; the page says so."""
ALPHA = 0.05
_ONE_BY_ONE = 50
_DIGITS = 12
"""Differences are rounded so far before ranking: what arithmetic alone tells apart is a tie."""


@dataclass(frozen=True)
class Difference:
    """A paired difference of two models over the `n` persons that both have a value for."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 0 and there are persons enough to say so."""
        return self.n >= DISTINGUISHABLE_FROM and not self.low <= 0 <= self.high

    def __neg__(self) -> Difference:
        """The same difference, seen from the other model."""
        return Difference(-self.mean, -self.high, -self.low, self.n)


@dataclass(frozen=True)
class Comparison:
    """Two rows of one column, paired by person.

    Attributes:
        first: Label of the row that is subtracted from.
        second: Label of the row that is subtracted.
        difference: Mean of (first - second) with its 95 % interval and the number of persons.
        p: Of Wilcoxon's signed-rank test, two-sided; NaN with fewer than `DISTINGUISHABLE_FROM` persons.
        adjusted: The same after Holm's correction for all pairs of the column.
        effect: Matched-pairs rank-biserial correlation, -1 to 1; positive where the first is larger.
        d_z: Mean of the differences over their standard deviation (Cohen's d_z); NaN with fewer than two persons.
        needed: About how many persons would tell a difference like this one; None if 0 or fewer than 6 persons.
    """

    first: str
    second: str
    difference: Difference
    p: float
    adjusted: float
    effect: float
    d_z: float
    needed: int | None

    @property
    def real(self) -> bool:
        """Whether the interval excludes 0, the adjusted p is below 0.05, and persons are enough."""
        return self.difference.distinguishable and self.adjusted < ALPHA


def compare_pairs(sets: Sequence[pd.DataFrame]) -> tuple[Comparison, ...]:
    """Compares every two rows of a column that were scored on the same persons.

    Args:
        sets: Rows that may be compared, set by set: a line a person, a column a row of the table (named by its
            label); NaN where there is no value.

    Returns:
        A comparison for every pair within a set, in their order, Holm-adjusted over the pairs of all sets.
    """
    found = [comparison for values in sets for comparison in _pairs(values)]
    adjusted = holm([comparison.p for comparison in found])
    return tuple(replace(comparison, adjusted=float(p)) for comparison, p in zip(found, adjusted, strict=True))


def _pairs(values: pd.DataFrame) -> list[Comparison]:
    labels, array = list(values.columns), values.to_numpy(dtype=float)
    if len(labels) < 2 or not len(array):
        return []
    first, second = (list(side) for side in zip(*combinations(range(len(labels)), 2), strict=True))
    differences = array[:, first] - array[:, second]
    ends = intervals(differences, means=resampled_differences(array, first, second))
    names = [(labels[i], labels[j]) for i, j in zip(first, second, strict=True)]
    return [
        _compare(*pair, difference, (float(low), float(high)), float(p))
        for pair, difference, (low, high), p in zip(names, differences.T, ends, signed_rank_p(differences), strict=True)
    ]


def _compare(first: str, second: str, values: Floats, ends: tuple[float, float], p: float) -> Comparison:
    values = values[~np.isnan(values)]
    difference = Difference(float(values.mean()) if len(values) else np.nan, *ends, len(values))
    d_z = standardised(values)
    needed = persons_needed(d_z) if len(values) >= DISTINGUISHABLE_FROM else None  # no spread is known from fewer
    return Comparison(first, second, difference, p, p, rank_biserial(values), d_z, needed)


def signed_rank_p(values: Floats) -> Floats:
    """Two-sided p of Wilcoxon's signed-rank test; differences of zero are ranked, then dropped (Pratt, JASA 1959).

    Exact up to 50 persons without ties and zeros, and up to 13 with them; else the normal approximation.

    Args:
        values: (n, columns) paired differences; NaN where a person has none.

    Returns:
        (columns,); NaN with fewer than `DISTINGUISHABLE_FROM` persons, 1 if all differences are zero.
    """
    values = np.round(values, _DIGITS)
    known = ~np.isnan(values)
    p = np.where(known.sum(axis=0) < DISTINGUISHABLE_FROM, np.nan, 1.0)
    able = np.flatnonzero(~np.isnan(p) & (values != 0).any(axis=0, where=known))
    # Many persons: one call for all columns. Few: one by one, as ties in one column decide how scipy tests the others.
    together = able[known[:, able].all(axis=0)] if len(values) > _ONE_BY_ONE else able[:0]
    if len(together):
        p[together] = stats.wilcoxon(values[:, together], zero_method="pratt", axis=0).pvalue
    for i in np.setdiff1d(able, together):
        p[i] = stats.wilcoxon(values[known[:, i], i], zero_method="pratt").pvalue
    return p


def rank_biserial(values: Floats) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): the effect size that belongs to the signed-rank test.

    (Ranks of positive - ranks of negative differences) / all ranks, zeros included, so that persons for whom two
    models are equal bring it towards 0. 1 means that the first is better for every person.

    Args:
        values: (n,) paired differences without NaN.
    """
    values = np.round(values, _DIGITS)
    ranks = stats.rankdata(np.abs(values))
    return float((np.sign(values) * ranks).sum() / ranks.sum()) if len(values) else np.nan


def standardised(values: Floats) -> float:
    """Cohen's d_z: mean of paired differences over their standard deviation (n - 1).

    Infinite where all differences are equal and not 0, 0 where all are 0, NaN with fewer than two.
    """
    values = np.round(values, _DIGITS)
    if len(values) < 2:
        return np.nan
    if not values.any():
        return 0.0
    mean, spread = float(values.mean()), 0.0 if np.ptp(values) == 0 else float(values.std(ddof=1))
    return mean / spread if spread else float(np.copysign(np.inf, mean))


def holm(p: Sequence[float]) -> Floats:
    """Holm's step-down adjustment (Scandinavian Journal of Statistics 1979); NaN is no test and stays NaN.

    Args:
        p: One p value a test of the family.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    order = np.argsort(values)[: int((~np.isnan(values)).sum())]  # NaN sorts last
    stepped = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted
