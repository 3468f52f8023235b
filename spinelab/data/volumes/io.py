"""Reading and writing scans and masks, and all that can be wrong with one of them, told as a `DataError`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.volumes.dicom import is_segmentation
from spinelab.data.volumes.formats import COPY_AGAIN, check_file, format_of
from spinelab.data.volumes.header import check_single
from spinelab.data.volumes.itk import read_itk
from spinelab.data.volumes.nifti import read_nifti
from spinelab.data.volumes.pictures import read_pictures
from spinelab.data.volumes.segmentation import read_segmentation
from spinelab.data.volumes.series import read_series
from spinelab.data.volumes.writing import check_output, mask_name, write_mask
from spinelab.errors import ConfigError, DataError
from spinelab.types import Files, LabelMap, MaskFiles

__all__ = [
    "BACKGROUND",
    "GRID_TOLERANCE",
    "RawVolume",
    "check_output",
    "check_same_grid",
    "mask_name",
    "read_mask",
    "read_raw_mask",
    "read_volume",
    "write_mask",
]

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
    """Read one channel of a scan: one file, one picture a slice, or the files of a DICOM series in any order.

    Integer data without a scale factor keep their integer type; everything else becomes float32.

    Raises:
        DataError: A file is missing, truncated or no image; the image is constant, not 3-D, or has NaN or infinity.
        ConfigError: DICOM files, and the extra `dicom` is not installed.
    """
    volume = read_raw(files, colours_as_labels=False)
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

    Raw values are mapped to classes by name; the name ``background`` drops a raw value on purpose. The raw values of a
    DICOM-SEG are its segment numbers.

    Args:
        mask: The file or the slices, and what their raw values mean.
        labels: The data set's classes.
        image: The scan that the mask belongs to; shape and affine are compared with it. A DICOM-SEG needs it.

    Returns:
        uint8 class indices in the mask's own grid.

    Raises:
        DataError: A file is missing or broken, does not lie on the image's grid, or holds an unknown value.
        ConfigError: A raw value is given a name that is no class, or DICOM files lack the extra `dicom`.
    """
    volume, name = read_raw_mask(mask.files, image), _name(mask.files)
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


def read_raw(files: Files, *, colours_as_labels: bool) -> RawVolume:
    """Voxels as they are in the file, however wrong their values.

    Args:
        files: One volume, one file a slice, or a DICOM series.
        colours_as_labels: Take palette pictures as the numbers behind their colours.

    Raises:
        DataError: They cannot be read, or have no three axes.
    """
    if not files:
        raise ValueError("a volume needs at least one file")
    for file in files:
        check_file(file)
    kind = format_of(files[0])
    if kind == "picture":
        return RawVolume(read_pictures(files, colours_as_labels=colours_as_labels), None)
    if kind == "DICOM":
        return RawVolume(*read_series(files))
    check_single(files)
    return RawVolume(*(read_nifti if kind == "NIfTI" else read_itk)(files[0]))


def read_raw_mask(files: Files, image: RawVolume | None) -> RawVolume:
    """A mask's raw values; those of a DICOM-SEG, which need not cover the image, on the image's grid."""
    name = _name(files)
    if not (len(files) == 1 and files[0].is_file() and format_of(files[0]) == "DICOM" and is_segmentation(files[0])):
        volume = read_raw(files, colours_as_labels=True)
        if image is not None:
            check_same_grid(volume, image, name)
        return volume
    if image is None or image.affine is None:
        raise DataError("a DICOM-SEG needs an image with a grid to lie on", "convert it to the image's format", name)
    array = read_segmentation(files[0], image.array.shape, image.affine, GRID_TOLERANCE)
    return RawVolume(array, image.affine)


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
