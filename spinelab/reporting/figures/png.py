"""Box plots as a picture, for a README."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from spinelab.files import write_atomically
from spinelab.reporting.figures.style import colours, known
from spinelab.reporting.tables import Table

_POINTS = 12


def box_figure_png(table: Table, path: Path, dpi: int = 150) -> Path:
    """The box plots of all columns of a table as one picture on white.

    Args:
        table: Any metric's table.
        path: PNG file to write.
        dpi: Dots an inch.
    """
    size = (1.6 + 3.2 * len(table.columns), 1.2 + 0.42 * len(table.rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, table.columns, strict=True):
        _draw_boxes(axis, table, column)
    figure.supxlabel(f"{table.title}; a point is a person", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", facecolor="white")
    return write_atomically(path, buffer.getvalue())


def _draw_boxes(axis: Axes, table: Table, column: str) -> None:
    colour = colours(row.group.label for row in table.rows)
    for i, row in enumerate(table.rows):
        values = known(row.cells[table.columns.index(column)])["value"].to_numpy()
        if not len(values):
            continue
        tint = colour[row.group.label]
        style = {"color": tint, "linewidth": 1.2}
        axis.bxp(
            [_box(values)], positions=[i], orientation="horizontal", widths=0.55,
            showfliers=False, patch_artist=True, boxprops={"facecolor": tint + "33", "edgecolor": tint},
            medianprops=style, whiskerprops=style, capprops=style,
        )  # fmt: skip
        spread = [i + 0.12 * ((k % 3) - 1) for k in range(len(values))]
        axis.scatter(values, spread, s=_POINTS, color=tint, alpha=0.85, zorder=3, linewidths=0)
    axis.set_yticks(range(len(table.rows)), [row.group.label for row in table.rows], fontsize=9)
    axis.set_ylim(len(table.rows) - 0.4, -0.6)
    axis.set_title(column.replace("_", " "), fontsize=10)
    axis.tick_params(axis="both", length=0, labelsize=9)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)


def _box(values: NDArray[np.float64]) -> dict[str, float]:
    """Quartiles as plotly takes them, so that both pictures of the same scores show the same box."""
    low, middle, high = np.percentile(values, [25, 50, 75], method="hazen")
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    ends = {"whislo": min(inside.min(initial=low), low), "whishi": max(inside.max(initial=high), high)}
    return {"q1": low, "med": middle, "q3": high, **ends}
