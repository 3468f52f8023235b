"""DICOM series and DICOM-SEG files that several tests make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR = "1.2.840.10008.5.1.4.1.1.4"
OBLIQUE = (0.0, 0.96, -0.28, 0.1, -0.28 * 0.99**0.5, -0.96 * 0.99**0.5)
"""Rows and columns of a turned sagittal slice, both of length one and perpendicular."""


def slice_header(**values: Any) -> Dataset:
    """An MR image without pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = MR, generate_uid(), "MR"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = "P1", "A^B", "O", ""
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "", "", "", "", ""
    ds.SeriesNumber, ds.SeriesDescription, ds.ImageType = 3, "t2 sag", ["ORIGINAL", "PRIMARY", "M"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def write_series(
    folder: Path,
    array: np.ndarray,
    *,
    orientation: Sequence[float] = OBLIQUE,
    spacing: tuple[float, float] = (0.5, 0.75),
    gap: float = 4.0,
    origin: Sequence[float] = (10.0, -20.0, 30.0),
    syntax: str | None = None,
    order: Sequence[int] | None = None,
    **values: Any,
) -> tuple[Path, ...]:
    """Write slices (S, rows, columns); `order` shuffles their names against their positions."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    files = []
    for index, pixels in enumerate(array):
        place = np.array(origin) + index * gap * normal
        ds = slice_header(InstanceNumber=index + 1, SliceThickness=gap, PixelSpacing=list(spacing), **values)
        ds.ImagePositionPatient = [f"{mm:.10g}" for mm in place]
        ds.ImageOrientationPatient = [f"{cosine:.10g}" for cosine in orientation]
        ds.Rows, ds.Columns = pixels.shape
        ds.PixelRepresentation = int(pixels.dtype.kind == "i")
        ds.PixelData = np.ascontiguousarray(pixels).tobytes()
        if syntax is not None:
            ds.compress(syntax)
        number = index if order is None else order[index]
        files.append(folder / f"im{number:03d}.dcm")
        ds.save_as(files[-1], enforce_file_format=True)
    return tuple(files)


def write_seg(path: Path, files: Sequence[Path], mask: np.ndarray, kind: str = "BINARY", **options: Any) -> Path:
    """Write segments (S, rows, columns) of some slices as DICOM-SEG."""
    segments = [
        highdicom.seg.SegmentDescription(
            number, f"segment {number}", codes.SCT.AnatomicalStructure, codes.SCT.AnatomicalStructure, "MANUAL"
        )
        for number in np.unique(mask[mask > 0]).astype(int).tolist()
    ]
    seg = highdicom.seg.Segmentation(
        [pydicom.dcmread(file) for file in files], mask, kind, segments, generate_uid(), 99, generate_uid(), 1,
        "maker", "model", "1", "0", **options,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)
    return path


def edit(file: Path, **values: Any) -> Path:
    """Change attributes of a DICOM file; None deletes one."""
    ds = pydicom.dcmread(file)
    for name, value in values.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.save_as(file)
    return file
