"""How steady a ranking is when other persons had been tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from spinelab.reporting.statistics.bootstrap import RESAMPLES, resampled_means

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rank:
    """The place of one row in its column.

    Attributes:
        label: Label of the row.
        observed: Its rank by the mean, 1 is best; equal means share the better rank.
        mean: Mean rank over the resamples.
        low: Lower end of the 95 % interval of its rank.
        high: Upper end.
        first: Share of the resamples in which it is first.
    """

    label: str
    observed: int
    mean: float
    low: int
    high: int
    first: float


@dataclass(frozen=True)
class Ranking:
    """All rows of a column that were tested on the same persons.

    Attributes:
        ranks: In the order of the ranks.
        tau: Mean over the resamples of Kendall's tau-b between the resampled and the observed ranking.
        n: Number of persons that have a value in any row.
    """

    ranks: tuple[Rank, ...]
    tau: float
    n: int


def rank_rows(values: pd.DataFrame, lower_is_better: bool = False, resamples: int = RESAMPLES) -> Ranking:
    """Ranks rows by their mean in resamples of persons, drawn jointly for all rows.

    As challengeR does (Wiesenfarth et al., Scientific Reports 11:2369, 2021), with aggregate-then-rank by the mean.

    Args:
        values: One row a person, one column a row of the table; every column holds a value at least.
        lower_is_better: As for distances.
        resamples: Number of resamples.

    Raises:
        ValueError: A column is empty.
    """
    if values.isna().all().any():
        raise ValueError(f"a row without any value has no rank: {list(values.columns[values.isna().all()])}")
    array = values.to_numpy(dtype=float) * (1 if lower_is_better else -1)
    observed = _ranks(np.nanmean(array, axis=0)[None])[0]
    means = resampled_means(array, resamples).T
    drawn = _ranks(means[~np.isnan(means).any(axis=1)])  # a resample may hold nobody who has a value
    low, high = (np.quantile(drawn, q, axis=0, method="inverted_cdf").astype(int) for q in (0.025, 0.975))
    ranks = [
        Rank(str(label), int(observed[i]), float(drawn[:, i].mean()), int(low[i]), int(high[i]),
             float((drawn[:, i] == 1).mean()))
        for i, label in enumerate(values.columns)
    ]  # fmt: skip
    tau = float(kendall_tau(drawn, observed).mean()) if len(values.columns) > 1 else 1.0
    return Ranking(
        tuple(sorted(ranks, key=lambda rank: (rank.observed, rank.mean))), tau, int(values.notna().any(axis=1).sum())
    )


def _ranks(means: Floats) -> Floats:
    """Ranks along the last axis, the smallest first; ties, up to rounding, share the better rank."""
    scale = np.nanmax(np.abs(means)) or 1.0
    ranks: Floats = stats.rankdata(np.round(means / scale, 12), method="min", axis=-1)
    return ranks


def kendall_tau(drawn: Floats, observed: Floats) -> Floats:
    """Kendall's tau-b of each row of `drawn` (resamples, rows) with `observed` (rows,); 0 where one is all ties."""
    left, right = np.triu_indices(len(observed), k=1)
    ours, theirs = np.sign(drawn[:, left] - drawn[:, right]), np.sign(observed[left] - observed[right])
    scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum())
    tau: Floats = (ours @ theirs) / np.where(scale > 0, scale, 1)
    return tau
