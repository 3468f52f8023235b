"""Predicted against true volumes.

Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement
(Lancet 327:307, 1986).
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from spinelab.reporting.figures.style import colours, layout
from spinelab.reporting.groups import Group

TRUE, PREDICTED = "truth_volume", "predicted_volume"


def agreement_figure(groups: tuple[Group, ...], cls: str) -> go.Figure | None:
    """Difference of predicted and true volume against their mean, a point a case; lines at the bias and 1.96 SD.

    Args:
        groups: Rows of the comparison.
        cls: Name of the class.

    Returns:
        None if no case has volumes of that class. Cases without the class in truth and prediction are left out.
    """
    colour = colours(group.label for group in groups)
    figure, unit = go.Figure(), ""
    for group in groups:
        volumes, unit = _volumes(group, cls, unit)
        if volumes.empty:
            continue
        difference = volumes[PREDICTED] - volumes[TRUE]
        _add(figure, group.label, (volumes[PREDICTED] + volumes[TRUE]) / 2, difference, colour[group.label])
    figure.update_layout(layout(), height=330 + 12 * len(groups))
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title=f"mean of predicted and true volume, {unit}")
    figure.update_yaxes(title=f"predicted − true, {unit}")
    return figure if figure.data else None


def _volumes(group: Group, cls: str, unit: str) -> tuple[pd.DataFrame, str]:
    """A row a case and run with both volumes in ml, or in voxels where spacing is unknown; and that unit."""
    rows = group.cases[(group.cases["class"] == cls) & group.cases["metric"].str.startswith((TRUE, PREDICTED))]
    if rows.empty:
        return pd.DataFrame(), unit
    in_mm3 = rows["metric"].str.endswith("(mm3)")
    name = rows["metric"].str.split(" ").str[0]
    scaled = rows.assign(metric=name, value=rows["value"].where(~in_mm3, rows["value"] / 1000))
    table = scaled.pivot_table(index=["run", "case"], columns="metric", values="value")
    return table[(table[TRUE] > 0) | (table[PREDICTED] > 0)], "ml" if in_mm3.all() else "voxels"


def _add(figure: go.Figure, label: str, mean: pd.Series[float], difference: pd.Series[float], tint: str) -> None:
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    words = f"{label}: bias {bias:.3g}, limits {bias - spread:.3g} to {bias + spread:.3g}, n={len(difference)}"
    figure.add_scatter(
        x=mean.round(4).tolist(), y=difference.round(4).tolist(), mode="markers", name=label, legendgroup=label,
        text=[case for _, case in difference.index], marker={"color": tint, "size": 6, "opacity": 0.75},
        hovertemplate="%{text}: %{y:.3g}<extra>" + label + "</extra>",
    )  # fmt: skip
    ends = [float(mean.min()), float(mean.max())]
    for height, dash in ((bias, "solid"), (bias - spread, "dot"), (bias + spread, "dot")):
        figure.add_scatter(
            x=ends, y=[height] * 2, mode="lines", legendgroup=label, showlegend=False, hoverinfo="text", text=words,
            line={"color": tint, "width": 1.3, "dash": dash},
        )  # fmt: skip
