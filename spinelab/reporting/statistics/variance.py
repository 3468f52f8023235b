"""Where the spread of the scores comes from: other persons, other folds, other seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Components = tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True)
class Spread:
    """Variance components of a row's scores, and what another seed does to its mean. None: not known.

    Attributes:
        persons: Variance between persons. Holds what remains where no person was scored by two seeds.
        folds: Variance between folds beyond their persons. Holds the seeds where every fold has one.
        seeds: Variance between trainings with other seeds, the same for all persons of a fold.
        rest: What remains: other seeds are better for other persons.
        noise: Standard deviation over seeds of the row's mean over persons.
        seed_count: Number of seeds that `noise` is taken over; seeds that were not scored on all persons do not count.
    """

    persons: float | None = None
    folds: float | None = None
    seeds: float | None = None
    rest: float | None = None
    noise: float | None = None
    seed_count: int = 0


def spread(scores: pd.DataFrame) -> Spread:
    """Splits the variance of a row's scores.

    Args:
        scores: One line a person and run: `person`, `run`, `fold`, `seed`, `value`. Lines without a value are left out.
    """
    scores = scores[scores["value"].notna()]
    if scores["fold"].nunique() > 1 and scores.groupby("person")["fold"].nunique().max() > 1:
        scores = scores.assign(fold=0)  # networks of all folds, on persons of another data set
    noise, count = seed_noise(scores)
    return Spread(*variance_components(scores), noise, count)


def seed_noise(scores: pd.DataFrame) -> tuple[float | None, int]:
    """Standard deviation over seeds (n - 1) of the mean over persons, and the number of seeds.

    Taken over the persons that every seed has scored, else the noise would hold differences between persons. A seed
    stands for all its folds, since the row's mean does.

    Args:
        scores: As `spread` takes them.

    Returns:
        None with fewer than two seeds or without a person common to all.
    """
    if (count := scores["seed"].nunique()) < 2:
        return None, count
    by_seed = scores.groupby(["person", "seed"])["value"].mean().unstack("seed").dropna()
    seeds = by_seed.shape[1] if len(by_seed) else 0
    return (float(by_seed.mean().std(ddof=1)) if seeds > 1 else None), seeds


def variance_components(scores: pd.DataFrame) -> Components:
    """Variances of persons, folds, seeds and the rest, by the method of moments.

    The model is ``score = mean + fold + person (in the fold) + training (in the fold) + rest``: persons and seeds are
    crossed within a fold; seed 0 of one fold shares nothing with seed 0 of another but its number. Half the squared
    difference of two scores has an expectation that depends only on what the two share:

        same person, other seed      seeds + rest
        same training, other person  persons + rest
        same fold, nothing else      persons + seeds + rest
        nothing                      folds + persons + seeds + rest

    so the means over such pairs give the components, whatever is missing. On balanced data this is the analysis of
    variance; estimates below 0 are set to 0.

    Args:
        scores: As `spread` takes them, without NaN.

    Returns:
        Persons, folds, seeds, rest; None where the runs cannot tell (see `Spread`).
    """
    person, training, fold, everything = _half_squares(scores)
    parts: Components
    if person is not None and training is not None and fold is not None:
        parts = fold - person, _minus(everything, fold), fold - training, person + training - fold
    elif person is not None:  # every person is a fold
        parts = _minus(everything, person), None, None, person
    else:  # every person was scored once
        parts = (everything if training is None else training), _minus(everything, training), None, None
    persons, folds, seeds, rest = (None if part is None else max(0.0, part) for part in parts)
    return persons, folds, seeds, rest


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _half_squares(scores: pd.DataFrame) -> Components:
    """Mean of half the squared difference over pairs that share the person, the training, the fold only, nothing."""
    values = (scores["value"] - scores["value"].mean()).to_numpy(dtype=float)
    by_person, by_training, by_fold = (_pairs(values, _codes(scores[key])) for key in ("person", "run", "fold"))
    everything = _pairs(values, np.zeros(len(values), np.int64))
    # A person lies in one fold and was scored once by each training, so the kinds of pairs do not overlap.
    kinds = by_person, by_training, by_fold - by_person - by_training, everything - by_fold
    persons, trainings, folds, rest = (float(total / count) if count else None for total, count in kinds)
    return persons, trainings, folds, rest


def _codes(column: pd.Series) -> Codes:
    return pd.factorize(column)[0].astype(np.int64)


def _pairs(values: Floats, codes: Codes) -> Floats:
    """Sum of half the squared differences over all pairs within a group, and the number of such pairs."""
    count = np.bincount(codes)
    squares = count * np.bincount(codes, values**2) - np.bincount(codes, values) ** 2
    return np.array([squares.sum() / 2, (count * (count - 1)).sum() / 2])


def seed_limit(first: Spread, second: Spread) -> float | None:
    """How large a difference of two rows' means seeds alone would give: 95 % of differences are smaller.

    Student's t with Welch's degrees of freedom, on the standard errors that the rows' seeds leave in their means.

    Returns:
        None if a row has one seed only.
    """
    if first.noise is None or second.noise is None:
        return None
    parts = [(row.noise**2 / row.seed_count, row.seed_count - 1) for row in (first, second) if row.noise]
    error = sum(variance for variance, _ in parts)
    if not error:
        return 0.0
    freedom = error**2 / sum(variance**2 / free for variance, free in parts)
    return float(stats.t.ppf(0.975, freedom) * error**0.5)
