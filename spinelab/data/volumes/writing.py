"""Writing masks in the grid of their scan, in the format that the output's name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spinelab.data.volumes.formats import NIFTI, VOLUMES, Array, format_of, is_picture
from spinelab.data.volumes.header import read_header
from spinelab.data.volumes.itk import write_itk
from spinelab.data.volumes.nifti import write_nifti, write_nifti_affine
from spinelab.data.volumes.pictures import write_pictures
from spinelab.data.volumes.segmentation import write_segmentation
from spinelab.errors import ConfigError
from spinelab.types import Files


def write_mask(path: Path, array: Array, like: Path | Files, names: Mapping[int, str] | None = None) -> None:
    """Write class indices in the grid of the scan that they were predicted on.

    The format is that of `path`'s extension: NIfTI, MetaImage or NRRD for any volume, DICOM-SEG (.dcm) for a DICOM
    series. A NIfTI mask of a NIfTI scan gets its shape, sform, qform and their codes. A stack of pictures becomes a
    folder `path` with one PNG a slice, named as the slices are; a single picture may also be written to a file `path`
    ending in .png.

    Args:
        path: Where to write.
        array: Class indices in the raw grid, (X, Y, Z) or (S, H, W).
        like: The image file, or the slices in order.
        names: Class index -> class name, which a DICOM-SEG holds.

    Raises:
        ValueError: The array is no uint8-sized label array, its shape is not the scan's, or the extension is unfit.
        DataError: `like` cannot be read.
        ConfigError: DICOM files, and the extra `dicom` is not installed.
    """
    files = (like,) if isinstance(like, Path) else like
    if array.min(initial=0) < 0 or array.max(initial=0) > 255 or array.dtype.kind not in "biu":
        raise ValueError(f"a mask holds whole numbers from 0 to 255, not {array.dtype}")
    problem, labels = _unfit(path, files), array.astype(np.uint8)
    if problem:
        raise ValueError(f"{path}: {problem}")
    if is_picture(files[0]):
        write_pictures(path, labels, files)
    elif path.name.endswith(".dcm"):
        numbered = {index: f"class {index}" for index in range(1, int(array.max()) + 1)}
        write_segmentation(path, labels, files, names or numbered)
    elif path.name.endswith(NIFTI) and format_of(files[0]) == "NIfTI":
        write_nifti(path, labels, files[0])
    else:
        _write_volume(path, labels, files)


def check_output(path: Path, like: Files) -> None:
    """Raise `ConfigError` if a mask of this scan cannot be written under this name, before any work is done."""
    problem = _unfit(path, like)
    if problem:
        raise ConfigError(problem, "give the output another name", path)


def mask_name(stem: str, like: Files) -> str:
    """What a mask's file is called that is written in its scan's own format; NIfTI for a DICOM series."""
    endings = {"MetaImage": ".mha", "NRRD": ".nrrd", "picture": ""}
    return stem + endings.get(format_of(like[0]), ".nii.gz")


def _unfit(path: Path, like: Files) -> str | None:
    """Why a mask of a scan cannot be written under a name."""
    kind = format_of(like[0])
    if kind == "picture":
        volume = path.name.endswith((*VOLUMES, ".dcm"))
        return "a mask of pictures is written into a folder, one PNG a slice" if volume else None
    if path.name.endswith(VOLUMES) or (kind == "DICOM" and path.name.endswith(".dcm")):
        return None
    more = " or .dcm" if kind == "DICOM" else ""
    return f"a mask of a volume is written as .nii or .nii.gz, {', '.join(VOLUMES[2:])}{more}"


def _write_volume(path: Path, array: Array, files: Files) -> None:
    header = read_header(files)
    if array.shape != header.shape[:3] or header.is_4d or header.affine is None:
        raise ValueError(f"the mask has shape {array.shape}, {files[0]} has {header.shape}")
    (write_nifti_affine if path.name.endswith(NIFTI) else write_itk)(path, array, header.affine)
