"""The comparison as a table: a row a model, a column a class, a mean over persons with its interval in each cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from spinelab.reporting.groups import Group
from spinelab.reporting.statistics import Difference, Summary, paired_difference, person_values, summarise

MEAN = "mean over classes"
TITLES = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "sensitivity": "Sensitivity",
    "ppv": "Positive predictive value",
    "specificity": "Specificity",
    "sa": "Segmentation accuracy (SA)",
    "accuracy": "Accuracy",
    "miou": "Mean IoU",
}
"""Known metrics in the order in which they are shown; others follow."""
SIZES = ("truth_volume", "predicted_volume")
"""Measured for each case, but neither more nor less of them is better: no table ranks them."""


@dataclass(frozen=True)
class Cell:
    """One model, one column.

    Attributes:
        persons: One value a person, as `person_values` returns them.
        summary: Mean, interval and counts.
        difference: Paired difference to the best row of the column; None if there is nothing to pair with.
        best: Best mean among the rows that were tested on the same persons (at least two).
        tied: The best, but not distinguishable from the runner-up.
    """

    persons: pd.DataFrame
    summary: Summary
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
        unit: "1", "mm", "mm3", ...; all but "1" count as the better the lower.
        columns: Class names, then `MEAN` if there is more than one class.
        rows: In the order of the groups.
    """

    metric: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What a reader calls the metric."""
        words = self.metric.replace("_", " ")
        return TITLES.get(self.metric, words[:1].upper() + words[1:])


def make_tables(groups: tuple[Group, ...]) -> tuple[Table, ...]:
    """A table for every metric that the runs hold; rows are ranked by the first one (Dice)."""
    held = pd.concat([group.cases[["metric", "unit"]] for group in groups]).drop_duplicates("metric")
    units = dict(zip(held["metric"], held["unit"], strict=True))
    order = list(TITLES)
    scores = [metric for metric in units if not metric.startswith(SIZES)]
    metrics = sorted(scores, key=lambda metric: (order.index(metric) if metric in order else len(order), metric))
    first = make_table(groups, metrics[0], units[metrics[0]])
    first = replace(first, rows=tuple(sorted(first.rows, key=lambda row: _badness(row.cells[-1], first.unit))))
    ranked = tuple(row.group for row in first.rows)
    return first, *(make_table(ranked, metric, units[metric]) for metric in metrics[1:])


def make_table(groups: tuple[Group, ...], metric: str, unit: str = "1") -> Table:
    """The table of one metric, rows in the order of `groups`."""
    held = pd.concat([group.cases for group in groups])
    classes = list(dict.fromkeys(held.loc[held["metric"] == metric, "class"]))
    names: list[str | None] = [*classes, None] if len(classes) > 1 else [*classes]
    columns = [_column(groups, metric, name, unit) for name in names]
    rows = tuple(Row(group, tuple(column[i] for column in columns)) for i, group in enumerate(groups))
    return Table(metric, unit, tuple(MEAN if name is None else name for name in names), rows)


def _column(groups: tuple[Group, ...], metric: str, cls: str | None, unit: str) -> list[Cell]:
    values = [person_values(group.cases, metric, cls) for group in groups]
    cells = [Cell(persons, summarise(persons)) for persons in values]
    for comparable in {group.comparable for group in groups}:
        rivals = [i for i, group in enumerate(groups) if group.comparable == comparable and cells[i].summary.n]
        if len(rivals) < 2:
            continue
        best, second, *_ = sorted(rivals, key=lambda i: _badness(cells[i], unit))
        for i in rivals:
            cells[i] = replace(cells[i], difference=paired_difference(values[i], values[best]) if i != best else None)
        runner_up = cells[second].difference
        cells[best] = replace(cells[best], best=True, tied=runner_up is None or not runner_up.distinguishable)
    return cells


def _badness(cell: Cell, unit: str) -> float:
    """Sorts the best first, and what has no value last."""
    mean = cell.summary.mean
    return math.inf if math.isnan(mean) else mean if unit != "1" else -mean
