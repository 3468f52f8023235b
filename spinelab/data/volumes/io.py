"""Reading and writing scans and masks, and all that can be wrong with one of them, told as a `DataError`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.volumes.formats import (
    COPY_AGAIN,
    is_picture,
    read_nifti,
    read_pictures,
    write_nifti,
    write_pictures,
)
from spinelab.errors import ConfigError, DataError
from spinelab.types import Files, LabelMap, MaskFiles

BACKGROUND = "background"
GRID_TOLERANCE = 0.25
"""Voxels that a mask's grid may lie beside its image's at the worst corner; headers that were rounded make a tenth."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RawVolume:
    """A scan as the file has it.

    Attributes:
        array: (X, Y, Z) in file order, or (S, H, W) for a stack of pictures.
        affine: (4, 4) voxel index to world millimetres (RAS+); None for pictures, whose spacing is unknown.
    """

    array: Array
    affine: Array | None


def read_volume(files: Files) -> RawVolume:
    """Read one channel of a scan.

    Integer data without a scale factor keep their integer type; everything else becomes float32.

    Raises:
        DataError: A file is missing, truncated or no image; the image is constant, not 3-D, or has NaN or infinity.
    """
    volume = _read(files, colours_as_labels=False)
    array, name = volume.array, _name(files)
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(0, bool)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{int(bad.sum())} voxels are NaN or infinite, the first at {first}",
            "replace them (usually by 0, the value of air) and save the scan again",
            name,
        )
    if array.min() == array.max():
        raise DataError(f"the image is empty: every voxel is {array.flat[0]}", COPY_AGAIN, name)
    return volume


def read_mask(mask: MaskFiles, labels: LabelMap, *, image: RawVolume | None = None) -> Array:
    """Read a mask as class indices.

    Raw values are mapped to classes by name; the name ``background`` drops a raw value on purpose.

    Args:
        mask: The file or the slices, and what their raw values mean.
        labels: The data set's classes.
        image: The scan that the mask belongs to; shape and affine are compared with it.

    Returns:
        uint8 class indices in the mask's own grid.

    Raises:
        DataError: A file is missing or broken, does not lie on the image's grid, or holds an unknown value.
        ConfigError: A raw value is given a name that is no class.
    """
    volume, name = _read(mask.files, colours_as_labels=True), _name(mask.files)
    if image is not None:
        check_same_grid(volume, image, name)
    mapped, known = np.zeros(volume.array.shape, np.uint8), volume.array == 0
    for raw, cls in mask.labels.items():
        where = volume.array == raw
        mapped[where], known = _class_index(cls, labels, name), known | where
    if not known.all():
        _refuse(volume.array[~known], mask, name)
    return mapped


def check_same_grid(volume: RawVolume, image: RawVolume, name: Path) -> None:
    """Raise `DataError` unless two volumes lie on one grid, to a quarter of a voxel at every corner of it."""
    if volume.array.shape != image.array.shape:
        found, wanted = volume.array.shape, image.array.shape
        if volume.affine is None and found[0] != wanted[0]:
            raise DataError(f"{found[0]} slices, the image has {wanted[0]}", "give one mask slice for each slice", name)
        raise DataError(
            f"its shape is {found}, the image's is {wanted}",
            "resample the mask onto the image's grid, or check that it belongs to this image",
            name,
        )
    if volume.affine is None or image.affine is None:
        return
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.array.shape], [1])).reshape(4, -1)
    apart_mm = float(np.linalg.norm(((volume.affine - image.affine) @ corners)[:3], axis=0).max())
    apart = float(np.abs(np.linalg.solve(image.affine, volume.affine @ corners) - corners).max())
    if apart > GRID_TOLERANCE:
        raise DataError(
            f"its grid lies up to {apart_mm:.3g} mm ({apart:.2g} voxels) beside the image's; allowed are "
            f"{GRID_TOLERANCE} voxels",
            "save the mask with the image's affine if it was drawn on it, else resample it",
            name,
        )


def write_mask(path: Path, array: Array, like: Path | Files) -> None:
    """Write class indices in the grid of the scan that they were predicted on.

    A NIfTI mask gets `like`'s shape, sform, qform and their codes. A stack of pictures becomes a folder `path` with
    one PNG a slice, named as the slices are; a single picture may also be written to a file `path` ending in .png.

    Args:
        path: Where to write.
        array: Class indices in the raw grid, (X, Y, Z) or (S, H, W).
        like: The image file, or the slices in order.

    Raises:
        ValueError: The array is no uint8-sized label array, or its shape is not the scan's.
        DataError: `like` cannot be read.
    """
    files = (like,) if isinstance(like, Path) else like
    if array.min(initial=0) < 0 or array.max(initial=0) > 255 or array.dtype.kind not in "biu":
        raise ValueError(f"a mask holds whole numbers from 0 to 255, not {array.dtype}")
    if is_picture(files[0]):
        write_pictures(path, array.astype(np.uint8), files)
        return
    write_nifti(path, array.astype(np.uint8), files[0])


def _read(files: Files, *, colours_as_labels: bool) -> RawVolume:
    if not files:
        raise ValueError("a volume needs at least one file")
    for file in files:
        if not file.is_file():
            raise DataError("the file does not exist", "check the data set's folder and the source's patterns", file)
    if is_picture(files[0]):
        return RawVolume(read_pictures(files, colours_as_labels=colours_as_labels), None)
    if len(files) > 1:
        raise DataError(f"{len(files)} files for one volume", "give one NIfTI file a volume", files[0])
    return RawVolume(*read_nifti(files[0]))


def _refuse(values: Array, mask: MaskFiles, name: Path) -> None:
    """Say what is wrong with raw values that stand for nothing."""
    odd = values[~np.isfinite(values) | (values != np.round(values))]
    if odd.size:
        raise DataError(
            f"{odd.size} voxels hold no whole number, for example {odd[0]:g}",
            "masks are resampled with nearest neighbour; threshold a probability map first",
            name,
        )
    unknown, counts = np.unique(values, return_counts=True)
    listed = [f"{int(value)} ({count} voxels)" for value, count in zip(unknown, counts, strict=True)]
    raise DataError(
        f"unknown label values: {', '.join(listed[:10])}{' ...' if len(listed) > 10 else ''}; "
        f"known are 0 and {sorted(mask.labels)}",
        f"name them in the source's labels (a class, or `{BACKGROUND}` to drop one)",
        name,
    )


def _class_index(cls: str, labels: LabelMap, name: Path) -> int:
    if cls != BACKGROUND and cls not in labels.classes:
        raise ConfigError(
            f"the source's labels name {cls!r}, the classes are {list(labels.classes)}",
            f"add it to labels.classes, or use one of them or `{BACKGROUND}`",
            name,
        )
    return 0 if cls == BACKGROUND else labels.index(cls)


def _name(files: Files) -> Path:
    """What an error calls a volume: the file, or the folder of its slices."""
    return files[0] if len(files) == 1 else files[0].parent
