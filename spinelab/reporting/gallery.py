"""Pictures of the cases that went worst, every model beside the others, small enough to lie inside a page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from spinelab.errors import RunError
from spinelab.reporting.groups import Group
from spinelab.reporting.results import Run

CASES, PICTURES, WIDTH = 8, 72, 640
"""At most so many cases and pictures (a case is left out rather than a model), each at most so many pixels wide."""


@dataclass(frozen=True)
class Panel:
    """One case as one model saw it: label of the row, Dice (mean over classes), the picture as a data URI."""

    label: str
    score: float
    uri: str


@dataclass(frozen=True)
class Exhibit:
    """One case: its panels in the order of the rows, and the mean of their Dice."""

    case: str
    person: str
    score: float
    panels: tuple[Panel, ...]


def make_gallery(groups: tuple[Group, ...]) -> tuple[Exhibit, ...]:
    """The cases with the lowest Dice (mean over classes, then over models), worst first.

    Raises:
        RunError: A picture is damaged.
    """
    found: dict[tuple[str, str], list[tuple[Group, Run, Path]]] = {}
    for group in groups:
        for case, (run, file) in pictures_of(group).items():
            found.setdefault((str(run["dataset"]), case), []).append((group, run, file))
    scores = {key: mean_of([dice_of(run, key[1]) for _, run, _ in shown]) for key, shown in found.items()}
    limit = min(CASES, max(1, PICTURES // len(groups)))
    worst = sorted(found, key=lambda key: (math.inf if math.isnan(scores[key]) else scores[key], key))[:limit]
    return tuple(_exhibit(case, found[dataset, case], scores[dataset, case]) for dataset, case in worst)


def pictures_of(group: Group) -> dict[str, tuple[Run, Path]]:
    """Case -> the run (lowest seed first) that has a picture of it, if it scored the case."""
    pictures: dict[str, tuple[Run, Path]] = {}
    for run in sorted(group.runs, key=lambda run: (run["seed"], run["fold"])):
        scored = set(run.cases["case"])
        for case, file in run.panels().items():
            if case in scored:
                pictures.setdefault(case, (run, file))
    return pictures


def _exhibit(case: str, shown: list[tuple[Group, Run, Path]], score: float) -> Exhibit:
    persons = [str(p) for _, run, _ in shown for p in run.cases.loc[run.cases["case"] == case, "person"]]
    panels = tuple(Panel(group.label, dice_of(run, case), _data_uri(file)) for group, run, file in shown)
    return Exhibit(case, persons[0] if persons else "", score, panels)


def dice_of(run: Run, case: str) -> float:
    """Dice of a case, mean over classes."""
    rows = run.cases[(run.cases["case"] == case) & (run.cases["metric"] == "dice")]
    return float(rows["value"].mean())


def mean_of(values: Sequence[float]) -> float:
    """Mean of the values that are none of NaN; NaN if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _data_uri(file: Path) -> str:
    small = open_picture(file)
    small.thumbnail((WIDTH, WIDTH))
    return data_uri(small)


def open_picture(file: Path) -> Image.Image:
    """A picture that a run keeps of a case, in colours.

    Raises:
        RunError: It is no readable PNG.
    """
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError) as error:  # Pillow reports some broken PNGs as a SyntaxError
        raise RunError(f"is no readable PNG: {error}", "delete the picture or evaluate the run again", file) from error


def data_uri(picture: Image.Image, kind: str = "JPEG") -> str:
    """A picture as a page can hold it."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, quality=82, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
