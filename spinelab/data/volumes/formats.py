"""Which file is which format, what a header may claim, and what every reader refuses alike."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes

from spinelab.errors import DataError

Format = Literal["NIfTI", "MetaImage", "NRRD", "DICOM", "picture"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
NIFTI = (".nii", ".nii.gz")
META = (".mha", ".mhd")
NRRD = (".nrrd", ".nhdr")
DICOM = (".dcm", ".ima")
VOLUMES = (*NIFTI, *META, *NRRD)

COPY_AGAIN = "copy or convert the file again; if the original is damaged as well, leave this scan out"
DEFLATE_RATIO = 1100
"""Deflate shrinks nothing further than 1032 to 1; a compressed file cannot hold more."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Header:
    """What a file says of itself, without its pixels.

    Attributes:
        format: What it is.
        shape: In file order: (X, Y, Z), (X, Y, Z, T), or (S, H, W) for a stack of pictures.
        dtype: As stored, before any scale factor.
        affine: (4, 4) voxel index to world millimetres (RAS+); None for pictures.
        claimed_bytes: What the voxels take uncompressed.
        file_bytes: Size on disk, all files together.
        sform_qform_differ_mm: How far the two affines of a NIfTI file lie apart at the worst corner; infinite if the
            qform is no rotation; None unless both are set.
    """

    format: Format
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: Array | None
    claimed_bytes: int
    file_bytes: int
    sform_qform_differ_mm: float | None = None

    @property
    def is_4d(self) -> bool:
        """Whether more than three axes are longer than one."""
        return len(squeezed(self.shape)) > 3

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance of voxels along each axis of the file in mm; None for pictures."""
        if self.affine is None:
            return None
        x, y, z = (float(size) for size in voxel_sizes(self.affine))
        return x, y, z

    @property
    def orientation(self) -> str | None:
        """Where the axes of the file point to, such as ``RAS`` or ``PIR``; None for pictures."""
        return None if self.affine is None else "".join(code or "?" for code in aff2axcodes(self.affine))


def is_picture(file: Path) -> bool:
    """Whether a file is one slice (PNG, JPEG, TIFF) and not a volume."""
    return file.name.lower().endswith(PICTURES)


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM by its name or, as exported files often have none, by its first bytes."""
    if file.name.lower().endswith(DICOM):
        return True
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def format_of(file: Path) -> Format:
    """The format of a file, by its name; DICOM files may be called anything.

    Raises:
        DataError: It is none that can be read.
    """
    by_name: dict[Format, tuple[str, ...]] = {"picture": PICTURES, "NIfTI": NIFTI, "MetaImage": META, "NRRD": NRRD}
    for kind, endings in by_name.items():
        if file.name.lower().endswith(endings):
            return kind
    if is_dicom(file):
        return "DICOM"
    known = ", ".join((*VOLUMES, *DICOM, *PICTURES))
    raise DataError("the file type is not supported", f"convert it to one of {known}", file)


def check_file(file: Path) -> None:
    """Raise `DataError` unless this is a file with something in it that may be read."""
    if file.is_dir():
        raise DataError("this is a folder, not a file", "correct the source's patterns", file)
    if not file.exists():
        raise DataError("the file does not exist", "check the data set's folder and the source's patterns", file)
    if not file.is_file():
        raise DataError("this is no regular file", "correct the source's patterns", file)
    if not os.access(file, os.R_OK):
        raise DataError("there is no permission to read it", f"chmod u+r {file.name}, or ask its owner", file)
    if file.stat().st_size == 0:
        raise DataError("this is no whole file: it has 0 bytes", COPY_AGAIN, file)


def check_claim(file: Path, claimed: int, possible: int) -> None:
    """Refuse, before anything is allocated, a header that claims more voxels than there can be.

    Args:
        file: What the error names.
        claimed: Bytes of voxels that the header asks for.
        possible: Bytes that the file can hold at most, uncompressed.

    Raises:
        DataError: The claim exceeds the file, or the memory that is free.
    """
    if claimed > possible:
        raise DataError(
            f"its header claims {size_text(claimed)} of voxels, the file can hold {size_text(possible)} at most: it is "
            "cut short, or the header is damaged",
            COPY_AGAIN,
            file,
        )
    free = psutil.virtual_memory().available
    if claimed > free:
        raise DataError(
            f"its header claims {size_text(claimed)} of voxels, {size_text(free)} of memory are free",
            "cut the scan into smaller ones, or use a machine with more memory",
            file,
        )


def check_shape(shape: tuple[int, ...], file: Path) -> tuple[int, int, int]:
    """The three axes of a volume, without further ones of length one; `DataError` if it has not just three."""
    if min(shape, default=0) < 1:
        raise DataError(f"its header claims the shape {shape}", COPY_AGAIN, file)
    short = squeezed(shape)
    if len(short) != 3:
        raise DataError(
            f"the image has shape {shape}, not three dimensions",
            "save each volume of a series (or each slice) as a 3-D file of its own",
            file,
        )
    return short[0], short[1], short[2]


def check_affine(affine: Array, file: Path) -> Array:
    """The affine as float64; `DataError` if it cannot be inverted."""
    affine = np.asarray(affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError("the affine is not invertible", "write a correct sform or qform into the header", file)
    return affine


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop trailing axes of length one beyond the third."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def plain(array: Array) -> Array:
    """A writable copy in native byte order; float32 unless integer."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array.astype(array.dtype.newbyteorder("="))


def lps_to_ras(matrix: Array) -> Array:
    """An affine into ITK's and DICOM's world (left, posterior, superior) as one into NIfTI's, and the other way."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def size_text(count: int) -> str:
    """Bytes for people: ``3.2 GB``."""
    power = min(5, int(math.log(max(count, 1), 1000)))
    return f"{count / 1000**power:.{1 if power else 0}f} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
