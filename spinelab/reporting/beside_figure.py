"""Printed and measured values side by side: for the page (plotly) and for a README (matplotlib)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from spinelab.files import write_atomically
from spinelab.reporting.beside import Sheet
from spinelab.reporting.beside_points import (
    MEASURED,
    SYMBOLS,
    TRUST_COLOURS,
    Point,
    panels,
    row_names,
    shift,
)
from spinelab.reporting.figures.style import layout
from spinelab.reporting.measures import title

ACROSS = 4
"""Panels beside each other in a picture; more go below."""
ROW, ENTRY = 0.34, 2.1
"""Height of a row, and width of an entry of the legend, in a picture, in inches."""


def beside_figures(sheet: Sheet) -> list[tuple[str, go.Figure]]:
    """A figure for each metric that something was measured of, with its title; rows from top to bottom."""
    return [(title(metric), _figure(sheet, points)) for metric, points in panels(sheet).items()]


def _figure(sheet: Sheet, points: list[Point]) -> go.Figure:
    rows = row_names(points)
    figure = go.Figure()
    for name, grade in _series(sheet, points):
        own = [point for point in points if point.series == name and _grade(point) == grade]
        _add(figure, sheet, own, rows, grade)
    figure.update_layout(layout(), height=56 + 40 * len(rows), hovermode="closest", showlegend=False)
    places = {"tickmode": "array", "tickvals": list(range(len(rows))), "ticktext": rows, "ticklabelstandoff": 6}
    return figure.update_yaxes(range=[len(rows) - 0.5, -0.5], **places)


def _add(figure: go.Figure, sheet: Sheet, own: Sequence[Point], rows: Sequence[str], grade: str) -> None:
    series = own[0].series
    marker = {"size": 11, "color": TRUST_COLOURS.get(grade, MEASURED)}
    marker |= {"symbol": [_printed_symbol(point) for point in own], "line": {"width": 2}} if grade else {
        "symbol": SYMBOLS[sheet.columns.index(series) % len(SYMBOLS)][0], "size": 9,
    }  # fmt: skip
    ends = [_arms(point) for point in own]
    figure.add_scatter(
        x=[point.value for point in own], y=[rows.index(point.row) + shift(sheet, series) for point in own],
        error_x=None if grade else {
            "type": "data", "symmetric": False, "thickness": 2, "width": 0, "color": MEASURED,
            "array": [high for _, high in ends], "arrayminus": [low for low, _ in ends],
        },
        mode="markers", marker=marker, name=_name(series, grade), text=[point.text for point in own],
        hovertemplate="%{text}: %{x:.3f}<extra></extra>",
    )  # fmt: skip


def beside_png(sheets: Sequence[Sheet], path: Path, dpi: int = 150) -> Path | None:
    """The figures of all data sets that something was measured on as one picture on white.

    Args:
        sheets: One for each data set; each gets a strip of panels, one for each metric.
        path: PNG file to write.
        dpi: Dots an inch.

    Returns:
        The file; None, and none is written, if nothing was measured.
    """
    shown = [(sheet, found) for sheet in sheets if (found := panels(sheet))]
    if not shown:
        return None
    lines = [math.ceil(len(found) / ACROSS) for _, found in shown]
    across = [math.ceil(len(found) / n) for n, (_, found) in zip(lines, shown, strict=True)]
    heights = [n * (0.9 + ROW * len(_rows(found))) for n, (_, found) in zip(lines, shown, strict=True)]
    width = max(2.2 + 2.6 * max(across), 6.0)
    figure = Figure(figsize=(width, sum(heights) + 0.7), layout=ConstrainedLayoutEngine(wspace=0.08))
    strips = figure.subfigures(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for strip, (sheet, found), shape in zip(strips, shown, zip(lines, across, strict=True), strict=True):
        strip.suptitle(sheet.data.replace("_", " "), fontsize=11, x=0.01, ha="left")
        axes = strip.subplots(*shape, sharey=True, squeeze=False).ravel()
        for axis, metric in zip(axes, found, strict=False):
            _draw(axis, sheet, metric, found[metric], _rows(found))
            axis.xaxis.set_major_locator(MaxNLocator(4))  # else numbers of neighbours run into each other
        for axis in axes[len(found) :]:
            axis.set_axis_off()
    everything = [point for _, found in shown for points in found.values() for point in points]
    handles = _handles(shown[0][0], everything)
    figure.legend(handles=handles, loc="outside lower center", ncols=int(width / ENTRY), fontsize=9, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", facecolor="white")
    return write_atomically(path, buffer.getvalue())


def _rows(found: dict[str, list[Point]]) -> list[str]:
    """The rows of all panels, which share the axis that names them."""
    return row_names(point for points in found.values() for point in points)


def _draw(axis: Axes, sheet: Sheet, metric: str, points: Sequence[Point], rows: Sequence[str]) -> None:
    for point in points:
        y = rows.index(point.row) + shift(sheet, point.series)
        if point.cell is not None:
            shape = ">" if point.cell.bound == ">" else "<" if point.cell.bound == "<" else "o"
            colour = TRUST_COLOURS[point.cell.trust]
            axis.plot(point.value, y, shape, ms=7, mfc="none", mec=colour, mew=1.6)
            continue
        low, high = _arms(point)
        shape = SYMBOLS[sheet.columns.index(point.series) % len(SYMBOLS)][1]
        axis.errorbar(point.value, y, xerr=[[low], [high]], fmt=shape, ms=5, color=MEASURED, elinewidth=1.5)
    axis.set_yticks(range(len(rows)), rows, fontsize=9)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_title(title(metric), fontsize=10)
    axis.tick_params(axis="both", length=0, labelsize=9)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)
    for boundary in range(1, len(rows)):
        axis.axhline(boundary - 0.5, color="0.93", linewidth=0.8)


def _handles(sheet: Sheet, points: Sequence[Point]) -> list[Line2D]:
    handles = []
    for name, grade in _series(sheet, points):
        shape = "o" if grade else SYMBOLS[sheet.columns.index(name) % len(SYMBOLS)][1]
        look: dict[str, Any] = (
            {"mfc": "none", "mec": TRUST_COLOURS[grade], "mew": 1.6} if grade else {"color": MEASURED}
        )
        handles.append(Line2D([], [], marker=shape, label=_name(name, grade), linestyle="none", markersize=7, **look))
    return handles


def _series(sheet: Sheet, points: Sequence[Point]) -> list[tuple[str, str]]:
    """(Series, grade) that there are marks of: what was measured, then what is printed, by grade."""
    there = {(point.series, _grade(point)) for point in points}
    wanted = [(name, "") for name in sheet.columns] + [("printed", grade) for grade in TRUST_COLOURS]
    return [pair for pair in wanted if pair in there]


def _grade(point: Point) -> str:
    return point.cell.trust if point.cell else ""


def _name(series: str, grade: str) -> str:
    return f"printed, {grade}" if grade else f"measured, {series.replace('_', ' ')}"


def _arms(point: Point) -> tuple[float, float]:
    """How far the interval reaches below and above the value; nothing if there is none."""
    if math.isnan(point.low):
        return 0.0, 0.0
    return max(point.value - point.low, 0.0), max(point.high - point.value, 0.0)


def _printed_symbol(point: Point) -> str:
    """Hollow; a bound points to where the value may lie."""
    bound = point.cell.bound if point.cell else ""
    return {">": "triangle-right-open", "<": "triangle-left-open"}.get(bound, "circle-open")
