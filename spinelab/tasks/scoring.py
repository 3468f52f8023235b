"""What is computed of a scored case, beside its overlap: distances, a region of interest, lesions, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from spinelab.metrics.counts import Counts, mask_counts
from spinelab.metrics.distances import TOLERANCE_MM, Hd95, distance_scores
from spinelab.metrics.lesions import lesion_scores
from spinelab.metrics.nearest import Mask
from spinelab.metrics.overlap import DIFFERENCES, overlap_scores
from spinelab.metrics.region_of_interest import roi_scores
from spinelab.metrics.slice_distances import slice_distance_scores

Spacing = Sequence[float] | None


class Score(NamedTuple):
    """A name, a value or None, and the unit: "1" for ratios."""

    metric: str
    value: float | None
    unit: str


@dataclass(frozen=True)
class Scoring:
    """What may be chosen; `spinelab evaluate` scores a finished run anew with other choices.

    Attributes:
        tolerance_mm: What the normalised surface Dice forgives; pixels where the spacing is unknown. It is part of the
            score's name, so that different ones never meet in a mean.
        hd95: Definition of the 95th percentile (`spinelab.metrics.distances.Hd95`); any but `pooled` is part of the
            score's name. Where the spacing is unknown it is always pooled.
        roi_margin_mm: By how much the region of interest is larger than the truth's box, on every side.
        min_lesion_mm3: Smaller lesions are not counted one by one.

    Raises:
        ValueError: A value is out of its range.
    """

    tolerance_mm: float = TOLERANCE_MM
    hd95: Hd95 = "pooled"
    roi_margin_mm: float = 0.0
    min_lesion_mm3: float = 0.0

    def __post_init__(self) -> None:
        if self.hd95 not in get_args(Hd95):
            raise ValueError(f"scoring.hd95 is one of {', '.join(get_args(Hd95))}, not {self.hd95}")
        if not all(0 <= v < np.inf for v in (self.tolerance_mm, self.roi_margin_mm, self.min_lesion_mm3)):
            raise ValueError("scoring.tolerance_mm, roi_margin_mm and min_lesion_mm3 are finite and not negative")


def region_scores(
    truth: Mask, prediction: Mask, usable: Mask, spacing: Spacing, how: Scoring, *, lesions: bool
) -> tuple[Counts, list[Score]]:
    """All scores of one region of one volume, and the counts that overlap is taken from.

    Args:
        truth: (S, H, W) bool.
        prediction: Likewise.
        usable: (S,) slices that are scored. The others count for nothing, but keep their place between their
            neighbours: neither mask holds anything there.
        spacing: (slice, row, column) in mm, None if unknown.
        how: What was chosen.
        lesions: Whether connected parts are counted one by one.
    """
    shown = truth[usable], prediction[usable]
    counts = mask_counts(*shown)
    truth, prediction = (mask & usable[:, None, None] for mask in (truth, prediction))
    rows = [Score(name, value, "1") for name, value in overlap_scores(counts).items()]
    rows += _volumes(counts, spacing)
    rows += _distances(truth, prediction, spacing, how)
    margin = how.roi_margin_mm if spacing is not None else 0.0
    rows += [Score(name, value, "1") for name, value in roi_scores(*shown, spacing, margin).items()]
    if lesions:
        smallest = how.min_lesion_mm3 if spacing is not None else 0.0
        found = lesion_scores(truth, prediction, spacing, min_volume_mm3=smallest)
        rows += [Score(name, value, "1" if name.startswith("lesion_") and name != "lesion_false_alarms" else "lesions")
                 for name, value in found.items()]  # fmt: skip
    return counts, rows


def _distances(truth: Mask, prediction: Mask, spacing: Spacing, how: Scoring) -> list[Score]:
    """In mm in space; in pixels, within slices, where the spacing is unknown; one slice alone is a picture."""
    if spacing is None:
        unit, found = "px", slice_distance_scores(truth, prediction, how.tolerance_mm)
    elif len(truth) == 1:
        unit, found = "mm", distance_scores(truth[0], prediction[0], spacing[1:], how.tolerance_mm, how.hd95)
    else:
        unit, found = "mm", distance_scores(truth, prediction, spacing, how.tolerance_mm, how.hd95)
    nsd = f"nsd_{how.tolerance_mm:g}{unit}"
    hd95 = "hd95" if how.hd95 == "pooled" or spacing is None else f"hd95_{how.hd95}"
    names = {"nsd": nsd, "hd95": hd95}
    return [Score(names.get(name, name), value, "1" if name == "nsd" else unit) for name, value in found.items()]


def _volumes(counts: Counts, spacing: Spacing) -> list[Score]:
    """Of truth, prediction and false alarm, in mm3 or, where the spacing is unknown, in voxels; and their ratio."""
    unit, size = ("voxel", 1.0) if spacing is None else ("mm3", float(np.prod(spacing)))
    sizes = {
        "truth_volume": counts.tp + counts.fn,
        "predicted_volume": counts.tp + counts.fp,
        "false_positive_volume": counts.fp,
    }
    return [
        *(Score(name, voxels * size, unit) for name, voxels in sizes.items()),
        *(Score(name, difference(counts), "1") for name, difference in DIFFERENCES.items()),
    ]
