"""A table of the review beside what finished runs measured, row by row and metric by metric, one data set at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spinelab.errors import RunError
from spinelab.reporting.alike import check_alike
from spinelab.reporting.conditions import budget, check_label_maps, selection
from spinelab.reporting.groups import Group
from spinelab.reporting.measures import base
from spinelab.reporting.published import PublishedCell, PublishedTable
from spinelab.reporting.results import Results, read_runs
from spinelab.reporting.statistics import Summary
from spinelab.reporting.tables import Table, make_table

ALSO = {"specificity": ("specificity_roi",)}
"""Measured too where the review has the first: its specificities belong to regions of interest."""


@dataclass(frozen=True)
class RowRuns:
    """What there is of a row on one data set.

    Attributes:
        done: Folders of its finished runs.
        wanted: How many runs it shall have.
        how: The overrides that make the row.
    """

    done: tuple[Path, ...]
    wanted: int
    how: str = ""


@dataclass(frozen=True)
class Line:
    """A row and a metric.

    Attributes:
        row: The system.
        metric: As in the tables of cases; with its unit if it has one.
        paper: What the review prints; None if it has no such cell.
        measured: Column of the sheet -> what the persons gave; empty if nothing is measured.
        why: Why nothing is measured, or that runs are missing; "" if all is there.
    """

    row: str
    metric: str
    paper: PublishedCell | None
    measured: Mapping[str, Summary]
    why: str = ""


@dataclass(frozen=True)
class Sheet:
    """The review's table beside one data set.

    Attributes:
        data: Name of the data set in the study.
        columns: Structures whose scores stand in the text tables: the mean over classes, and lesions if there are any.
        lines: In the review's order; rows and metrics that it does not have follow.
        terms: Under which all rows were trained and tested, in words; "" if nothing is measured.
        tables: Metric -> the measured table, with all classes and comparisons.
        persons: Persons who were scored.
        how: Row -> the overrides that make it.
    """

    data: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    terms: str = ""
    tables: Mapping[str, Table] | None = None
    persons: int = 0
    how: Mapping[str, str] | None = None


def lay_beside(paper: PublishedTable, data: str, rows: Mapping[str, RowRuns]) -> Sheet:
    """Set the review's table beside the finished runs of a study on one data set.

    Args:
        paper: The review's table.
        data: Name of the data set in the study.
        rows: Row -> its runs; a row of the same name as the review's stands beside it.

    Raises:
        RunError: A finished run cannot be read, runs score different classes, or rows have other splits of a fold.
        ConfigError: The rows were not given the same terms.
    """
    results = read_runs([folder for row in rows.values() for folder in row.done]) if _any(rows) else Results(())
    groups = _groups(results, rows)
    check_alike({group.label: group.runs[0].config for group in groups})
    _check_splits(groups)
    tables = _measure(paper, groups)
    columns = _columns(groups, tables)
    names = dict.fromkeys((*paper.rows, *rows))
    lines = [line for row in names for line in _lines(row, paper, rows.get(row), tables, columns)]
    persons = len(frozenset().union(*(group.persons for group in groups))) if groups else 0
    how = {row: runs.how for row, runs in rows.items()}
    return Sheet(data, columns, tuple(lines), _terms(groups), tables, persons, how)


def _any(rows: Mapping[str, RowRuns]) -> bool:
    return any(row.done for row in rows.values())


def _groups(results: Results, rows: Mapping[str, RowRuns]) -> tuple[Group, ...]:
    check_label_maps(results.runs)
    owner = {folder.resolve(): row for row, runs in rows.items() for folder in runs.done}
    pooled = {row: tuple(run for run in results.runs if owner[run.folder] == row) for row in rows}
    return tuple(Group(row, runs) for row, runs in pooled.items() if runs)


def _check_splits(groups: tuple[Group, ...]) -> None:
    """The same settings give other splits where persons came or went between two runs."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for group in groups:
        for run in group.runs:
            key = (str(run["fold"]), str(run["seed"]))
            row, split = seen.setdefault(key, (group.label, str(run["split_hash"])))
            if split != str(run["split_hash"]):
                found = f"{row} and {group.label} have other splits of fold {key[0]}: {split} and {run['split_hash']}"
                raise RunError(
                    found, "the data set has changed: delete the runs made before, and run again", run.folder
                )


def _measure(paper: PublishedTable, groups: tuple[Group, ...]) -> dict[str, Table]:
    """The metrics that the review's table has, and those of `ALSO`, as far as the runs hold them."""
    if not groups:
        return {}
    held = pd.concat([group.cases[["metric", "unit"]].drop_duplicates("metric") for group in groups])
    units = dict(zip(held["metric"], held["unit"], strict=True))
    wanted = [name for metric in paper.metrics for name in (metric, *ALSO.get(metric, ()))]
    found = [metric for name in wanted for metric in sorted(units) if base(metric) == name]
    return {metric: make_table(groups, metric, units[metric]) for metric in dict.fromkeys(found)}


def _columns(groups: tuple[Group, ...], tables: Mapping[str, Table]) -> tuple[str, ...]:
    """The mean over classes (or the only class), then the classes that are lesions."""
    if not tables:
        return ()
    lesions = {str(name) for group in groups for name in group.runs[0].setting("data.labels.lesions") or ()}
    named = next(iter(tables.values())).columns
    return (named[-1], *(name for name in named[:-1] if name in lesions))


def _lines(
    row: str, paper: PublishedTable, runs: RowRuns | None, tables: Mapping[str, Table], columns: Sequence[str]
) -> Iterable[Line]:
    why = _why(row, paper, runs)
    told = {base(metric) for metric in tables}
    metrics: dict[str, str] = {}  # as measured -> as in the review
    for name in paper.metrics:
        metrics |= {metric: name for metric in tables if base(metric) == name} if name in told else {name: name}
        metrics |= {metric: "" for metric in tables if base(metric) in ALSO.get(name, ())}
    for metric, name in metrics.items():
        cell, measured = paper.cell(row, name), _summaries(row, tables.get(metric), columns)
        if cell or measured:
            missing = "no run measures this metric" if runs and runs.done and not measured else ""
            yield Line(row, metric, cell, measured, missing or why)


def _why(row: str, paper: PublishedTable, runs: RowRuns | None) -> str:
    if runs is None:
        return paper.not_yet_run.get(row, "this budget does not hold it")
    if not runs.done:
        return "none of its runs is done"
    return "" if len(runs.done) == runs.wanted else f"{len(runs.done)} of {runs.wanted} runs are done"


def _summaries(row: str, table: Table | None, columns: Sequence[str]) -> dict[str, Summary]:
    """Of every column of the table; the mean over classes stands for what has no class, such as the mean IoU."""
    found = next((line for line in table.rows if line.group.label == row), None) if table else None
    if table is None or found is None:
        return {}
    cells = dict(zip(table.columns, (cell.summary for cell in found.cells), strict=True))
    return {columns[0]: cells[table.columns[-1]]} | cells


def _terms(groups: tuple[Group, ...]) -> str:
    """Budget, split and selection rule, which all rows share; their folds and seeds, which they may not all have."""
    if not groups:
        return ""
    run = groups[0].runs[0]
    folds, seeds = ({run[name] for group in groups for run in group.runs} for name in ("fold", "seed"))
    parts = [
        f"{budget(run)}, batches of {run.setting('loader.batch_size')}",
        f"checkpoint: {selection(run)}",
        f"split by person: {run['protocol']}, {len(folds)} fold(s), {len(seeds)} seed(s)",
        f"augmentation: {run.setting('choices.augmentation')}",
        f"loss: {run.setting('choices.loss')}, optimizer: {run.setting('choices.optimizer')}",
    ]
    return "; ".join(parts)
