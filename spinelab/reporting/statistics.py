"""From case scores to a mean with an interval. The unit is the person: persons differ, slices of a person hardly do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9999
DISTINGUISHABLE_FROM = 6
"""With fewer persons no two-sided sign or signed-rank test can reach 0.05 (2 * 0.5**5 > 0.05), so none is called."""
TRUSTED_FROM = 10
"""With fewer persons a bootstrap interval is markedly too narrow; the page says so."""
STATES = ("absent", "missed", "false_alarm")


@dataclass(frozen=True)
class Summary:
    """Persons, summed up.

    Attributes:
        mean: Mean over persons; NaN without persons.
        low: Lower end of the 95 % interval of the mean; NaN with fewer than two persons.
        high: Upper end.
        n: Number of persons that have a value.
        median: Median over persons.
        sd: Standard deviation over persons (n - 1); NaN with fewer than two persons.
        absent: Volumes scored without a value, because the class is neither in the truth nor in the prediction.
        missed: Volumes whose truth holds the class and whose prediction does not.
        false_alarm: Volumes whose prediction holds the class and whose truth does not.
    """

    mean: float
    low: float
    high: float
    n: int
    median: float
    sd: float
    absent: int = 0
    missed: int = 0
    false_alarm: int = 0


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


def person_values(cases: pd.DataFrame, metric: str, cls: str | None) -> pd.DataFrame:
    """One value a person: volumes averaged within a run, then (if asked) classes, then runs (seeds, folds).

    Args:
        cases: Case tables of one model on one data set, one below the other (`results.COLUMNS`).
        metric: Name of the metric.
        cls: Name of the class, or None for the mean over a person's classes.

    Returns:
        Indexed by person: `value` (NaN if a person has none) and, counted in volumes over all runs, `absent`,
        `missed` and `false_alarm`.
    """
    rows = cases[(cases["metric"] == metric) & ((cases["class"] == cls) | (cls is None))]
    rows = rows.assign(value=rows["value"].astype(float))
    volumes = rows.groupby(["person", "run", "class"])["value"].mean()
    values = volumes.groupby(["person", "run"]).mean().groupby("person").mean()
    counts = pd.DataFrame({state: rows["state"] == state for state in STATES}).groupby(rows["person"]).sum()
    return counts.assign(value=values)


def summarise(persons: pd.DataFrame) -> Summary:
    """Mean over persons with its 95 % interval (bootstrap over persons).

    Args:
        persons: What `person_values` returns.
    """
    values = persons["value"].dropna().to_numpy(dtype=float)
    n = len(values)
    low, high = bootstrap_interval(values)
    return Summary(
        mean=float(values.mean()) if n else np.nan,
        low=low,
        high=high,
        n=n,
        median=float(np.median(values)) if n else np.nan,
        sd=float(values.std(ddof=1)) if n > 1 else np.nan,
        **{state: int(persons[state].sum()) for state in STATES},
    )


def paired_difference(persons: pd.DataFrame, reference: pd.DataFrame) -> Difference:
    """Mean of (value - reference's value) over the persons common to both, with its 95 % interval.

    Args:
        persons: What `person_values` returns, for one model.
        reference: The same for the other model, on the same data set.
    """
    values = (persons["value"] - reference["value"]).dropna().to_numpy(dtype=float)
    low, high = bootstrap_interval(values)
    return Difference(float(values.mean()) if len(values) else np.nan, low, high, len(values))


def bootstrap_interval(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean by bootstrap, bias-corrected and accelerated (Efron 1987).

    Percentiles are taken where the correction has no value, e.g. when all values are equal.

    Args:
        values: (n,) one value a person.
        seed: Of the resampling, so that the same scores always print the same interval.

    Returns:
        Lower and upper end; NaN with fewer than two values.
    """
    if len(values) < 2:
        return np.nan, np.nan
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns where the correction has no value; percentiles follow
            low, high = stats.bootstrap(
                (values,), np.mean, n_resamples=RESAMPLES, method=method, random_state=np.random.default_rng(seed)
            ).confidence_interval
        if np.isfinite([low, high]).all():
            break
    return float(low), float(high)
