"""The table of cases: every volume once, on its own grid, counts before ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spinelab.data.volumes.prepare import PreparedVolume, Preprocessing, native_truth, prepare_case
from spinelab.metrics.aggregate import volume_scores
from spinelab.metrics.calibration import calibration_scores, reliability_counts
from spinelab.metrics.confusion import confusion_matrix
from spinelab.metrics.counts import state
from spinelab.metrics.overlap import mean_iou
from spinelab.tasks.inference import native_labels, probabilities
from spinelab.tasks.scoring import Scoring, region_scores
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
        spacing: Slice, row and column distance in mm, None where it is unknown.
        calibration: Scores of the probabilities on the slices as the network saw them.
    """

    case: Case
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    usable: np.ndarray
    native: np.ndarray
    spacing: tuple[float, float, float] | None
    calibration: dict[str, float | None]


def evaluate_case(network: nn.Module, case: Case, labels: LabelMap, preprocessing: Preprocessing) -> Scored:
    """Predict a case and lay the prediction beside the truth, on the scan's own grid.

    Raises:
        DataError: A file of the case cannot be used.
    """
    volume = prepare_case(case, labels, preprocessing)
    truth, scan = native_truth(case, labels)
    likely = probabilities(network, volume)
    native = native_labels(likely, volume)
    orient, spacing = volume.geometry.orient, volume.geometry.raw_spacing
    return Scored(
        case=case,
        image=orient(scan.array),
        truth=orient(truth),
        prediction=orient(native),
        usable=volume.usable,
        native=native,
        spacing=None if np.isnan(spacing).any() else spacing,
        calibration=_calibration(likely, volume),
    )


def case_rows(scored: Scored, labels: LabelMap, how: Scoring = Scoring()) -> list[dict[str, Any]]:  # noqa: B008
    """Tidy rows of one case: person, site, case, class, metric, value, unit, state."""
    who: dict[str, Any] = {"person": scored.case.person, "site": scored.case.site, "case": scored.case.name}
    rows: list[dict[str, Any]] = []
    for region, indices in labels.region_indices().items():
        truth, prediction = (np.isin(array, indices) for array in (scored.truth, scored.prediction))
        counts, scores = region_scores(
            truth, prediction, scored.usable, scored.spacing, how, lesions=region in labels.lesions
        )
        rows += [who | {"class": region, **score._asdict(), "state": state(counts)} for score in scores]
    overall = {"miou": _mean_iou(scored, labels), **scored.calibration}
    everywhere = {"class": "all", "unit": "1", "state": "present"}
    return rows + [who | everywhere | {"metric": name, "value": value} for name, value in overall.items()]


def overlap_rows(scored: Scored, labels: LabelMap) -> list[dict[str, Any]]:
    """What is counted of a volume, without what takes time (distances): class, metric, value, state."""
    truth, found = (torch.from_numpy(array[scored.usable]) for array in (scored.truth, scored.prediction))
    scores = volume_scores(confusion_matrix(found, truth, labels.count)[None], labels.region_indices())
    return [{key: value for key, value in score.items() if key != "volume"} for score in scores]


def slice_rows(scored: Scored, labels: LabelMap) -> list[dict[str, Any]]:
    """Overlap scores of every scored slice, to look into a case; no table averages them.

    A slice is numbered from 0 in the order of the volume's slices.
    """
    numbers = np.flatnonzero(scored.usable)
    truth, prediction = (torch.from_numpy(array[numbers]) for array in (scored.truth, scored.prediction))
    confusions = torch.stack(
        [confusion_matrix(found, true, labels.count) for found, true in zip(prediction, truth, strict=True)]
    )
    who = {"person": scored.case.person, "site": scored.case.site, "case": scored.case.name}
    return [
        who | {"slice": int(numbers[score["volume"]])} | {key: value for key, value in score.items() if key != "volume"}
        for score in volume_scores(confusions, labels.region_indices())
    ]


def _mean_iou(scored: Scored, labels: LabelMap) -> float | None:
    truth, prediction = (torch.from_numpy(array[scored.usable]) for array in (scored.truth, scored.prediction))
    return mean_iou(confusion_matrix(prediction, truth, labels.count))


def _calibration(likely: np.ndarray, volume: PreparedVolume) -> dict[str, float | None]:
    """From probabilities (S, H, W, K), slice by slice to spare memory."""
    assert volume.mask is not None  # a case without truth is not evaluated
    sums = [
        reliability_counts(torch.from_numpy(likely[i]).permute(2, 0, 1)[None], torch.from_numpy(volume.mask[i])[None])
        for i in np.flatnonzero(volume.usable)
    ]
    return calibration_scores(torch.stack(sums).sum(dim=0))


def best_slice(scored: Scored) -> int:
    """The usable slice with the most foreground in the truth, for a picture."""
    foreground = np.where(scored.usable, (scored.truth > 0).sum(axis=(1, 2)), -1)
    return int(foreground.argmax())
