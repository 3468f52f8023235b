"""What the figures of a reproduced table show: a mark for each printed and each measured value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from spinelab.reporting.beside import Line, Sheet
from spinelab.reporting.measures import TITLES, base
from spinelab.reporting.published import PublishedCell

TRUST_COLOURS = {
    "ok": "#009E73",
    "unsourced": "#E69F00",
    "garbled": "#CC79A7",
    "contradicted": "#D55E00",
    "unsupported": "#8C8C8C",
    "unchecked": "#56B4E9",
}
"""Grade -> colour of a printed mark (Okabe and Ito 2008); measured ones are `MEASURED`."""
MEASURED = "#0072B2"
SYMBOLS = (("circle", "o"), ("diamond", "D"), ("square", "s"))
"""Of the columns of a sheet, as plotly and as matplotlib call them; they repeat."""


@dataclass(frozen=True)
class Point:
    """A mark in a figure.

    Attributes:
        row: The system.
        series: "printed", or the column that was measured.
        value: In the unit of the tables of cases; a misprint corrected.
        low: Lower end of the 95 % interval; NaN if there is none, as with what is printed.
        high: Upper end.
        text: What a pointer on it tells.
        cell: The printed cell; None of what was measured.
    """

    row: str
    series: str
    value: float
    low: float
    high: float
    text: str
    cell: PublishedCell | None = None


def panels(sheet: Sheet) -> dict[str, list[Point]]:
    """Metric -> its marks, for the metrics that something was measured of."""
    found: dict[str, list[Point]] = {}
    for line in sheet.lines:
        if base(line.metric) in TITLES:
            found.setdefault(line.metric, []).extend(_points(sheet, line))
    return {metric: points for metric, points in found.items() if any(point.cell is None for point in points)}


def series_names(sheet: Sheet) -> tuple[str, ...]:
    """The measured columns, then what is printed, in the order in which a row shows them from top to bottom."""
    return (*sheet.columns, "printed")


def shift(sheet: Sheet, series: str) -> float:
    """How far below its row's middle a series is drawn, in rows."""
    names = series_names(sheet)
    return (names.index(series) - (len(names) - 1) / 2) * 0.22


def row_names(points: Iterable[Point]) -> list[str]:
    """The rows that have a mark, in their order."""
    return list(dict.fromkeys(point.row for point in points))


def _points(sheet: Sheet, line: Line) -> Iterable[Point]:
    cell = line.paper
    if cell is not None and cell.scaled is not None:
        text = f"{line.row}: printed {cell.printed}, {cell.trust}"
        yield Point(line.row, "printed", cell.scaled, math.nan, math.nan, text, cell)
    for name in sheet.columns:
        part = line.measured.get(name)
        if part is not None and not math.isnan(part.mean):
            yield Point(line.row, name, part.mean, part.low, part.high, f"{line.row}: {name}, n={part.n}")
