"""From a listed case to slices ready for training: orient, resample, crop, map labels, measure grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from spinelab.data.volumes.geometry import Geometry, make_geometry, to_slices
from spinelab.data.volumes.io import RawVolume, check_same_grid, read_mask, read_volume
from spinelab.data.volumes.normalisation import Intensity, Kind, fit
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap, Plane

SlicePolicy = Literal["all", "annotated", "complete"]
IMAGE_ORDER = 3

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Preprocessing:
    """How scans become slices.

    Attributes:
        plane: Anatomical plane of the slices; pictures are taken as they are.
        spacing_mm: Row and column spacing to resample to; None keeps the scan's own.
        crop: Rows and columns cut out of the centre (and padded to) after resampling; None keeps all.
        normalisation: Grey values, fitted on each volume: ``zscore``, ``minmax``, ``percentile`` or None.
        slices: Which slices are trained and scored on: ``all``; ``annotated``, where any mask file has foreground;
            ``complete``, where every mask file has (a half-annotated scan must not teach background).

    Raises:
        ValueError: A value is unknown or not positive.
    """

    plane: Plane = "sagittal"
    spacing_mm: tuple[float, float] | None = None
    crop: tuple[int, int] | None = None
    normalisation: Kind | None = "zscore"
    slices: SlicePolicy = "all"

    def __post_init__(self) -> None:
        for name, choices in (("plane", Plane), ("slices", SlicePolicy)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} is one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}")
        if self.normalisation is not None and self.normalisation not in get_args(Kind):
            raise ValueError(f"normalisation is one of {', '.join(get_args(Kind))} or null, not {self.normalisation!r}")
        for name, kind in (("spacing_mm", float), ("crop", int)):
            value = getattr(self, name)
            if value is not None:  # yaml gives lists
                object.__setattr__(self, name, _pair(name, value, kind))


@dataclass(frozen=True)
class PreparedVolume:
    """The slices of one case.

    Attributes:
        image: (S, H, W, C), not normalised; in the scan's own integer type where nothing was resampled, else float32.
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
    geometry = _geometry(case, channels[0], preprocessing)
    image = np.stack([to_slices(c.array, geometry, IMAGE_ORDER, fill=c.array.min()) for c in channels], axis=-1)
    rows, columns = geometry.content
    intensity = tuple(
        fit(image[:, rows, columns, channel], preprocessing.normalisation) for channel in range(len(channels))
    )
    usable, mask = np.ones(len(image), bool), None
    if with_mask and case.masks:
        masks = [read_mask(m, labels, image=channels[0]) for m in case.masks]
        usable = _usable([geometry.orient(m) for m in masks], preprocessing.slices)
        mask = to_slices(_combine(masks), geometry, order=0)
    return PreparedVolume(image, mask, intensity, geometry, usable)


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
    channels = [read_volume(files) for files in case.images]
    for channel, files in zip(channels[1:], case.images[1:], strict=True):
        check_same_grid(channel, channels[0], files[0])
    return channels


def _geometry(case: Case, volume: RawVolume, preprocessing: Preprocessing) -> Geometry:
    if volume.affine is None and preprocessing.spacing_mm is not None:
        raise DataError(
            "pictures have no spacing, so they cannot be resampled to one",
            "set data.preprocessing.spacing_mm=null",
            case.images[0][0],
        )
    return make_geometry(volume, preprocessing.plane, preprocessing.spacing_mm, preprocessing.crop)


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


def _pair(name: str, value: Any, kind: type) -> tuple[Any, Any]:
    pair = tuple(kind(v) for v in value)
    if len(pair) != 2 or min(pair) <= 0:
        raise ValueError(f"{name} is two positive numbers (rows, columns), not {value!r}")
    return pair[0], pair[1]
