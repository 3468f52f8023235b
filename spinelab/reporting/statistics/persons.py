"""From case scores to one value a person. The unit is the person: persons differ, slices of a person hardly do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinelab.reporting.statistics.bootstrap import bootstrap_interval

Floats = NDArray[np.float64]

STATES = ("absent", "missed", "false_alarm")
MEAN = "mean over classes"
"""Name of the column that averages the classes within a person."""


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
class Scores:
    """Every metric and class of one row of a table, by person.

    Attributes:
        persons: (P,) names, sorted.
        columns: (metric, class) -> its column below; (metric, `MEAN`) is the mean over classes.
        values: (P, columns) mean over runs; NaN where a person has no value.
        states: State -> (P, columns) volumes counted over all runs.
        person: (L,) position in `persons` of each line of `by_run`.
        run: (L,) run of each line.
        by_run: (L, columns) the same scores for each person and run, volumes averaged.
    """

    persons: pd.Index
    columns: dict[tuple[str, str], int]
    values: Floats
    states: dict[str, NDArray[np.int64]]
    person: NDArray[np.int64]
    run: NDArray[np.str_]
    by_run: Floats

    def column(self, metric: str, cls: str) -> pd.DataFrame:
        """What `person_values` returns, of one metric and class; without values if the row does not have them."""
        at = self.columns.get((metric, cls))
        columns = {state: 0 if at is None else counts[:, at] for state, counts in self.states.items()}
        return pd.DataFrame(columns | {"value": np.nan if at is None else self.values[:, at]}, index=self.persons)


def score_persons(cases: pd.DataFrame) -> Scores:
    """Averages volumes within a run, then (for `MEAN`) classes, then runs, for every metric and class at once.

    Args:
        cases: Case tables of one model on one data set, one below the other (`results.COLUMNS`).
    """
    person, persons = pd.factorize(cases["person"], sort=True)
    run, runs = pd.factorize(cases["run"])
    (metric, kinds), (cls, classes) = pd.factorize(cases["metric"]), pd.factorize(cases["class"])
    pairs, column = np.unique(metric * len(classes) + cls, return_inverse=True)
    names = [(str(kinds[pair // len(classes)]), str(classes[pair % len(classes)])) for pair in pairs]
    lines, line = np.unique(person * len(runs) + run, return_inverse=True)
    value = cases["value"].to_numpy(dtype=float, na_value=np.nan)
    columns = {name: i for i, name in enumerate(names)}
    by_class = _means(value[:, None], line * len(names) + column, len(lines) * len(names)).reshape(len(lines), -1)
    metrics = {kind: [at for (name, _), at in columns.items() if name == kind] for kind in map(str, kinds)}
    overall = [_nanmean(by_class[:, members]) for members in metrics.values()]
    by_run = np.column_stack([by_class, *overall])
    states = {state: _count(cases["state"] == state, person, column, len(persons), len(names)) for state in STATES}
    return Scores(
        persons=pd.Index(persons),
        columns=columns | {(kind, MEAN): len(names) + i for i, kind in enumerate(metrics)},
        values=_means(by_run, lines // len(runs), len(persons)),
        states={state: np.column_stack([count, *(count[:, members].sum(axis=1) for members in metrics.values())])
                for state, count in states.items()},
        person=lines // len(runs),
        run=np.asarray(runs, dtype=str)[lines % len(runs)],
        by_run=by_run,
    )  # fmt: skip


def _means(values: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """(groups, columns): mean of each column over the lines of a group that have a value; NaN if none has."""
    known = ~np.isnan(values)
    sums, counts = np.zeros((groups, values.shape[1])), np.zeros((groups, values.shape[1]))
    np.add.at(sums, group, np.where(known, values, 0))
    np.add.at(counts, group, known)
    with np.errstate(invalid="ignore"):
        means: Floats = sums / counts
    return means


def _nanmean(values: Floats) -> Floats:
    """Mean along the last axis over what is known; NaN if nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return means


def _count(
    chosen: pd.Series, person: NDArray[np.int64], column: NDArray[np.int64], persons: int, columns: int
) -> NDArray[np.int64]:
    at = (person * columns + column)[chosen.to_numpy(dtype=bool)]
    return np.bincount(at, minlength=persons * columns).reshape(persons, columns).astype(np.int64)


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
    return score_persons(rows).column(metric, MEAN if cls is None else cls)


def summarise(persons: pd.DataFrame) -> Summary:
    """Mean over persons with its 95 % interval (bootstrap over persons).

    Args:
        persons: What `person_values` returns.
    """
    return summary_of(persons, bootstrap_interval(persons["value"].to_numpy(dtype=float)))


def summary_of(persons: pd.DataFrame, interval: tuple[float, float]) -> Summary:
    """`summarise` with an interval that is known already."""
    values = persons["value"].dropna().to_numpy(dtype=float)
    n = len(values)
    return Summary(
        float(values.mean()) if n else np.nan,
        *interval,
        n=n,
        median=float(np.median(values)) if n else np.nan,
        sd=float(values.std(ddof=1)) if n > 1 else np.nan,
        **{state: int(persons[state].sum()) for state in STATES},
    )
