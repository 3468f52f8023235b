"""One typical case as every row of a table sees it: image and truth, then each row's prediction and errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from spinelab.reporting.gallery import data_uri, dice_of, mean_of, open_picture, pictures_of
from spinelab.reporting.groups import Group
from spinelab.reporting.results import Run

WHITE = 250
"""Brighter is the background that panels are drawn on."""
SIDE, DIFFERENT = 64, 8.0
"""Two pictures of one slice, as squares of so many pixels, differ by less grey levels than this on average."""


@dataclass(frozen=True)
class Tile:
    """A row's prediction and errors (or the image and the truth, of no row) as a data URI."""

    label: str
    score: float
    uri: str


@dataclass(frozen=True)
class Typical:
    """A case, and how every row segments one slice of it.

    Attributes:
        case: The case: of those that the most rows have a picture of, the one whose Dice is the median.
        person: Whose case it is.
        score: Its Dice, mean over classes, then over rows.
        cases: How many cases there were to choose from.
        truth: Image and truth.
        tiles: One for each row that has a picture of it.
        legend: Which colour is what, as a data URI; "" if the pictures have none.
        left_out: Rows without a picture of the case, or with one of another slice.
    """

    case: str
    person: str
    score: float
    cases: int
    truth: Tile
    tiles: tuple[Tile, ...]
    legend: str
    left_out: tuple[str, ...]


def typical_case(groups: Sequence[Group]) -> Typical | None:
    """The case with the median Dice, as all rows see it; None if no run kept pictures.

    Raises:
        RunError: A picture is damaged.
    """
    shown = {group.label: pictures_of(group) for group in groups}
    counts: dict[str, int] = {}
    for pictures in shown.values():
        for case in pictures:
            counts[case] = counts.get(case, 0) + 1
    common = [case for case, count in counts.items() if count == max(counts.values())]
    scores = {case: mean_of([dice_of(own[case][0], case) for own in shown.values() if case in own]) for case in common}
    ordered = sorted((score, case) for case, score in scores.items() if not math.isnan(score))
    if not ordered:
        return None
    score, case = ordered[(len(ordered) - 1) // 2]
    return _shown(case, score, len(ordered), {row: own.get(case) for row, own in shown.items()})


def _shown(case: str, score: float, cases: int, pictures: dict[str, tuple[Run, Path] | None]) -> Typical:
    cut = {row: (found[0], cut_panel(found[1])) for row, found in pictures.items() if found}
    run, first = next(iter(cut.values()))
    alike = {row: (own, parts) for row, (own, parts) in cut.items() if _same(parts.truth, first.truth)}
    rows = run.cases.loc[run.cases["case"] == case, "person"]
    return Typical(
        case, str(rows.iloc[0]), score, cases, Tile("image, truth", math.nan, data_uri(first.truth)),
        tuple(Tile(row, dice_of(own, case), data_uri(parts.prediction)) for row, (own, parts) in alike.items()),
        data_uri(first.legend, "PNG") if first.legend else "", tuple(row for row in pictures if row not in alike),
    )  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """A panel, cut: image and truth, prediction and errors, and what stands below them."""

    truth: Image.Image
    prediction: Image.Image
    legend: Image.Image | None


def cut_panel(file: Path) -> Parts:
    """Cut the picture that a run keeps of a case: image, truth, prediction, errors on white, their legend below.

    Raises:
        RunError: It is no readable PNG.
    """
    picture = open_picture(file)
    drawn = np.asarray(picture).min(axis=2) < WHITE
    # the band of the four images is the highest of the bands that white lines separate: title, heads, images, legend
    top, bottom = max(_bands(drawn.any(axis=1)), key=lambda band: band[1] - band[0], default=(0, picture.height))
    middle = picture.width // 2
    below = _trimmed(picture.crop((0, bottom, picture.width, picture.height)))
    halves = [_trimmed(picture.crop((left, top, right, bottom))) or picture
              for left, right in ((0, middle), (middle, picture.width))]  # fmt: skip
    return Parts(halves[0], halves[1], below)


def _bands(drawn: np.ndarray) -> list[tuple[int, int]]:
    """First line and the one after the last of every run of lines that something is drawn on."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], drawn.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _trimmed(picture: Image.Image) -> Image.Image | None:
    """Without the white around it; None if it is white all over."""
    box = Image.fromarray((np.asarray(picture).min(axis=2, initial=255) < WHITE).astype(np.uint8)).getbbox()
    return picture.crop(box) if box else None


def _same(first: Image.Image, second: Image.Image) -> bool:
    small = [np.asarray(picture.convert("L").resize((SIDE, SIDE)), dtype=float) for picture in (first, second)]
    return float(np.abs(small[0] - small[1]).mean()) < DIFFERENT
