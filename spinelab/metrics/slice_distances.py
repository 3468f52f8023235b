"""Distances of a volume whose spacing is not known: in pixels, within slices, pooled over the slices.

Without a spacing nobody can say how far apart slices lie, so that surfaces are outlines of single slices. Ways are
pooled over all slices before any percentile or mean is taken; slices are never averaged. In a slice that only one of
the two masks reaches, every point of its outline is as far from the other as the slice's diagonal is long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from spinelab.metrics.distances import asd, assd, hd, hd95, nsd
from spinelab.metrics.nearest import Mask, Values
from spinelab.metrics.surface import Pair, SurfaceDistances, crop, element_distances, voxel_distances

PIXELS = (1.0, 1.0)


def slice_distance_scores(truth: Mask, prediction: Mask, tolerance_px: float) -> dict[str, float | None]:
    """hd, hd95 (pooled), asd, assd in pixels and nsd in 0..1 of one structure.

    Args:
        truth: (S, H, W) bool.
        prediction: Of the same shape, bool.
        tolerance_px: What nsd forgives.

    Returns:
        None for each where the structure is in no slice of either; otherwise as `distance_scores`.

    Raises:
        ValueError: The masks are not bool, not (S, H, W), or differ in shape.
    """
    if truth.dtype != bool or prediction.dtype != bool or truth.shape != prediction.shape or truth.ndim != 3:
        found = f"{truth.dtype} {truth.shape} and {prediction.dtype} {prediction.shape}"
        raise ValueError(f"two bool masks (S, H, W) expected, got {found}")
    if not (truth.any() or prediction.any()):
        return dict.fromkeys(("hd", "hd95", "asd", "assd", "nsd"))
    diagonal = math.hypot(*truth.shape[1:])
    if not (truth.any() and prediction.any()):
        return {"hd": diagonal, "hd95": diagonal, "asd": diagonal, "assd": diagonal, "nsd": 0.0}
    voxels = _pooled(_measured(truth, prediction, diagonal, voxel_distances))
    elements = _pooled(_measured(truth, prediction, diagonal, element_distances))
    return {
        "hd": hd(voxels),
        "hd95": hd95(voxels),
        "asd": asd(voxels),
        "assd": assd(voxels),
        "nsd": nsd(elements, tolerance_px),
    }


def _measured(
    truth: Mask, prediction: Mask, diagonal: float, measure: Callable[[Pair], SurfaceDistances]
) -> Iterator[SurfaceDistances]:
    nothing: Values = np.empty(0)
    for true, found in zip(truth, prediction, strict=True):
        if true.any() and found.any():
            yield measure(crop(true, found, PIXELS))
        elif true.any() or found.any():
            alone = true if true.any() else found
            areas = measure(crop(alone, alone, PIXELS)).truth_areas
            ways = np.full(len(areas), diagonal)
            yield (
                SurfaceDistances(nothing, ways, nothing, areas)
                if true.any()
                else SurfaceDistances(ways, nothing, areas, nothing)
            )


def _pooled(parts: Iterator[SurfaceDistances]) -> SurfaceDistances:
    columns = zip(*((p.from_prediction, p.from_truth, p.prediction_areas, p.truth_areas) for p in parts), strict=True)
    return SurfaceDistances(*(np.concatenate(column) for column in columns))
