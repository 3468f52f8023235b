"""From a listed case to slices ready for training: orient, resample, crop, map labels, measure grey values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinelab.data.volumes import filters
from spinelab.data.volumes.bias import correct_bias
from spinelab.data.volumes.body import body_box
from spinelab.data.volumes.geometry import Box, Geometry, make_geometry, to_slices
from spinelab.data.volumes.grid import onto_grid
from spinelab.data.volumes.io import RawVolume, read_mask, read_volume
from spinelab.data.volumes.neighbours import with_neighbours
from spinelab.data.volumes.normalisation import Intensity, fit
from spinelab.data.volumes.preprocessing import Preprocessing as Preprocessing
from spinelab.data.volumes.preprocessing import SlicePolicy
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap

IMAGE_ORDER = 3

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PreparedVolume:
    """The slices of one case.

    Attributes:
        image: (S, H, W, C), not normalised; in the scan's own integer type where grey values were not touched, else
            float32.
        mask: (S, H, W) uint8 class indices, None without truth.
        intensity: The normalisation, one a channel.
        geometry: The way back into the scan's grid.
        usable: (S,) bool, the slices to train and score on.
    """

    image: Array
    mask: Array | None
    intensity: tuple[Intensity, ...]
    geometry: Geometry
    usable: Array


def prepare_case(
    case: Case, labels: LabelMap, preprocessing: Preprocessing, *, with_mask: bool = True
) -> PreparedVolume:
    """Read a case and bring it into slices.

    Args:
        case: What a source listed.
        labels: The data set's classes.
        preprocessing: How.
        with_mask: False reads the images only, as prediction does.

    Raises:
        DataError: A file of the case is missing, broken, or does not go with the others.
    """
    channels = _read_channels(case)
    image, geometry, box = _slices(case, channels, preprocessing)
    intensity = _intensity(case, image, geometry, preprocessing)
    usable, mask = np.ones(len(image), bool), None
    if with_mask and case.masks:
        masks = [read_mask(m, labels, image=channels[0]) for m in case.masks]
        usable = _usable([geometry.orient(m) for m in masks], preprocessing.slices)
        combined = _combine(masks)
        _check_body(case, geometry.orient(combined), box)
        mask = to_slices(combined, geometry, order=0)
    stacked = with_neighbours(image, preprocessing.neighbours)
    repeated = tuple(channel for channel in intensity for _ in range(2 * preprocessing.neighbours + 1))
    return PreparedVolume(stacked, mask, repeated, geometry, usable)


def native_truth(case: Case, labels: LabelMap) -> tuple[Array, RawVolume]:
    """The truth in the scan's own grid, for scoring there.

    Returns:
        uint8 class indices (X, Y, Z), and the first channel of the scan.

    Raises:
        DataError: The case has no mask, or a file is bad.
    """
    image = read_volume(case.images[0])
    if not case.masks:
        raise DataError("the case has no mask", "scores need a truth: add a mask or leave the case out", case.name)
    return _combine([read_mask(mask, labels, image=image) for mask in case.masks]), image


def _read_channels(case: Case) -> list[RawVolume]:
    first, *others = [read_volume(files) for files in case.images]
    return [first, *(onto_grid(other, first, files[0]) for other, files in zip(others, case.images[1:], strict=True))]


def _slices(case: Case, channels: list[RawVolume], preprocessing: Preprocessing) -> tuple[Array, Geometry, Box | None]:
    """Slices (S, H, W, C), their geometry, and the body's box, if there is one."""
    if preprocessing.bias_correction:
        channels = [replace(channel, array=correct_bias(channel.array)) for channel in channels]
    geometry = _geometry(case, channels[0], preprocessing)
    box = None
    if preprocessing.body:
        box = body_box(geometry.orient(channels[0].array), geometry.raw_spacing)
        geometry = _geometry(case, channels[0], preprocessing, box)
    arrays = [_filtered(channel.array, geometry, preprocessing) for channel in channels]
    prepared = [to_slices(a, geometry, IMAGE_ORDER, fill=a.min()) for a in arrays]
    return prepared[0][..., None] if len(prepared) == 1 else np.stack(prepared, axis=-1), geometry, box


def _filtered(array: Array, geometry: Geometry, preprocessing: Preprocessing) -> Array:
    if not preprocessing.filters:
        return array
    return geometry.restore(filters.apply(geometry.orient(array), preprocessing.filters))


def _intensity(case: Case, image: Array, geometry: Geometry, preprocessing: Preprocessing) -> tuple[Intensity, ...]:
    """One normalisation a contrast, fitted on what is no padding."""
    rows, columns = geometry.content
    count = image.shape[-1]
    landmarks: tuple[Any, ...] = preprocessing.landmarks or (None,)
    if len(landmarks) not in (1, count):
        raise DataError(
            f"the case has {count} contrasts, there are landmarks for {len(landmarks)}",
            "give data.preprocessing.landmarks one list a contrast, or one for all",
            case.images[0][0],
        )
    return tuple(
        fit(image[:, rows, columns, channel], preprocessing.normalisation, landmarks=marks)
        for channel, marks in enumerate(landmarks * (count // len(landmarks)))
    )


def _geometry(case: Case, volume: RawVolume, preprocessing: Preprocessing, body: Box | None = None) -> Geometry:
    if volume.affine is None and preprocessing.spacing_mm is not None:
        raise DataError(
            "pictures have no spacing, so they cannot be resampled to one",
            "set data.preprocessing.spacing_mm=null",
            case.images[0][0],
        )
    return make_geometry(volume, preprocessing.plane, preprocessing.spacing_mm, preprocessing.crop, body)


def _check_body(case: Case, truth: Array, box: Box | None) -> None:
    """The box never follows the truth, which a new scan does not have; so a box that cuts truth off is refused."""
    if box is None:
        return
    (top, bottom), (left, right) = box
    lost = int(np.count_nonzero(truth) - np.count_nonzero(truth[:, top:bottom, left:right]))
    if lost:
        raise DataError(
            f"the body's box (rows {top} to {bottom - 1}, columns {left} to {right - 1}) cuts off {lost} voxels of the "
            "mask",
            "set data.preprocessing.body=false for this data set",
            case.images[0][0],
        )


def _combine(masks: list[Array]) -> Array:
    """Later masks overwrite earlier ones where they have foreground."""
    combined = masks[0].copy()
    for mask in masks[1:]:
        np.copyto(combined, mask, where=mask > 0)
    return combined


def _usable(masks: list[Array], policy: SlicePolicy) -> Array:
    present: Array = np.stack([mask.any(axis=(1, 2)) for mask in masks])
    if policy == "annotated":
        return np.any(present, axis=0)
    return np.all(present, axis=0) if policy == "complete" else np.ones(present.shape[1], bool)
