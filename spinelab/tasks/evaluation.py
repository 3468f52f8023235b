"""The table of cases: every volume once, on its own grid, counts before ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spinelab.data.volumes.prepare import Preprocessing, native_truth, prepare_case
from spinelab.metrics.aggregate import volume_scores
from spinelab.metrics.confusion import confusion_matrix
from spinelab.metrics.overlap import Counts, mean_iou, region_counts, state
from spinelab.tasks.inference import segment
from spinelab.types import Case, LabelMap


@dataclass(frozen=True)
class Scored:
    """One evaluated case.

    Attributes:
        case: The case.
        image: (S, H, W) first channel of the scan, in the order of the slices.
        truth: (S, H, W) class indices, on the scan's own in-plane grid.
        prediction: (S, H, W) class indices, likewise.
        usable: (S,) the slices that are scored.
        native: The prediction as the scan's file stores it, (X, Y, Z).
        voxel: Volume of a voxel in mm3, None where the spacing is unknown.
    """

    case: Case
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    usable: np.ndarray
    native: np.ndarray
    voxel: float | None


def evaluate_case(network: nn.Module, case: Case, labels: LabelMap, preprocessing: Preprocessing) -> Scored:
    """Predict a case and lay the prediction beside the truth, on the scan's own grid.

    Raises:
        DataError: A file of the case cannot be used.
    """
    volume = prepare_case(case, labels, preprocessing)
    truth, scan = native_truth(case, labels)
    native = segment(network, volume)
    orient = volume.geometry.orient
    size = float(np.prod(volume.geometry.raw_spacing))
    voxel = None if np.isnan(size) else size
    return Scored(case, orient(scan.array), orient(truth), orient(native), volume.usable, native, voxel)


def case_rows(scored: Scored, labels: LabelMap) -> list[dict[str, Any]]:
    """Tidy rows of one case: person, site, case, class, metric, value, unit, state."""
    truth, prediction = (torch.from_numpy(array[scored.usable]) for array in (scored.truth, scored.prediction))
    confusion = confusion_matrix(prediction, truth, labels.count)
    who: dict[str, Any] = {"person": scored.case.person, "site": scored.case.site, "case": scored.case.name}
    regions = labels.region_indices()
    rows: list[dict[str, Any]] = []
    for score in volume_scores(confusion[None], regions):
        named = {name: score[name] for name in ("class", "metric", "value", "state")}  # type: ignore[literal-required]
        rows.append(who | named | {"unit": "1"})
    for region, indices in regions.items():
        counts = region_counts(confusion, indices)
        rows += [
            who | {"class": region, "metric": name, "value": value, "unit": unit, "state": state(counts)}
            for name, value, unit in _volumes(counts, scored.voxel)
        ]
    overall = {"class": "all", "metric": "miou", "value": mean_iou(confusion), "unit": "1", "state": "present"}
    return [*rows, who | overall]


def best_slice(scored: Scored) -> int:
    """The usable slice with the most foreground in the truth, for a picture."""
    foreground = np.where(scored.usable, (scored.truth > 0).sum(axis=(1, 2)), -1)
    return int(foreground.argmax())


def _volumes(counts: Counts, voxel: float | None) -> list[tuple[str, float | None, str]]:
    """Volumes of truth, prediction and false alarm, in mm3 or, where spacing is unknown, in voxels."""
    unit, size = ("voxel", 1.0) if voxel is None else ("mm3", voxel)
    voxels = {
        "truth_volume": counts.tp + counts.fn,
        "predicted_volume": counts.tp + counts.fp,
        "false_positive_volume": counts.fp,
    }
    return [(name, number * size, unit) for name, number in voxels.items()]
