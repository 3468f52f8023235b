"""Distances between the surfaces of a prediction and of the truth, of whole volumes or of single slices, in mm.

| score | what it is                                                                    | best | surface  |
|-------|-------------------------------------------------------------------------------|------|----------|
| hd    | the longest way from any point of one surface to the other                    | 0    | voxels   |
| hd95  | the 95th percentile of the ways in both directions, pooled                    | 0    | voxels   |
| asd   | mean way from the prediction's surface to the truth's; misses cost nothing    | 0    | voxels   |
| assd  | mean of the ways in both directions, pooled                                   | 0    | voxels   |
| nsd   | share of both surfaces that lies within a tolerance of the other              | 1    | elements |

`spinelab.metrics.surface` says what a surface is. There are other definitions of hd95 under the same name, which
differ by far on the same masks (Podobnik & Vrtovec, arXiv 2410.02630): see `Hd95`.

What happens at the edges. A score has a value or none; it is never NaN or infinite. The diagonal is that of the whole
image from edge to edge, which is longer than any way between two of its voxels: no prediction does worse than none.

| case                                      | hd, hd95, asd, assd                           | nsd              |
|-------------------------------------------|-----------------------------------------------|------------------|
| absent in both                            | none                                          | none             |
| missed (only the truth holds it)          | diagonal of the image                         | 0                |
| false alarm (only the prediction does)    | diagonal of the image                         | 0                |
| equal masks                               | 0                                             | 1                |
| one voxel each, n apart along an axis     | n x spacing of that axis                      | by corners       |
| touches the border of the image           | has a surface there, as it would further in   | likewise         |
| reaches beyond one image and not the other| the border counts like any other surface      | likewise         |
| a volume of one slice                     | every voxel is surface; pass the slice (H, W) | both faces count |
| no spacing is known                       | single slices only, in pixels                 | likewise         |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from spinelab.metrics.nearest import Mask, Values
from spinelab.metrics.surface import SurfaceDistances, crop, element_distances, voxel_distances

Hd95 = Literal["pooled", "maximum", "weighted"]
"""Which 95th percentile. `pooled`: of the ways in both directions together, interpolated, as MedPy's hd95. `maximum`:
of each direction, and the larger of the two, as MONAI and Metrics Reloaded. `weighted`: the same of surface elements
by their area, without interpolation, as DeepMind's surface-distance."""

TOLERANCE_MM = 2.0
"""Tolerance of nsd unless another is given. Nikolov et al. (2021) take it organ by organ from how far experts differ,
which is not known for most structures of the spine; 2 mm is a choice, between a pixel and a slice of clinical MRI. Say
it beside every nsd, and compare none that differ in it."""


def distance_scores(
    truth: Mask,
    prediction: Mask,
    spacing: Sequence[float] | None,
    tolerance_mm: float = TOLERANCE_MM,
    hd95_definition: Hd95 = "pooled",
) -> dict[str, float | None]:
    """All distance scores of one structure by name.

    Args:
        truth: (S, H, W) or (H, W), bool.
        prediction: Of the same shape, bool.
        spacing: mm along each axis. None for a slice whose spacing is not known: distances, and the tolerance, are then
            in pixels. For a volume it is refused, since slices are seldom as thick as a pixel is wide; who knows that
            they are says (1, 1, 1).
        tolerance_mm: What nsd forgives.
        hd95_definition: See `Hd95`.

    Returns:
        hd, hd95, asd, assd in mm and nsd in 0..1; what they are where the structure is absent is said in this module.

    Raises:
        ValueError: If masks are not bool, not 2D or 3D or of different shape, or the spacing, the tolerance or the
            definition cannot be.
    """
    spacing = _checked(truth, prediction, spacing)
    if not 0 <= tolerance_mm < math.inf:
        raise ValueError(f"tolerance_mm must be finite and not negative, got {tolerance_mm}")
    if hd95_definition not in get_args(Hd95):
        raise ValueError(f"hd95_definition is one of {', '.join(get_args(Hd95))}, got {hd95_definition}")
    held = bool(truth.any()), bool(prediction.any())
    if held != (True, True):
        diagonal = math.hypot(*(size * step for size, step in zip(truth.shape, spacing, strict=True)))
        distance, overlap = (diagonal, 0.0) if any(held) else (None, None)
        return {"hd": distance, "hd95": distance, "asd": distance, "assd": distance, "nsd": overlap}
    pair = crop(truth, prediction, spacing)
    limit = math.inf if hd95_definition == "weighted" else _within(tolerance_mm)
    voxels, elements = voxel_distances(pair), element_distances(pair, limit)
    return {
        "hd": hd(voxels),
        "hd95": hd95(elements if hd95_definition == "weighted" else voxels, hd95_definition),
        "asd": asd(voxels),
        "assd": assd(voxels),
        "nsd": nsd(elements, tolerance_mm),
    }


def hd(distances: SurfaceDistances) -> float:
    """Hausdorff distance: the longest way from either surface to the other."""
    return float(max(distances.from_prediction.max(), distances.from_truth.max()))


def hd95(distances: SurfaceDistances, definition: Hd95 = "pooled") -> float:
    """95th percentile of the ways, see `Hd95`; `weighted` takes the distances of surface elements."""
    if definition == "pooled":
        return float(np.percentile(_pooled(distances), 95))
    if definition == "maximum":
        return float(max(np.percentile(distances.from_prediction, 95), np.percentile(distances.from_truth, 95)))
    return max(
        _weighted_percentile(distances.from_prediction, distances.prediction_areas, 95),
        _weighted_percentile(distances.from_truth, distances.truth_areas, 95),
    )


def asd(distances: SurfaceDistances) -> float:
    """Average surface distance, from the prediction to the truth. A missed part costs nothing: read it beside assd."""
    return float(distances.from_prediction.mean())


def assd(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance: the mean over the points of both surfaces, so that the larger counts more."""
    return float(_pooled(distances).mean())


def nsd(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Normalised surface Dice: the part of both surfaces, by area, no further from the other than the tolerance.

    Nikolov et al. (2021), see `spinelab.metrics.surface`.
    """
    limit = _within(tolerance_mm)
    within = (
        distances.prediction_areas[distances.from_prediction <= limit].sum()
        + distances.truth_areas[distances.from_truth <= limit].sum()
    )
    return float(within / (distances.prediction_areas.sum() + distances.truth_areas.sum()))


def _within(tolerance_mm: float) -> float:
    """Three voxels of 0.1 mm are 0.3 mm, whatever the last digit says."""
    return tolerance_mm * (1 + 1e-9)


def _pooled(distances: SurfaceDistances) -> Values:
    return np.concatenate([distances.from_prediction, distances.from_truth])


def _weighted_percentile(values: Values, weights: Values, percent: float) -> float:
    """Smallest value that, with all smaller ones, has this share of the weight."""
    order = np.argsort(values)
    shares = np.cumsum(weights[order])
    position = int(np.searchsorted(shares, percent / 100 * shares[-1]))
    return float(values[order[min(position, len(values) - 1)]])


def _checked(truth: Mask, prediction: Mask, spacing: Sequence[float] | None) -> tuple[float, ...]:
    """The spacing along each axis."""
    if truth.dtype != bool or prediction.dtype != bool:
        raise ValueError(f"masks must be bool, got {truth.dtype} and {prediction.dtype}")
    if truth.shape != prediction.shape or truth.ndim not in (2, 3):
        raise ValueError(f"two masks (S, H, W) or (H, W) expected, got {truth.shape} and {prediction.shape}")
    if spacing is None and truth.ndim == 3:
        raise ValueError("distances in a volume need a spacing in mm; without one, score slice by slice, in pixels")
    steps = tuple(float(step) for step in (spacing if spacing is not None else (1, 1)))
    if len(steps) != truth.ndim or not all(0 < step < math.inf for step in steps):
        raise ValueError(f"spacing must be a positive number for each of {truth.ndim} axes, got {steps}")
    return steps
