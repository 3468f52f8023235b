"""One case on its way into the cache: prepared, and parked in files of its own until all cases are known to be good.

Worker processes import this module afresh: it must not reach PyTorch, Lightning or pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spinelab.data.slices.info import VolumeInfo
from spinelab.data.volumes.prepare import PreparedVolume, Preprocessing, prepare_case
from spinelab.errors import DataError, SpinelabError
from spinelab.types import Case, LabelMap

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
Kind = Literal["image", "mask"]


@dataclass(frozen=True, eq=False)
class Part:
    """One prepared case, its pixels parked in files of their own until all are known to be good.

    Attributes:
        info: The volume's entry in `volumes.json`.
        stem: Its pixels lie in ``<stem>.image`` and ``<stem>.mask``, (S, H, W, C) and (S, H, W), without a header.
        usable: Positions of these S slices in the volume.
        shape: S, H, W, C.
        dtype: Type of the image.
        low: Smallest value, in the image's own type.
        high: Largest value.
        pixels: (S, K) int64, pixels of each class, background first.
    """

    info: VolumeInfo
    stem: Path
    usable: tuple[int, ...]
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    low: float
    high: float
    pixels: np.ndarray[Any, Any]

    def take(self, kind: Kind) -> Iterator[np.ndarray[Any, Any]]:
        """The parked slices, each in the same array, so good until the next is asked for.

        Their file is deleted after the last, so that the disk holds them once.

        Raises:
            OSError: The file is shorter than it was.
        """
        path = Path(f"{self.stem}.{kind}")
        slice_ = np.empty(self.shape[1:], self.dtype) if kind == "image" else np.empty(self.shape[1:3], np.uint8)
        with path.open("rb") as file:  # not a memory map, whose pages cost more than the copy
            for _ in range(self.shape[0]):
                if file.readinto(slice_.data.cast("B")) != slice_.nbytes:
                    raise OSError(f"{path} ends early")
                yield slice_
        path.unlink()


def prepare_part(case: Case, position: int, labels: LabelMap, preprocessing: Preprocessing, folder: Path) -> Part | str:
    """A part, or the reason why there is none: as text, so that one bad case does not stop the others.

    Raises:
        OSError: The part cannot be written.
    """
    try:
        volume = prepare_case(case, labels, preprocessing)
        if volume.mask is None or not volume.usable.any():
            lack = "no mask" if volume.mask is None else "no usable slice"
            raise DataError(f"the case has {lack}", "add one, set data.preprocessing.slices=all, or leave the case out")
    except SpinelabError as error:
        return str(error)
    except MemoryError:
        return "preparing it takes more memory than there is: leave it out, or use a machine with more"
    return _park(case, volume, volume.mask, labels.count, folder / f"{position:06d}")


def _park(case: Case, volume: PreparedVolume, mask: np.ndarray[Any, Any], classes: int, stem: Path) -> Part:
    usable = np.flatnonzero(volume.usable)
    image = volume.image
    if len(usable) < len(mask):
        image, mask = image[usable], mask[usable]
    for kind, array in (("image", image), ("mask", mask)):
        Path(f"{stem}.{kind}").write_bytes(np.ascontiguousarray(array).data.cast("B"))
    depth, row, column = (float(step) for step in volume.geometry.spacing)
    info = VolumeInfo(
        name=case.name,
        person=case.person,
        site=case.site,
        spacing=(depth, row, column),
        intensity=volume.intensity,
        slices=len(volume.usable),
        group=case.group,
    )
    pixels = np.stack([np.bincount(slice_.reshape(-1), minlength=classes) for slice_ in mask])
    low, high = image.min().item(), image.max().item()
    return Part(info, stem, tuple(usable.tolist()), image.shape, image.dtype, low, high, pixels)


def storage_type(parts: Sequence[Part]) -> np.dtype[Any]:
    """The smallest integer type that holds every value, or float32 if any volume was resampled."""
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    if all(part.dtype.kind in "iu" for part in parts):
        for name in INTEGERS:
            if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
                return np.dtype(name)
    return np.dtype(np.float32)
