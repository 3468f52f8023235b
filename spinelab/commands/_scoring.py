"""Scoring a list of cases, and showing the scores; shared by `train` and `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from spinelab.callbacks.panels import draw_panel
from spinelab.callbacks.wandb_run import Panel
from spinelab.data.volumes.io import mask_name, write_mask
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.reporting.statistics import person_values, summarise
from spinelab.run import write_table
from spinelab.tasks.evaluation import Scored, best_slice, case_rows, evaluate_case, slice_rows
from spinelab.tasks.scoring import Scoring
from spinelab.types import Case, LabelMap


def score_cases(
    network: nn.Module,
    cases: Sequence[Case],
    labels: LabelMap,
    preprocessing: Preprocessing,
    how: Scoring,
    panels: Path,
    predictions: Path | None = None,
    slices: Path | None = None,
) -> tuple[pd.DataFrame, list[Panel]]:
    """Predict and score cases one by one.

    Args:
        network: The network.
        cases: What to predict.
        labels: The classes that the network knows.
        preprocessing: As the network was trained.
        how: What is scored.
        panels: Folder for one picture a case.
        predictions: Folder for the predicted masks, in each scan's own format and grid; None writes none.
        slices: File for the overlap of every slice; None writes none.

    Returns:
        The tidy rows, and (image, truth, prediction) of one slice a case.
    """
    rows, by_slice, pictures = [], [], []
    for case in track(cases, description="scoring", transient=True):
        scored = evaluate_case(network, case, labels, preprocessing)
        rows += case_rows(scored, labels, how)
        pictures.append(_panel(scored, labels, panels))
        if predictions is not None:
            write_prediction(scored.native, case, predictions)
        if slices is not None:
            by_slice += slice_rows(scored, labels)
    if slices is not None:
        write_table(slices, pd.DataFrame(by_slice))
    return pd.DataFrame(rows), pictures


def write_prediction(native: np.ndarray, case: Case, folder: Path) -> Path:
    """Write a predicted mask in its scan's own grid and format; NIfTI for a DICOM series."""
    files = case.images[0]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / mask_name(case.name, files)
    write_mask(path, native, like=files)
    return path


def print_scores(table: pd.DataFrame, title: str, metric: str = "dice") -> None:
    """A terminal table: mean over persons, interval and n for every class."""
    shown = Table(title=title, title_justify="left")
    for column in ("class", f"{metric}, mean over persons", "95 % interval", "persons"):
        shown.add_column(column)
    for name in table.loc[table["metric"] == metric, "class"].unique():
        result = summarise(person_values(table, metric, name))
        interval = "" if np.isnan(result.low) else f"{result.low:.3f} to {result.high:.3f}"
        shown.add_row(name, "" if np.isnan(result.mean) else f"{result.mean:.3f}", interval, str(result.n))
    Console().print(shown)


def summary(table: pd.DataFrame, metric: str = "dice") -> dict[str, float]:
    """`test/dice/<class>`: mean over persons, for those classes that have a value."""
    names = table.loc[table["metric"] == metric, "class"].unique()
    means = {name: summarise(person_values(table, metric, name)).mean for name in names}
    return {f"test/{metric}/{name}": mean for name, mean in means.items() if not np.isnan(mean)}


def _panel(scored: Scored, labels: LabelMap, folder: Path) -> Panel:
    index = best_slice(scored)
    panel = (scored.image[index].astype(np.float32), scored.truth[index], scored.prediction[index])
    draw_panel(*panel, labels.classes, folder / f"{scored.case.name}.png", title=f"{scored.case.name}, slice {index}")
    return panel
