"""Scores against something that is turned up step by step: figures with bands, tables, and a page of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import NDArray

from spinelab.reporting.figures.style import colours, layout, transparent
from spinelab.reporting.rendering import rendered
from spinelab.reporting.statistics import intervals
from spinelab.reporting.words import number


@dataclass(frozen=True)
class Estimate:
    """A mean over persons with its 95 % interval (NaN where there is none), and how many have a value."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return number(self.mean) + ("" if math.isnan(self.low) else f" [{number(self.low)}, {number(self.high)}]")


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        label: Whose it is; the same label has the same colour in every figure with the same labels.
        x: Where each point lies.
        y: How high.
        texts: What each point says when it is pointed at.
        names: What stands beside each point; () for nothing.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[Estimate, ...]
    texts: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A table of words under a heading; the first column names its lines."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Part:
    """Figures under one heading: (caption, figure) each."""

    title: str
    note: str
    figures: tuple[tuple[str, go.Figure], ...]


@dataclass(frozen=True)
class CurvePage:
    """What a page shows, from the top.

    Attributes:
        title: Its heading.
        facts: What a reader asks first.
        problems: What to know before believing it, a sentence each.
        parts: Figures.
        grids: Tables.
        notes: How it was made, a sentence each.
    """

    title: str
    facts: dict[str, str]
    problems: tuple[str, ...]
    parts: tuple[Part, ...]
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]


def estimates(values: NDArray[np.float64]) -> list[Estimate]:
    """One a column of scores (persons, columns), over the persons who have a value; NaN where a person has none."""
    n = (~np.isnan(values)).sum(axis=0)
    means = np.where(n > 0, np.nansum(values, axis=0) / np.maximum(n, 1), np.nan)
    return [
        Estimate(float(mean), float(low), float(high), int(count))
        for mean, (low, high), count in zip(means, intervals(values), n, strict=True)
    ]


def flat(point: Any) -> dict[str, Any]:
    """Plain values of a dataclass, those of an estimate by their own names (after its name, but for `value`)."""
    found: dict[str, Any] = {}
    for key, value in vars(point).items():
        if isinstance(value, Estimate):
            prefix = "" if key == "value" else f"{key}_"
            found |= {f"{prefix}{name}": part for name, part in vars(value).items()}
        else:
            found["class" if key == "cls" else key] = value
    return found


def band_figure(curves: Sequence[Curve], x: str, y: str) -> go.Figure:
    """A line a curve with its interval as a band.

    Args:
        curves: The lines.
        x: Title of the axis.
        y: Likewise.
    """
    colour = colours(curve.label for curve in curves)
    figure = go.Figure()
    for curve in curves:
        tint = colour[curve.label]
        ends = [(at, point) for at, point in zip(curve.x, curve.y, strict=True) if not math.isnan(point.low)]
        figure.add_scatter(
            x=[at for at, _ in ends] + [at for at, _ in reversed(ends)],
            y=_numbers([*(point.high for _, point in ends), *(point.low for _, point in reversed(ends))]),
            fill="toself", fillcolor=transparent(tint), line={"width": 0}, mode="lines", hoverinfo="skip",
            showlegend=False, legendgroup=curve.label,
        )  # fmt: skip
        figure.add_scatter(
            x=list(curve.x), y=_numbers(point.mean for point in curve.y), name=curve.label, legendgroup=curve.label,
            mode="lines+markers+text" if curve.names else "lines+markers", text=list(curve.names),
            textposition="top center", cliponaxis=False, line={"color": tint, "width": 2}, marker={"size": 7},
            hovertext=list(curve.texts), hovertemplate="%{hovertext}<extra>" + curve.label + "</extra>",
        )  # fmt: skip
    figure.update_layout(layout(), height=320 + 12 * len(curves))
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title=x)
    return figure.update_yaxes(title=y)


def to_html(page: CurvePage) -> str:
    """One file that holds everything it shows, so that it opens offline."""
    drawn = [(part, [(name, embedded(figure)) for name, figure in part.figures]) for part in page.parts]
    return rendered("curves.html.j2", title=page.title, page=page, drawn=drawn)


def to_markdown(page: CurvePage) -> str:
    """The same without its figures."""
    facts = [f"{name}: {value}" for name, value in page.facts.items()]
    parts = [f"# {page.title}", "\n".join(f"- {_plain(fact)}" for fact in facts)]
    if page.problems:
        parts += ["## Before you believe the table", "\n".join(f"- {_plain(problem)}" for problem in page.problems)]
    for grid in page.grids:
        parts += [f"## {_plain(grid.title)}", _markdown(grid), *([_plain(grid.note)] if grid.note else [])]
    return "\n\n".join([*parts, "## How it was made", "\n".join(f"- {_plain(note)}" for note in page.notes)]) + "\n"


def embedded(figure: go.Figure) -> Markup:
    """JSON that may stand inside a script element: no label can close it."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def _markdown(grid: Grid) -> str:
    rows: Iterable[Sequence[str]] = [grid.heads, ["---", *["---:"] * (len(grid.heads) - 1)], *grid.lines]
    return "\n".join(f"| {' | '.join(_plain(word) for word in row)} |" for row in rows)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _numbers(values: Iterable[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if math.isnan(value) else float(f"{value:.6g}") for value in values]
