"""What can be wrong with grey values, and the few numbers by which a scan is compared with the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.doctor.finding import Finding, error, warning
from spinelab.data.doctor.header import read_header
from spinelab.data.volumes.formats import COPY_AGAIN
from spinelab.data.volumes.io import RawVolume
from spinelab.types import Files

SAMPLED = 200_000
"""Voxels that percentiles are taken from."""
FEW_VALUES = 8
THUMBNAIL = (8, 32, 32)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Channel:
    """One channel of a case in a few numbers.

    Attributes:
        file: The first of its files.
        shape: (X, Y, Z) or (S, H, W).
        spacing: mm along the raw axes, NaN where unknown.
        typical: Median of the voxels that are brighter than the mean: tissue, not air.
        spread: Distance of the 1st and 99th percentile.
        digest: SHA-256 of the voxels.
        thumbnail: The scan in 8 x 32 x 32 means, flat, mean 0 and length 1.
    """

    file: Path
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    typical: float
    spread: float
    digest: str
    thumbnail: Array

    @classmethod
    def of(cls, volume: RawVolume, file: Path, slices: Array) -> Channel:
        """Measure a channel; `slices` is the same scan with slices first, in anatomical directions."""
        sample = _sample(volume.array)
        tissue = sample[sample > sample.mean()]
        low, high = np.percentile(sample, (1, 99))
        spacing = (np.nan,) * 3 if volume.affine is None else np.linalg.norm(volume.affine[:3, :3], axis=0)
        return cls(
            file,
            volume.array.shape,
            tuple(float(s) for s in spacing),
            float(np.median(tissue)) if tissue.size else float(sample.mean()),
            float(high - low),
            digest(volume.array),
            thumbnail(slices),
        )


def check_values(array: Array, files: Files) -> Iterator[Finding]:
    """Values that are no number, all one value, or so few that the image may be a mask."""
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        found = f"{int((~finite).sum())} voxels are NaN or infinite, the first at {first}"
        nan = error("nan", files[0], found, "replace them, usually by 0, the value of air; fix=FOLDER does it")
        yield replace(nan, mending="nan") if read_header(files[0]) else nan
        array = array[finite]
    if array.size == 0 or array.min() == array.max():
        value = array.flat[0] if array.size else "no number"
        yield error("constant", files[0], f"the image is empty: every voxel is {value}", COPY_AGAIN)
    elif len(np.unique(_sample(array))) <= FEW_VALUES and (count := len(np.unique(array))) <= FEW_VALUES:
        found = f"the image has {count} different values only"
        consequence = "if it is a mask, the network is shown the answer"
        yield warning("image-like-mask", files[0], found, consequence, "check data.source's patterns, or the export")


def digest(array: Array) -> str:
    """SHA-256 of shape, type and voxels: equal for one scan in two containers."""
    content = hashlib.sha256(f"{array.shape}{array.dtype.newbyteorder('=')}".encode())
    content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def thumbnail(slices: Array) -> Array:
    """A scan in a few means, flat, mean 0 and length 1, so that a product of two is their correlation."""
    small = slices
    for axis, length in enumerate(THUMBNAIL):
        small = _shrink(small, axis, length)
    flat = small.astype(np.float64).ravel()
    flat = flat - flat.mean()
    return (flat / (np.linalg.norm(flat) or 1.0)).astype(np.float32)


def _shrink(array: Array, axis: int, length: int) -> Array:
    """Means of `length` stretches of an axis; the nearest voxel where it is shorter."""
    size = array.shape[axis]
    if size <= length:
        return np.take(array, np.linspace(0, size - 1, length).round().astype(int), axis)
    edges = np.linspace(0, size, length + 1).astype(int)
    sums = np.add.reduceat(array, edges[:-1], axis, dtype=np.float32)
    widths = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    return sums / widths


def _sample(array: Array) -> Array:
    flat = np.ravel(array, order="K")  # a view of what a file reader returns, whatever its order
    return flat[:: max(1, flat.size // SAMPLED)]
