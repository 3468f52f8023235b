"""The comparison as a table: a row a model, a column a class, a mean over persons with its interval in each cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from spinelab.reporting.groups import Group
from spinelab.reporting.measures import is_main, is_ranked, lower_is_better, place, title
from spinelab.reporting.statistics import (
    MEAN,
    Comparison,
    Difference,
    Ranking,
    Spread,
    Summary,
    compare_pairs,
    intervals,
    rank_rows,
    spread,
    summary_of,
)

__all__ = ["MEAN", "Cell", "Row", "Table", "make_table", "make_tables"]


@dataclass(frozen=True)
class Cell:
    """One model, one column.

    Attributes:
        persons: One value a person, as `person_values` returns them.
        summary: Mean, interval and counts.
        spread: Variance over persons, folds and seeds.
        difference: Paired difference to the best row of the column; None if there is nothing to pair with.
        best: Best mean among the rows that were trained and tested alike (at least two).
        tied: The best, but not distinguishable from the runner-up (interval, adjusted p, number of persons).
    """

    persons: pd.DataFrame
    summary: Summary
    spread: Spread
    difference: Difference | None = None
    best: bool = False
    tied: bool = False


@dataclass(frozen=True)
class Row:
    """A group of runs and its cells, one a column."""

    group: Group
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """One metric.

    Attributes:
        metric: Its name in the case tables.
        unit: "1", "mm", "mm3", "lesions", ...
        columns: Class names, then `MEAN` if there is more than one class.
        rows: In the order of the groups.
        comparisons: Column -> every pair of rows that were trained and tested alike, adjusted within the column.
        rankings: Column -> a ranking for each set of such rows, if they are two or more.
    """

    metric: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    comparisons: Mapping[str, tuple[Comparison, ...]] = field(default_factory=dict)
    rankings: Mapping[str, tuple[Ranking, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What a reader calls the metric."""
        return title(self.metric)

    @property
    def main(self) -> bool:
        """Whether it is among those that papers report."""
        return is_main(self.metric)

    @property
    def lower_is_better(self) -> bool:
        """Which way round the metric is to be read."""
        return lower_is_better(self.metric, self.unit)


def make_tables(groups: tuple[Group, ...]) -> tuple[Table, ...]:
    """A table for every metric that the runs hold; rows are ranked by the first one (Dice)."""
    held = pd.concat([group.cases[["metric", "unit"]].drop_duplicates("metric") for group in groups])
    units = dict(zip(held["metric"], held["unit"], strict=True))
    metrics = sorted(filter(is_ranked, units), key=place)
    lower = lower_is_better(metrics[0], units[metrics[0]])
    ranked = tuple(sorted(groups, key=lambda group: _mean_badness(group, metrics[0], lower)))
    return tuple(make_table(ranked, metric, units[metric]) for metric in metrics)


def _mean_badness(group: Group, metric: str, lower: bool) -> float:
    return _badness(float(group.scores.column(metric, MEAN)["value"].mean()), lower)


def make_table(groups: tuple[Group, ...], metric: str, unit: str = "1") -> Table:
    """The table of one metric, rows in the order of `groups`."""
    held = [cls for group in groups for name, cls in group.scores.columns if name == metric and cls != MEAN]
    classes = tuple(dict.fromkeys(held))
    names = (*classes, MEAN) if len(classes) > 1 else classes
    columns = [_column(groups, metric, name, lower_is_better(metric, unit)) for name in names]
    rows = tuple(Row(group, tuple(column.cells[i] for column in columns)) for i, group in enumerate(groups))
    return Table(
        metric, unit, names, rows,
        comparisons={name: column.comparisons for name, column in zip(names, columns, strict=True)},
        rankings={name: column.rankings for name, column in zip(names, columns, strict=True)},
    )  # fmt: skip


@dataclass(frozen=True)
class _Column:
    cells: list[Cell]
    comparisons: tuple[Comparison, ...]
    rankings: tuple[Ranking, ...]


def _column(groups: tuple[Group, ...], metric: str, name: str, lower: bool) -> _Column:
    cells: dict[str, Cell] = {}
    values, rankings = [], []
    for alike in _alike(groups):
        persons = {group.label: group.scores.column(metric, name) for group in alike}
        frame = pd.DataFrame({label: column["value"] for label, column in persons.items()})
        cells |= {group.label: _cell(group, persons[group.label], ends, metric, name)
                  for group, ends in zip(alike, intervals(frame.to_numpy(dtype=float)), strict=True)}  # fmt: skip
        rivals = frame.dropna(axis=1, how="all")
        if rivals.shape[1] > 1:
            values.append(rivals)
            rankings.append(rank_rows(rivals, lower))
    comparisons = compare_pairs(values)
    for rivals in values:
        cells |= _mark({str(label): cells[str(label)] for label in rivals}, comparisons, lower)
    return _Column([cells[group.label] for group in groups], comparisons, tuple(rankings))


def _alike(groups: tuple[Group, ...]) -> list[list[Group]]:
    """Rows that were trained and tested alike."""
    sets = dict.fromkeys(group.comparable for group in groups)
    return [[group for group in groups if group.comparable == conditions] for conditions in sets]


def _cell(group: Group, persons: pd.DataFrame, ends: Sequence[float], metric: str, name: str) -> Cell:
    return Cell(persons, summary_of(persons, (float(ends[0]), float(ends[1]))), spread(group.by_run(metric, name)))


def _mark(rivals: Mapping[str, Cell], comparisons: Sequence[Comparison], lower: bool) -> dict[str, Cell]:
    """The same cells, with the best marked and the others' differences to it."""
    best, second, *_ = sorted(rivals, key=lambda label: _badness(rivals[label].summary.mean, lower))
    to_best = {c.second: -c.difference for c in comparisons if c.first == best}
    to_best |= {c.first: c.difference for c in comparisons if c.second == best}
    told_apart = any(c.real for c in comparisons if {c.first, c.second} == {best, second})
    return {
        label: replace(cell, best=label == best, tied=label == best and not told_apart, difference=to_best.get(label))
        for label, cell in rivals.items()
    }


def _badness(mean: float, lower: bool) -> float:
    """Sorts the best first, and what has no value last."""
    return math.inf if math.isnan(mean) else mean if lower else -mean
