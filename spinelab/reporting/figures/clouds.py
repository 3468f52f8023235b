"""Raincloud plots: the shape of a distribution, its quartiles, and every person.

Allen et al., Raincloud plots: a multi-platform tool for robust data visualization (Wellcome Open Research 4:63, 2021).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from spinelab.reporting.figures.style import colours, known, layout, transparent
from spinelab.reporting.groups import Group
from spinelab.reporting.tables import MEAN, Row, Table

CLOUD_FROM = 15
"""With fewer persons a density would draw shapes that are not there: only the box and the points are shown."""
CASES_UP_TO = 60
"""Of more persons, a point tells who it is and not the cases that it is the mean of."""
MOST = 250
"""Of more persons, so many evenly spaced quantiles stand for all: box and shape stay, and the page stays light."""


def cloud_figure(table: Table, column: str) -> go.Figure:
    """One column of a table: density, box and a point a person for each model, the best-ranked model on top."""
    colour = colours(row.group.label for row in table.rows)
    figure = go.Figure()
    for row in table.rows:
        _add(figure, table, row, column, colour[row.group.label])
    figure.update_layout(layout(), height=60 + 62 * len(table.rows), showlegend=False, boxgap=0.35, violingap=0.2)
    figure.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    return figure


def _add(figure: go.Figure, table: Table, row: Row, column: str, tint: str) -> None:
    label, persons = row.group.label, known(row.cells[table.columns.index(column)])
    values, texts = _shown(row.group, table.metric, column, persons)
    common = {
        "x": values, "y": [label] * len(values), "name": label, "orientation": "h", "text": texts, "jitter": 0.5,
        "line": {"color": tint, "width": 1.5}, "fillcolor": transparent(tint), "hoveron": "points",
        "marker": {"color": tint, "size": 5, "opacity": 0.8},
        "hovertemplate": "%{text}: %{x:.3f}<extra>" + label + "</extra>",
    }  # fmt: skip
    if len(persons) < CLOUD_FROM:
        figure.add_box(**common, boxpoints="all", pointpos=0)
    else:  # upside down, since the best row is on top: the cloud above the box, the rain below
        figure.add_violin(**common, side="negative", points="all", pointpos=0.6, box_visible=True, box_width=0.2,
                          width=1.1, spanmode="hard")  # fmt: skip


def _shown(group: Group, metric: str, column: str, persons: pd.DataFrame) -> tuple[list[float], list[str]]:
    """Values with four digits, and what a pointer on them tells."""
    if len(persons) > MOST:
        parts = np.linspace(0, 1, MOST)
        values = np.quantile(persons["value"].to_numpy(), parts)
        return _rounded(values), [f"{part:.1%} of {len(persons)} persons below" for part in parts]
    values = _rounded(persons["value"].to_numpy())
    return values, _hover(group, metric, column, persons) if len(persons) <= CASES_UP_TO else persons.index.tolist()


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _hover(group: Group, metric: str, column: str, persons: pd.DataFrame) -> list[str]:
    """A text a person: the cases that the value is the mean of."""
    rows = group.cases[group.cases["metric"] == metric]
    rows = rows if column == MEAN else rows[rows["class"] == column]
    cases = {str(person): part.groupby("case")["value"].mean().dropna() for person, part in rows.groupby("person")}
    texts = []
    for person in persons.index:
        lines = [f"{case}: {score:.3f}" for case, score in cases[str(person)].items()]
        texts.append("<br>".join([*lines[:6], *(["…"] if len(lines) > 6 else []), f"<b>{person}</b>"]))
    return texts
