"""Scores within a region of interest, where background does not drown everything.

Specificity and accuracy of a small structure in a whole scan are near 1 whatever is predicted. The review's triples of
Dice, sensitivity and specificity only go together where 51 to 65 % of the pixels are foreground, which is a region of
interest. Here it is the bounding box of the truth: an ellipsoid fills pi/6 = 52 % of its box.

The box is chosen by the truth alone. If the prediction had a say, each model would be measured on a region of its own,
and a false alarm far away would widen the box and so raise the specificity that it ought to lower. What lies outside
does not count, so these scores stand beside those of the whole volume and never instead of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinelab.metrics.counts import Counts, check_masks, mask_counts
from spinelab.metrics.overlap import SCORES

Box = tuple[slice, ...]


def bounding_box(
    truth: NDArray[np.bool_], spacing: Sequence[float] | None = None, margin_mm: float = 0.0
) -> Box | None:
    """Smallest box that holds the truth, widened on all sides and cut at the border of the volume.

    Args:
        truth: Mask of any number of dimensions.
        spacing: Voxel size along each dimension in mm; not needed without a margin.
        margin_mm: The box takes in voxels whose centre is at most so far outside it, along each axis.

    Returns:
        One slice a dimension, None if the truth is empty.

    Raises:
        ValueError: If the margin is negative or not finite, or there is a margin and the spacing is unknown.
    """
    margins = _voxels(margin_mm, spacing, truth.ndim)
    box = []
    for axis, margin in enumerate(margins):
        others = tuple(other for other in range(truth.ndim) if other != axis)
        places = np.flatnonzero(truth.any(axis=others))
        if not places.size:
            return None
        box.append(slice(max(int(places[0]) - margin, 0), int(places[-1]) + 1 + margin))
    return tuple(box)


def roi_counts(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], region: Box | NDArray[np.bool_] | None
) -> Counts | None:
    """Counts of the voxels within a region of interest.

    Args:
        truth: Mask.
        prediction: Mask of the same shape.
        region: A box, or a mask of the same shape that was drawn by other means than the prediction; None if there is
            no such region.

    Returns:
        None without a region, and where the truth is empty: without it a region says nothing about the structure.

    Raises:
        ValueError: If the masks are not bool or differ in shape.
    """
    check_masks(truth, prediction)
    if isinstance(region, np.ndarray):
        check_masks(truth, region)
    if region is None or not truth.any():
        return None
    return mask_counts(truth[region], prediction[region])


def roi_scores(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Sequence[float] | None = None,
    margin_mm: float = 0.0,
    region: NDArray[np.bool_] | None = None,
    names: Sequence[str] = ("specificity", "accuracy", "balanced_accuracy"),
) -> dict[str, float | None]:
    """Scores within the widened bounding box of the truth, or within a given mask.

    Args:
        truth: Mask.
        prediction: Mask of the same shape.
        spacing: Voxel size along each dimension in mm; not needed without a margin.
        margin_mm: How far the box is widened, see `bounding_box`.
        region: Mask to use instead of the box.
        names: Which of `SCORES`. The box holds the whole truth, so sensitivity and sa are those of the volume.

    Returns:
        `<name>_roi` for each name, and `foreground_roi`: the true part of the region's voxels, without which the others
        cannot be compared with published ones. All None if the truth is empty.

    Raises:
        ValueError: If the masks do not fit, a name is unknown, or the margin cannot be used.
    """
    if unknown := sorted(set(names) - set(SCORES)):
        raise ValueError(f"unknown scores {unknown}; there are {list(SCORES)}")
    box = bounding_box(truth, spacing, margin_mm) if region is None else region
    counts = roi_counts(truth, prediction, box)
    keys = ["foreground_roi", *(f"{name}_roi" for name in names)]
    if counts is None:
        return dict.fromkeys(keys)
    size = counts.tp + counts.fp + counts.fn + counts.tn
    foreground = (counts.tp + counts.fn) / size if size else None  # a given mask may be empty
    return dict(zip(keys, [foreground, *(SCORES[name](counts) for name in names)], strict=True))


def _voxels(margin_mm: float, spacing: Sequence[float] | None, dimensions: int) -> list[int]:
    """The margin in voxels along each axis, rounded down, whatever the rounding of 0.3 / 0.1."""
    if not (np.isfinite(margin_mm) and margin_mm >= 0):
        raise ValueError(f"the margin must be finite and not negative, got {margin_mm}")
    if margin_mm == 0:
        return [0] * dimensions
    if spacing is None or len(spacing) != dimensions or not all(np.isfinite(size) and size > 0 for size in spacing):
        raise ValueError(f"a margin in mm needs {dimensions} voxel sizes above 0, got {spacing}")
    return [int(margin_mm / size + 1e-9) for size in spacing]
