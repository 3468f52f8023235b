"""What a scan says of itself, without reading its pixels."""

from __future__ import annotations

from pathlib import Path

from spinelab.data.volumes.formats import META, NRRD, Header, check_file, format_of
from spinelab.data.volumes.itk import data_file, itk_header
from spinelab.data.volumes.nifti import nifti_header
from spinelab.data.volumes.pictures import pictures_header
from spinelab.data.volumes.series import series_header
from spinelab.errors import DataError
from spinelab.types import Files

__all__ = ["Header", "check_single", "parts", "read_header"]


def read_header(files: Files) -> Header:
    """Shape, type, affine and sizes of one channel of a scan, or of a mask.

    The header is taken by its word: whether the file holds what it claims is found by reading it.

    Args:
        files: One volume, one file a slice, or the files of a DICOM series in any order.

    Raises:
        ValueError: No file is given.
        DataError: A file is missing, empty, no image, or its header is broken.
        ConfigError: DICOM files, and the extra `dicom` is not installed.
    """
    if not files:
        raise ValueError("a volume needs at least one file")
    for file in files:
        check_file(file)
    kind = format_of(files[0])
    if kind == "picture":
        return pictures_header(files)
    if kind == "DICOM":
        return series_header(files)
    check_single(files)
    return nifti_header(files[0]) if kind == "NIfTI" else itk_header(files[0])


def parts(files: Files) -> Files:
    """All files on disk that make up a volume: a .mhd or .nhdr header's data file follows it.

    Raises:
        DataError: The header does not tell, or what it names is not there.
    """
    return tuple(part for file in files for part in dict.fromkeys((file, _voxels(file))))


def _voxels(file: Path) -> Path:
    return data_file(file) if file.name.lower().endswith(META + NRRD) else file


def check_single(files: Files) -> None:
    """Raise `DataError` if a volume that lies in one file is given several."""
    if len(files) > 1:
        raise DataError(f"{len(files)} files for one volume", "give one NIfTI file a volume", files[0])
