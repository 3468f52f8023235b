"""One HTML page that holds everything it shows: it opens offline, years later, on any machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
from markupsafe import Markup

from spinelab.reporting import words, writers
from spinelab.reporting.facts import facts
from spinelab.reporting.figures import agreement_figure, cloud_figure, colours, curve_figure, rank_figure, site_figure
from spinelab.reporting.gallery import make_gallery
from spinelab.reporting.groups import Group, find_problems
from spinelab.reporting.rendering import rendered
from spinelab.reporting.results import Results
from spinelab.reporting.tables import MEAN, Cell, Table
from spinelab.reporting.verdicts import verdicts


def make_page(
    results: Results, groups: tuple[Group, ...], tables: tuple[Table, ...], out: Path, journal: Path | None = None
) -> str:
    """The page as text.

    Args:
        results: What was read, with what was skipped.
        groups: Rows, as `group_runs` pools them.
        tables: One a metric; the first is shown first.
        out: Folder that the page will lie in; links to the runs begin there.
        journal: Of the search that chose the runs' settings, if one did.
    """
    ranked = tuple(row.group for row in tables[0].rows)
    curves = [(title, curve_figure(ranked, column)) for title, column in
              (("Against epochs", "epoch"), ("Against time", "seconds"))]  # fmt: skip
    datasets = sorted({str(run["dataset"]) for run in results.runs})
    return rendered(
        "page.html.j2",
        title=f"Segmentation of {', '.join(datasets)}: {_models(len(groups))} compared",
        facts=facts(results, groups),
        problems=find_problems(results, groups),
        tables=tables,
        verdicts=verdicts(tables[0]),
        words=words,
        marks=writers.marks(tables),
        colours=colours(group.label for group in groups),
        extras=writers.extras,
        sort_values=_sort_values,
        strip=_strip,
        clouds={(t.metric, name): _embed(cloud_figure(t, name)) for t in tables if t.main for name in t.columns},
        ranks=_drawn((name, rank_figure(tables[0], name)) for name in tables[0].columns),
        curves=_drawn(curves),
        volumes=_drawn((name, agreement_figure(ranked, name)) for name in tables[0].columns if name != MEAN),
        sites=_drawn((name, site_figure(tables[0], name)) for name in tables[0].columns),
        numbers={group.label: number for number, group in enumerate(ranked, start=1)},
        links={group.label: _links(group, out) for group in ranked},
        searches=_searches(journal),
        gallery=make_gallery(ranked),
    )


def _searches(journal: Path | None) -> list[tuple[Any, list[tuple[str, Markup]]]]:
    """Each study of a search with its figures."""
    if journal is None:
        return []
    from spinelab.reporting.search import search_sections  # imports Optuna, which other pages do without

    return [(section, _drawn(section.figures.items())) for section in search_sections(journal)]


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _drawn(figures: Iterable[tuple[str, go.Figure | None]]) -> list[tuple[str, Markup]]:
    """Those that have something to show."""
    return [(title, _embed(figure)) for title, figure in figures if figure is not None]


def _links(group: Group, out: Path) -> list[tuple[str, str]]:
    """What a run is called, and the way to its folder from where the page lies."""
    return [
        (
            f"fold {run['fold']}, seed {run['seed']}: {run.folder.name}",
            quote(Path(os.path.relpath(run.folder, out.resolve())).as_posix()) + "/",
        )
        for run in sorted(group.runs, key=lambda run: (run["fold"], run["seed"]))
    ]


def _embed(figure: go.Figure) -> Markup:
    """JSON that may stand inside a script element: nothing in a case's name can close it."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def _sort_values(table: Table) -> dict[str, list[float | None]]:
    """Row label -> a number for each column after the first, None for nothing."""
    return {
        row.group.label: [
            *(None if math.isnan(cell.summary.mean) else cell.summary.mean for cell in row.cells),
            row.group.measured("parameters"),
            row.group.measured("seconds"),
        ]
        for row in table.rows
    }


def _strip(table: Table, cell: Cell) -> str:
    """CSS variables that place a cell's interval and mean (percent) on the scale that the whole table shares."""
    summary = cell.summary
    ends = [v for row in table.rows for c in row.cells for v in (c.summary.low, c.summary.high, c.summary.mean)]
    known = [value for value in ends if not math.isnan(value)]
    bottom, top = min(known), max(known)
    low, high = (summary.mean, summary.mean) if math.isnan(summary.low) else (summary.low, summary.high)
    left, middle, right = (100 * (value - bottom) / ((top - bottom) or 1) for value in (low, summary.mean, high))
    return f"--low:{left:.1f}%;--mean:{middle:.1f}%;--width:{right - left:.1f}%"
