"""One case on its way into the cache: prepared, and parked in files of its own until all cases are known to be good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.slices.cache import VolumeInfo
from spinelab.data.volumes.prepare import PreparedVolume, Preprocessing, prepare_case
from spinelab.errors import DataError, SpinelabError
from spinelab.types import Case, LabelMap

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")


@dataclass(frozen=True)
class Part:
    """One prepared case, its pixels parked in a file of their own until all are known to be good.

    Attributes:
        info: The volume's entry in `volumes.json`.
        stem: Its pixels lie in ``<stem>.image.npy`` and ``<stem>.mask.npy``, (S, H, W, C) and (S, H, W).
        usable: Positions of these S slices in the volume.
        low: Smallest value, in the image's own type.
        high: Largest value.
    """

    info: VolumeInfo
    stem: Path
    usable: tuple[int, ...]
    low: float
    high: float

    def image(self) -> np.ndarray[Any, Any]:
        """(S, H, W, C) pixels of the usable slices."""
        return np.load(f"{self.stem}.image.npy", mmap_mode="r", allow_pickle=False)

    def mask(self) -> np.ndarray[Any, Any]:
        """(S, H, W) class indices of the usable slices."""
        return np.load(f"{self.stem}.mask.npy", mmap_mode="r", allow_pickle=False)


def prepare_part(case: Case, position: int, labels: LabelMap, preprocessing: Preprocessing, folder: Path) -> Part | str:
    """A part, or the reason why there is none: as text, because exceptions with several arguments do not unpickle."""
    try:
        volume = prepare_case(case, labels, preprocessing)
        if volume.mask is None or not volume.usable.any():
            lack = "no mask" if volume.mask is None else "no usable slice"
            raise DataError(f"the case has {lack}", "add one, set data.preprocessing.slices=all, or leave the case out")
        return _park(case, volume, volume.mask, folder / f"{position:06d}")
    except SpinelabError as error:
        return str(error)


def _park(case: Case, volume: PreparedVolume, mask: np.ndarray[Any, Any], stem: Path) -> Part:
    usable = np.flatnonzero(volume.usable)
    image = np.ascontiguousarray(volume.image[usable])
    np.save(f"{stem}.image.npy", image, allow_pickle=False)
    np.save(f"{stem}.mask.npy", np.ascontiguousarray(mask[usable]), allow_pickle=False)
    depth, row, column = (float(step) for step in volume.geometry.spacing)
    info = VolumeInfo(
        case.name, case.person, case.site, (depth, row, column), volume.intensity, slices=len(volume.usable)
    )
    return Part(info, stem, tuple(usable.tolist()), image.min().item(), image.max().item())


def storage_type(parts: Sequence[Part]) -> np.dtype[Any]:
    """The smallest integer type that holds every value, or float32 if any volume was resampled."""
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    if all(part.image().dtype.kind in "iu" for part in parts):
        for name in INTEGERS:
            if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
                return np.dtype(name)
    return np.dtype(np.float32)
