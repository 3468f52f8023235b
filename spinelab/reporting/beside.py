"""A table of the review beside what finished runs measured, row by row and metric by metric, one data set at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from spinelab.errors import RunError
from spinelab.reporting.alike import check_alike, is_technique
from spinelab.reporting.conditions import budget, check_label_maps, selection
from spinelab.reporting.groups import Conditions, Group
from spinelab.reporting.measures import base
from spinelab.reporting.published import PublishedCell, PublishedTable
from spinelab.reporting.results import Results, read_runs
from spinelab.reporting.statistics import Summary
from spinelab.reporting.tables import Table, make_table

ALSO = {"specificity": ("specificity_roi",)}
"""Measured too where the review has the first: its specificities belong to regions of interest."""
COMMON = "dice"
"""Measured for every table: where the review gives each row another metric, no two rows could be compared without."""
UNMEASURED = "no run measures this metric"
"""Why a cell of a row that has runs is empty."""


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

    @property
    def unit(self) -> str:
        """Of what is measured: "mm"; "1" of a ratio."""
        return self.metric.partition(" (")[2].rstrip(")") or "1"


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
        groups: The rows that runs are there of, with these runs.
    """

    data: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    terms: str = ""
    tables: Mapping[str, Table] | None = None
    persons: int = 0
    how: Mapping[str, str] | None = None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class _AlikeRow(Group):
    """A row whose terms `check_alike` has compared, which a technique has no budget of epochs among."""

    @cached_property
    def comparable(self) -> Conditions:
        return replace(super().comparable, budget="", selection="")


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
    lines = [line for row in names for line in _lines(row, paper, rows, tables, columns)]
    persons = len(frozenset().union(*(group.persons for group in groups))) if groups else 0
    how = {row: runs.how for row, runs in rows.items()}
    return Sheet(data, columns, tuple(lines), _terms(groups), tables, persons, how, groups)


def _any(rows: Mapping[str, RowRuns]) -> bool:
    return any(row.done for row in rows.values())


def _groups(results: Results, rows: Mapping[str, RowRuns]) -> tuple[Group, ...]:
    check_label_maps(results.runs)
    owner = {folder.resolve(): row for row, runs in rows.items() for folder in runs.done}
    pooled = {row: tuple(run for run in results.runs if owner[run.folder] == row) for row in rows}
    return tuple(_AlikeRow(row, runs) for row, runs in pooled.items() if runs)


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
    """The metrics that the review's table has, `COMMON` and those of `ALSO`, as far as the runs hold them."""
    if not groups:
        return {}
    held = pd.concat([group.cases[["metric", "unit"]].drop_duplicates("metric") for group in groups])
    units = dict(zip(held["metric"], held["unit"], strict=True))
    wanted = [name for metric in _metrics(paper) for name in (metric, *ALSO.get(metric, ()))]
    found = [metric for name in wanted for metric in sorted(units) if base(metric) == name]
    return {metric: make_table(groups, metric, units[metric]) for metric in dict.fromkeys(found)}


def _metrics(paper: PublishedTable) -> tuple[str, ...]:
    return paper.metrics if COMMON in paper.metrics else (COMMON, *paper.metrics)


def _columns(groups: tuple[Group, ...], tables: Mapping[str, Table]) -> tuple[str, ...]:
    """The mean over classes (or the only class), then the classes that are lesions."""
    if not tables:
        return ()
    lesions = {str(name) for group in groups for name in group.runs[0].setting("data.labels.lesions") or ()}
    named = max((table.columns for table in tables.values()), key=len)  # some metrics are of lesions alone
    return (named[-1], *(name for name in named[:-1] if name in lesions))


def _lines(
    row: str, paper: PublishedTable, rows: Mapping[str, RowRuns], tables: Mapping[str, Table], columns: Sequence[str]
) -> Iterable[Line]:
    source = row if row in rows else paper.same.get(row, row)
    runs = rows.get(source)
    why = "; ".join(filter(None, ["" if source == row else f"the runs of {source}", _why(row, paper, runs)]))
    told = {base(metric) for metric in tables}
    metrics: dict[str, str] = {}  # as measured -> as in the review
    for name in _metrics(paper):
        metrics |= {metric: name for metric in tables if base(metric) == name} if name in told else {name: name}
        metrics |= {metric: "" for metric in tables if base(metric) in ALSO.get(name, ())}
    for metric, name in metrics.items():
        cell, measured = paper.cell(row, name), _summaries(source, tables.get(metric), columns)
        if cell or measured:
            missing = UNMEASURED if runs and runs.done and not measured else ""
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
    return cells if table.columns[-1] in columns else {columns[0]: cells[table.columns[-1]]} | cells


def _terms(groups: tuple[Group, ...]) -> str:
    """Split, budget and selection rule, which all rows share; their folds and seeds, which they may not all have."""
    if not groups:
        return ""
    folds, seeds = ({run[name] for group in groups for run in group.runs} for name in ("fold", "seed"))
    split = f"split by person: {groups[0].runs[0]['protocol']}, {len(folds)} fold(s), {len(seeds)} seed(s)"
    networks = [group for group in groups if not is_technique(group.runs[0].config)]
    parts = [split, *(_training(networks) if networks else ())]
    if len(networks) < len(groups):
        parts.append("techniques without a network are fitted without a budget of epochs")
    return "; ".join(parts)


def _training(networks: Sequence[Group]) -> Iterable[str]:
    run = networks[0].runs[0]
    yield f"{budget(run)}, batches of {run.setting('loader.batch_size')}"
    yield f"checkpoint: {selection(run)}"
    yield f"augmentation: {run.setting('choices.augmentation')}; slices drawn: {run.setting('loader.sampling')}"
    for part in ("loss", "optimizer"):
        yield f"{part}: {', '.join(dict.fromkeys(str(row.runs[0].setting(f'choices.{part}')) for row in networks))}"
