"""Scores of whole lesions: how many were found, whatever their size.

A lesion is a connected component of a mask. By default a true lesion is found if the prediction overlaps it by at least
one voxel, and a predicted one that overlaps no true lesion is a false alarm: the rule of the ISLES 2022 challenge
(Hernandez Petzsche et al. 2022, doi:10.1038/s41597-022-01875-5), with 26-connectivity as there and in BraTS-METS 2023.
Under this rule one predicted component may find several lesions, and several may find one; a prediction that floods the
scan finds all. `min_iou` asks for more: true and predicted components are then matched one to one among those whose
intersection over union reaches it (Maier-Hein et al. 2024, Metrics Reloaded, doi:10.1038/s41592-023-02151-z), so that
one component over two lesions finds one of them at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from spinelab.metrics.counts import Counts, check_masks
from spinelab.metrics.overlap import dice, ppv, sensitivity
from spinelab.metrics.region_of_interest import bounding_box

Connectivity = Literal[6, 18, 26]
RANKS: Mapping[int, int] = {6: 1, 18: 2, 26: 3}
"""Neighbours of a voxel -> along how many axes at once they may differ."""


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of one volume, of those that are not too small to count.

    Attributes:
        true: Lesions in the truth; those found and those missed.
        predicted: Components of the prediction.
        found: True lesions that were found.
        false_alarms: Components that found nothing and do not lie on a true lesion that was too small to count.
    """

    true: int
    predicted: int
    found: int
    false_alarms: int


def lesion_counts(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Sequence[float] | None = None,
    *,
    min_iou: float | None = None,
    min_volume_mm3: float = 0.0,
    connectivity: Connectivity = 26,
) -> LesionCounts:
    """Count lesions.

    Args:
        truth: (D, H, W) mask.
        prediction: (D, H, W) mask.
        spacing: Voxel size in mm; only needed with a minimum volume.
        min_iou: None: one voxel of overlap is enough. Otherwise the least intersection over union, in (0, 1].
        min_volume_mm3: Smaller components do not count: not as missed, not as found, not as false alarms, and they find
            nothing. A predicted component that touches a true lesion too small to count is no false alarm.
        connectivity: Voxels of a component share a face (6), an edge (18) or a corner (26).

    Raises:
        ValueError: If the masks are not three-dimensional, bool and of one shape, or another argument is out of range.
    """
    check_masks(truth, prediction)
    if truth.ndim != 3 or connectivity not in RANKS or (min_iou is not None and not 0 < min_iou <= 1):
        got = f"{truth.ndim} dimensions, connectivity {connectivity}, min_iou {min_iou}"
        raise ValueError(f"3 dimensions, connectivity 6, 18 or 26 and min_iou in (0, 1] expected, got {got}")
    overlap, true_sizes, predicted_sizes = _overlaps(truth, prediction, RANKS[connectivity])
    smallest = _least_voxels(min_volume_mm3, spacing)
    true, predicted = true_sizes >= smallest, predicted_sizes >= smallest
    excused = overlap[~true].sum(axis=0) > 0  # on a lesion that is too small to count
    found, hits = _matches(overlap, true_sizes, predicted_sizes, min_iou, true, predicted)
    return LesionCounts(
        true=int(true.sum()),
        predicted=int(predicted.sum()),
        found=int(found.sum()),
        false_alarms=int((predicted & ~hits & ~np.asarray(excused).ravel()).sum()),
    )


def lesion_scores(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Sequence[float] | None = None,
    *,
    min_iou: float | None = None,
    min_volume_mm3: float = 0.0,
    connectivity: Connectivity = 26,
) -> dict[str, float | None]:
    """Lesion-wise sensitivity, precision and F1, and what they were taken from; arguments as `lesion_counts`.

    Precision and F1 count found lesions as true positives: found / (found + false alarms) and
    2 found / (2 found + missed + false alarms), as ISLES does. A ratio without denominator has no value: sensitivity
    without lesions, precision where nothing was found and no alarm raised, F1 without either.

    Returns:
        `lesion_sensitivity`, `lesion_precision`, `lesion_f1` in 0..1, and the numbers `lesions_true`,
        `lesions_predicted`, `lesions_found`, `lesions_missed`, `lesion_false_alarms`.

    Raises:
        ValueError: As `lesion_counts`.
    """
    n = lesion_counts(
        truth, prediction, spacing, min_iou=min_iou, min_volume_mm3=min_volume_mm3, connectivity=connectivity
    )
    counts = Counts(tp=n.found, fp=n.false_alarms, fn=n.true - n.found, tn=0)  # lesions, where else there are pixels
    return {
        "lesion_sensitivity": sensitivity(counts),
        "lesion_precision": ppv(counts),
        "lesion_f1": dice(counts),
        "lesions_true": n.true,
        "lesions_predicted": n.predicted,
        "lesions_found": n.found,
        "lesions_missed": counts.fn,
        "lesion_false_alarms": n.false_alarms,
    }


def _overlaps(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], rank: int
) -> tuple[sparse.csr_array, NDArray[np.int64], NDArray[np.int64]]:
    """(T, P) voxels that each true shares with each predicted component, (T,) and (P,) voxels of each."""
    box = bounding_box(truth | prediction) or (slice(0, 0),) * 3  # labels need not be looked for where neither is
    structure = ndimage.generate_binary_structure(3, rank)
    (true, trues), (predicted, predictions) = (ndimage.label(mask[box], structure) for mask in (truth, prediction))
    both = truth[box] & prediction[box]
    pairs = (np.ones(int(both.sum()), np.int64), (true[both] - 1, predicted[both] - 1))
    overlap = sparse.coo_array(pairs, shape=(trues, predictions)).tocsr()  # sums what has the same place
    sizes = [np.bincount(x.ravel(), minlength=n + 1)[1:] for x, n in ((true, trues), (predicted, predictions))]
    return overlap, sizes[0], sizes[1]


def _matches(
    overlap: sparse.csr_array,
    true_sizes: NDArray[np.int64],
    predicted_sizes: NDArray[np.int64],
    min_iou: float | None,
    true: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which true components are found, (T,), and which predicted ones found something, (P,)."""
    row, column, shared = sparse.find(overlap)
    iou = shared / (true_sizes[row] + predicted_sizes[column] - shared)
    good = true[row] & predicted[column] & (iou >= (min_iou or 0))
    row, column = row[good], column[good]
    found, hits = np.zeros_like(true), np.zeros_like(predicted)
    if min_iou is not None and row.size:
        # The largest number of pairs that can be had, so that the result does not hang on an order.
        graph = sparse.csr_array((np.ones(row.size), (row, column)), shape=overlap.shape)
        partner = maximum_bipartite_matching(graph, perm_type="column")
        row = np.flatnonzero(partner >= 0)
        column = partner[row]
    found[row], hits[column] = True, True
    return found, hits


def _least_voxels(min_volume_mm3: float, spacing: Sequence[float] | None) -> float:
    if not (np.isfinite(min_volume_mm3) and min_volume_mm3 >= 0):
        raise ValueError(f"the least volume must be finite and not negative, got {min_volume_mm3}")
    if min_volume_mm3 == 0:
        return 0.0
    if spacing is None or len(spacing) != 3 or not all(np.isfinite(size) and size > 0 for size in spacing):
        raise ValueError(f"a least volume in mm3 needs 3 voxel sizes above 0, got {spacing}")
    return min_volume_mm3 / float(np.prod(spacing)) * (1 - 1e-9)  # 27 voxels of 0.1 mm are 0.027 mm3
