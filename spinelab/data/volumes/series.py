"""A DICOM series as a volume: slices put in order, and checked, by where each says that it lies.

Headers are read with pydicom, voxels with SimpleITK, whose GDCM decodes every transfer syntax in use and applies the
rescale slope of each slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from spinelab.data.volumes.dicom import LABEL_MAP, SEGMENTATION, broken, read_dicom
from spinelab.data.volumes.formats import (
    DEFLATE_RATIO,
    Array,
    Header,
    check_affine,
    check_claim,
    lps_to_ras,
    plain,
)
from spinelab.errors import DataError
from spinelab.types import Files

POSITION_TOLERANCE = 0.1
"""Slice distances that a slice may lie beside the straight, even row of its series; one missing slice makes half of
one or more."""

_TAGS = (
    "SOPClassUID", "SeriesInstanceUID", "ImageType", "NumberOfFrames", "SharedFunctionalGroupsSequence",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices", "SliceThickness",
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation", "BitsAllocated",
)  # fmt: skip
_EXPORT = "export the series again as one file a slice, or convert it to NIfTI with dcm2niix"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


@dataclass(frozen=True)
class Slice:
    """What one file of a series says of itself, in DICOM's own words and world (LPS)."""

    file: Path
    series: str
    position: Array
    rows_run: Array
    columns_run: Array
    spacing: tuple[float, float]
    thickness: float
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    possible_bytes: float

    @property
    def normal(self) -> Array:
        """The direction in which slices are stacked."""
        return np.cross(self.rows_run, self.columns_run)


def read_series(files: Files) -> tuple[Array, Array]:
    """The voxels of a series (columns, rows, slices), and the affine to RAS+ millimetres.

    Slices are ordered by ImagePositionPatient along their normal. Unscaled integers keep their type.

    Raises:
        DataError: A file is broken, slices are missing or unevenly spaced, several series are mixed, or they make up
            no volume (localisers, multi-frame files, colour).
        ConfigError: The extra `dicom` is not installed.
    """
    slices, affine = _geometry(files)
    _check_claims(slices)
    return plain(np.stack([_pixels(one) for one in slices], axis=-1)), affine


def series_header(files: Files) -> Header:
    """Shape, type and affine of a series; the same errors as `read_series`, as far as headers tell."""
    slices, affine = _geometry(files)
    shape, dtype = (*slices[0].shape[::-1], len(slices)), slices[0].dtype
    size = sum(file.stat().st_size for file in files)
    return Header("DICOM", shape, dtype, affine, math.prod(shape) * dtype.itemsize, size)


def source_images(files: Files) -> list[Any]:
    """The headers of a series in the order of its slices, as a DICOM-SEG refers to them."""
    return [read_dicom(one.file) for one in _geometry(files)[0]]


def _geometry(files: Files) -> tuple[list[Slice], Array]:
    """Slices in order, and the affine to RAS+ millimetres."""
    slices = [_slice(file) for file in files]
    _check_alike(slices)
    normal = slices[0].normal
    slices.sort(key=lambda one: float(one.position @ normal))
    matrix = np.eye(4)
    matrix[:3, 0] = slices[0].rows_run * slices[0].spacing[1]
    matrix[:3, 1] = slices[0].columns_run * slices[0].spacing[0]
    matrix[:3, 2] = _step(slices)
    matrix[:3, 3] = slices[0].position
    return slices, check_affine(lps_to_ras(matrix), slices[0].file)


def _slice(file: Path) -> Slice:
    header = read_dicom(file, _TAGS)
    try:
        _check_kind(header, file)
        rows_run, columns_run = _unit_vectors([float(n) for n in header.ImageOrientationPatient])
        down, across = (float(mm) for mm in header.PixelSpacing)
        thickness = header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 0
        syntax = header.file_meta.TransferSyntaxUID
        size = file.stat().st_size
        return Slice(
            file,
            str(header.SeriesInstanceUID),
            np.array([float(mm) for mm in header.ImagePositionPatient]).reshape(3),
            rows_run,
            columns_run,
            (down, across),
            abs(float(thickness)),
            (int(header.Rows), int(header.Columns)),
            np.dtype(f"{'i' if header.PixelRepresentation else 'u'}{int(header.BitsAllocated) // 8}"),
            math.inf if syntax.is_compressed and not syntax.is_deflated else size * DEFLATE_RATIO**syntax.is_deflated,
        )
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"its DICOM header lacks or garbles what places a slice ({error})", _EXPORT, file) from error


def _unit_vectors(cosines: list[float]) -> Array:
    """Two directions, undoing the rounding of their cosines to a few digits."""
    vectors = np.array(cosines).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.abs(lengths - 1).max() < 0.01 and abs(vectors[0] @ vectors[1]) < 0.01):
        raise ValueError(f"ImageOrientationPatient is {cosines}")
    return vectors / lengths


def _check_kind(header: Any, file: Path) -> None:
    """Refuse what is DICOM but no slice of a volume."""
    if str(header.get("SOPClassUID", "")) in (SEGMENTATION, LABEL_MAP):
        raise DataError("this is a segmentation (DICOM-SEG), not a scan", "give it as the mask", file)
    if "Rows" not in header:
        raise DataError("this DICOM file holds no image, or it is cut short", "leave it out, or copy it again", file)
    if int(header.get("NumberOfFrames") or 1) > 1 or "SharedFunctionalGroupsSequence" in header:
        raise DataError("this is a multi-frame DICOM file, which is not supported", _EXPORT, file)
    if "LOCALIZER" in [str(part).upper() for part in header.get("ImageType", ())]:
        raise DataError("this is a localiser, no slice of a volume", "leave localisers out", file)
    if int(header.SamplesPerPixel) != 1 or not str(header.PhotometricInterpretation).startswith("MONOCHROME"):
        raise DataError("this is a colour picture", "leave it out, or export the scan in grey", file)


def _check_alike(slices: list[Slice]) -> None:
    """Refuse files that do not make up one volume."""
    first = slices[0]
    uids = sorted({one.series for one in slices})
    if len(uids) > 1:
        raise DataError(
            f"the files are of {len(uids)} series: {', '.join(uids[:3])}{' ...' * (len(uids) > 3)}",
            "give one series a folder, or list them with the `dicom` source, which tells them apart",
            first.file.parent,
        )
    for one in slices:
        turned = max(np.abs(one.rows_run - first.rows_run).max(), np.abs(one.columns_run - first.columns_run).max())
        if not turned < 1e-3:
            raise DataError(
                f"its slice is turned against that of {first.file.name}: a localiser, or several stacks in one series",
                "leave localisers out, and give each stack a folder of its own",
                one.file,
            )
        if one.shape != first.shape or not np.allclose(one.spacing, first.spacing, rtol=1e-3):
            raise DataError(
                f"its {one.shape} pixels of {one.spacing} mm differ from those of {first.file.name}, {first.shape} of "
                f"{first.spacing} mm",
                "give each stack of slices a folder of its own",
                one.file,
            )


def _step(slices: list[Slice]) -> Array:
    """From one slice to the next in mm (LPS), after checking that the slices lie in an even row."""
    if len(slices) == 1:
        if not slices[0].thickness > 0:
            raise DataError("it is a single slice of unknown thickness", _EXPORT, slices[0].file)
        return slices[0].normal * slices[0].thickness
    places = np.stack([one.position for one in slices])
    gaps = np.diff(places @ slices[0].normal)
    if gaps.min() < 1e-3:
        index = int(gaps.argmin())
        raise DataError(
            f"it lies where {slices[index].file.name} does: several echoes or time points, or a slice twice",
            "give each of them a folder of its own",
            slices[index + 1].file,
        )
    step: Array = (places[-1] - places[0]) / (len(slices) - 1)
    off = np.linalg.norm(places - (places[0] + np.arange(len(slices))[:, None] * step), axis=1)
    if not off.max() <= POSITION_TOLERANCE * np.linalg.norm(step):
        index = int(gaps.argmax())
        raise DataError(
            f"{len(slices)} slices that are not evenly spaced: {gaps.min():.3g} to {gaps.max():.3g} mm apart, the most "
            f"between {slices[index].file.name} and {slices[index + 1].file.name}; slices are missing",
            "export the series again; if the gap is in the original, leave this scan out",
            slices[0].file.parent,
        )
    return step


def _check_claims(slices: list[Slice]) -> None:
    for one in slices:
        bytes_claimed = math.prod(one.shape) * one.dtype.itemsize
        possible = bytes_claimed if math.isinf(one.possible_bytes) else int(one.possible_bytes)
        check_claim(one.file, bytes_claimed, possible)
    total = sum(math.prod(one.shape) * one.dtype.itemsize for one in slices)
    check_claim(slices[0].file.parent, total, total)


def _pixels(one: Slice) -> Array:
    """The rescaled pixels of a slice, (columns, rows)."""
    whole = read_dicom(one.file, ("PixelData",), pixels=True)
    if not whole.get("PixelData"):
        raise broken(one.file, "it has no pixels")
    if whole["PixelData"].is_undefined_length and _SEQUENCE_END not in one.file.read_bytes():
        raise broken(one.file, "it is cut short")
    try:
        array: Array = sitk.GetArrayFromImage(sitk.ReadImage(str(one.file), imageIO="GDCMImageIO"))
    except RuntimeError as error:
        raise broken(one.file, str(error).strip().splitlines()[-1]) from error
    if array.shape != (1, *one.shape):
        raise broken(one.file, f"its pixels have the shape {array.shape}")
    return array[0].T
