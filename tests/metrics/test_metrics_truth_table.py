"""The worked examples of docs/metrics.md: its drawings are drawn, and every number beside them is recomputed."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spinelab.metrics.aggregate import mean_over_persons
from spinelab.metrics.calibration import calibration_scores, reliability_counts
from spinelab.metrics.confusion import confusion_matrix
from spinelab.metrics.counts import Counts, mask_counts, region_counts, state
from spinelab.metrics.distances import distance_scores
from spinelab.metrics.lesions import lesion_scores
from spinelab.metrics.overlap import DIFFERENCES, SCORES
from spinelab.metrics.region_of_interest import roi_scores

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
Row = dict[str, str]
Mask = NDArray[np.bool_]


def table(header: str) -> list[Row]:
    """Rows of the Markdown table that follows `header`, which is a comment or the table's own first line."""
    lines = DOCUMENT[DOCUMENT.index(header) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def named(name: str) -> list[Row]:
    return table(f"<!-- table: {name} -->")


def drawings() -> dict[str, tuple[Mask, Mask, tuple[float, ...]]]:
    """Name -> truth, prediction, spacing; (H, W), or (S, H, W) if slices are split by ---."""
    found = {}
    for block in re.findall(r"```text\n(.*?)```", DOCUMENT, flags=re.DOTALL):
        first, *lines = block.strip().splitlines()
        name, spacing = first.rsplit(":", 1)
        slices = [part.split() for part in "\n".join(lines).split("---")]
        cells = np.array([[list(line) for line in part] for part in slices])
        assert set(cells.ravel()) <= set("BTP."), name
        sizes = tuple(float(size) for size in spacing.split())
        cells = cells[0] if len(sizes) == 2 else cells
        assert cells.ndim == len(sizes)
        found[name] = np.isin(cells, ["B", "T"]), np.isin(cells, ["B", "P"]), sizes
    return found


DRAWINGS = drawings()


def check(value: float | None, cell: str, what: str) -> None:
    """A cell is none, a whole number, a fraction, a root, or a decimal rounded to as many digits as it shows."""
    if cell == "none":
        assert value is None, what
        return
    assert value is not None, what
    if cell.startswith("√"):
        assert value == pytest.approx(float(cell[1:]) ** 0.5, abs=1e-9), what
    elif "." in cell:
        assert abs(value - float(cell)) <= 0.5 * 10.0 ** -len(cell.split(".")[1]) + 1e-9, what
    else:
        assert value == pytest.approx(float(Fraction(cell)), abs=1e-9), what


@pytest.mark.parametrize("row", named("overlap"), ids=lambda row: row["example"])
def test_overlap(row: Row) -> None:
    truth, prediction, _ = DRAWINGS[row.pop("example")]
    counts = mask_counts(truth, prediction)
    assert counts == Counts(*(int(n) for n in row.pop("TP FP FN TN").split()))
    as_classes = confusion_matrix(torch.from_numpy(prediction.astype(np.uint8)), torch.from_numpy(truth.astype(int)), 2)
    assert region_counts(as_classes, (1,)) == counts
    assert state(counts) == row.pop("state")
    scores = {**SCORES, **DIFFERENCES}
    assert set(row) == set(scores)
    for name, cell in row.items():
        check(scores[name](counts), cell, name)


@pytest.mark.parametrize("row", named("distances"), ids=lambda row: row["example"])
def test_distances(row: Row) -> None:
    drawing = DRAWINGS[row.pop("example")]
    scores = distance_scores(*drawing, tolerance_mm=1.0)
    scores["hd95 maximum"] = distance_scores(*drawing, hd95_definition="maximum")["hd95"]
    assert set(row) == set(scores)
    for name, cell in row.items():
        if cell != "not by hand":
            check(scores[name], cell, name)


@pytest.mark.parametrize("row", named("region"), ids=lambda row: f"{row['example']} {row['margin in mm']}")
def test_region_of_interest(row: Row) -> None:
    truth, prediction, spacing = DRAWINGS[row.pop("example")]
    scores = roi_scores(truth, prediction, spacing, margin_mm=float(row.pop("margin in mm")))
    assert set(row) == set(scores)
    for name, cell in row.items():
        check(scores[name], cell, name)


@pytest.mark.parametrize("row", named("lesions"), ids=lambda row: f"{row['example']} {row['asked for']}")
def test_lesions(row: Row) -> None:
    truth, prediction, spacing = DRAWINGS[row.pop("example")]
    asked = row.pop("asked for").split()
    options = {asked[0]: int(asked[1]) if asked[0] == "connectivity" else float(asked[1])} if asked else {}
    scores = lesion_scores(truth, prediction, spacing, **options)  # type: ignore[arg-type]
    assert set(row) == set(scores)
    for name, cell in row.items():
        check(scores[name], cell, name)


def test_calibration() -> None:
    pixels = named("pixels")
    shown = [[float(p["background"]), float(p["foreground"])] for p in pixels]
    probabilities = torch.tensor(shown, dtype=torch.float64)
    truth = torch.tensor([int(p["truth"]) for p in pixels])
    for p, probability, true in zip(pixels, probabilities.tolist(), truth.tolist(), strict=True):
        check(max(probability), p["confidence"], "confidence")
        assert int(p["right"]) == (probability[true] == max(probability))
        check(sum((value - (k == true)) ** 2 for k, value in enumerate(probability)), p["squared error"], "error")
    scores = calibration_scores(reliability_counts(probabilities.T.reshape(1, 2, 1, -1), truth.view(1, 1, -1), bins=5))
    (row,) = named("calibration")
    assert set(row) == set(scores)
    for name, cell in row.items():
        assert scores[name] == pytest.approx(float(cell), abs=1e-9), name


def test_persons() -> None:
    *people, last = table("| person | values of the volumes | mean |")
    values, persons = [], []
    for row in people:
        own = [None if v == "-" else float(Fraction(v)) for v in row["values of the volumes"].split(", ")]
        check(mean_over_persons(own, [row["person"]] * len(own))[0], row["mean"], row["person"])
        values += own
        persons += [row["person"]] * len(own)
    mean, n = mean_over_persons(values, persons)
    check(mean, last["mean"], "data set")
    assert last["values of the volumes"] == f"n = {n}"


def test_definitions_name_every_score() -> None:
    """A score that is added without being defined, or renamed, is seen here."""
    defined = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, flags=re.MULTILINE))
    drawing = np.ones((1, 2, 2), dtype=bool), np.ones((1, 2, 2), dtype=bool), (1.0, 1.0, 1.0)
    scores = {*SCORES, *DIFFERENCES, *distance_scores(*drawing), *roi_scores(*drawing), "miou"}
    scores |= {name for name in lesion_scores(*drawing) if name.startswith("lesion_") and "false" not in name}
    scores |= set(calibration_scores(torch.zeros(2, 4, 1)))
    assert defined == scores


def test_all_drawings_are_used() -> None:
    used = {row["example"] for name in ("overlap", "distances", "region", "lesions") for row in named(name)}
    assert used == set(DRAWINGS)
    assert len(named("overlap")) == len(named("distances")) == 14


def test_published_triples_imply_the_foreground_that_the_page_claims() -> None:
    """The review's U-Net: 170 true pixels of 310 (55 %). Its Attention U-Net: its Dice follows from 64.7 %."""
    unet = Counts(tp=136, fp=14, fn=34, tn=126)
    assert [SCORES[name](unet) for name in ("dice", "sensitivity", "specificity")] == pytest.approx([0.85, 0.8, 0.9])
    assert round(100 * 170 / 310) == 55
    share = 0.0704 / (1.64 - 1.5312)  # 0.88 (1.82 s + 0.08 (1 - s)) = 1.64 s
    n = 10_000
    true, rest = share * n, (1 - share) * n
    attention = Counts(tp=round(0.82 * true), fp=round(0.08 * rest), fn=round(0.18 * true), tn=round(0.92 * rest))
    triple = [SCORES[name](attention) for name in ("dice", "sensitivity", "specificity")]
    assert triple == pytest.approx([0.88, 0.82, 0.92], abs=1e-3)
    assert round(100 * share) == 65
