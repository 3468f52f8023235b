"""DICOM-SEG: masks whose frames say where they lie, so they may cover any slices of the scan in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.volumes.dicom import LABEL_MAP, broken, need, read_dicom
from spinelab.data.volumes.formats import Array, lps_to_ras
from spinelab.data.volumes.series import source_images
from spinelab.errors import DataError
from spinelab.files import replacing
from spinelab.types import Files

_RESAMPLE = "save the mask on this image's grid, or check that it belongs to this image"


def read_segmentation(file: Path, shape: tuple[int, ...], affine: Array, tolerance: float) -> Array:
    """Segment numbers on the grid of an image.

    Args:
        file: The DICOM-SEG.
        shape: (X, Y, Z) of the image.
        affine: The image's, to RAS+ millimetres.
        tolerance: Voxels that a corner of a frame may lie beside the image's grid.

    Returns:
        Integers (X, Y, Z); 0 where there is no segment.

    Raises:
        DataError: The file is broken or fractional, lies on another grid or beyond the image, or segments overlap.
        ConfigError: The extra `dicom` is not installed.
    """
    seg = read_dicom(file, pixels=True)
    mask = np.zeros(shape, np.uint16)
    for frame, matrix, number in _frames(seg, file):
        placed = _place(frame, matrix, shape, affine, tolerance, file)
        values = frame[frame > 0] if number is None else np.full(placed.shape[1], number)
        before = mask[tuple(placed)]
        if ((before != 0) & (before != values)).any():
            raise DataError("segments overlap", "a voxel has one class: separate the segments", file)
        mask[tuple(placed)] = values
    return mask


def write_segmentation(path: Path, array: Array, files: Files, names: Mapping[int, str]) -> None:
    """Write class indices as a binary DICOM-SEG that refers to the series that it was drawn on.

    Args:
        path: Where to write.
        array: Class indices (X, Y, Z) in the grid of the series.
        files: The series.
        names: Class index -> what the segment is called.

    Raises:
        ValueError: The shape is not that of the series.
        DataError: The series lacks what a DICOM-SEG has to repeat of it.
        ConfigError: The extra `dicom` is not installed.
    """
    highdicom, codes, uid = need("highdicom"), need("pydicom.sr.codedict").codes, need("pydicom.uid")
    images = source_images(files)
    if array.shape != (images[0].Columns, images[0].Rows, len(images)):
        raise ValueError(f"the mask has shape {array.shape}, the series has {len(images)} slices")
    algorithm = highdicom.AlgorithmIdentificationSequence("spinelab", codes.DCM.ArtificialIntelligence, "1")
    segments = [
        highdicom.seg.SegmentDescription(
            number, name, codes.SCT.AnatomicalStructure, codes.SCT.AnatomicalStructure, "AUTOMATIC", algorithm
        )
        for number, name in sorted(names.items())
    ]
    try:
        seg = highdicom.seg.Segmentation(
            images, np.ascontiguousarray(array.transpose(2, 1, 0)).astype(np.uint8), "BINARY", segments,
            series_instance_uid=uid.generate_uid(), series_number=1000, sop_instance_uid=uid.generate_uid(),
            instance_number=1, manufacturer="spinelab", manufacturer_model_name="spinelab", software_versions="1",
            device_serial_number="0", content_label="SEGMENTATION",
        )  # fmt: skip
    except (AttributeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise DataError(f"no DICOM-SEG can refer to it ({error})", "write the mask as .nii.gz", files[0]) from error
    with replacing(path) as temporary:
        seg.save_as(temporary)


def _frames(seg: Any, file: Path) -> Iterator[tuple[Array, Array, int | None]]:
    """Each frame (columns, rows), its plane as a matrix into LPS millimetres, and its segment (None: values tell)."""
    try:
        if str(seg.get("SegmentationType", "")) == "FRACTIONAL":
            raise DataError("its segments are fractional", "threshold them and save a binary segmentation", file)
        pixels = seg.pixel_array.reshape(-1, int(seg.Rows), int(seg.Columns))
        shared, own = seg.SharedFunctionalGroupsSequence[0], seg.PerFrameFunctionalGroupsSequence
        if len(own) != len(pixels):
            raise ValueError(f"{len(pixels)} frames, {len(own)} descriptions of frames")
        for frame, groups in zip(pixels, own, strict=True):
            number = None
            if str(seg.SOPClassUID) != LABEL_MAP:
                number = int(_group(groups, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)
            yield frame.T, _plane(groups, shared), number
    except Exception as error:  # whatever pydicom meets in a damaged file
        if isinstance(error, DataError):
            raise
        raise broken(file, str(error)) from error


def _plane(groups: Any, shared: Any) -> Array:
    measures = _group(groups, shared, "PixelMeasuresSequence")
    run = np.array(_group(groups, shared, "PlaneOrientationSequence").ImageOrientationPatient, float).reshape(2, 3)
    down, across = (float(mm) for mm in measures.PixelSpacing)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = run[0] * across, run[1] * down, np.cross(*run)
    matrix[:3, 3] = np.array(_group(groups, shared, "PlanePositionSequence").ImagePositionPatient, float)
    return matrix


def _group(groups: Any, shared: Any, name: str) -> Any:
    """A functional group of a frame, or the one that all frames share."""
    return (groups.get(name) or shared[name].value)[0]


def _place(frame: Array, matrix: Array, shape: tuple[int, ...], affine: Array, tolerance: float, file: Path) -> Array:
    """Voxel indices (3, n) in the image of the frame's foreground; refuses a frame beside or beyond the image."""
    width, height = frame.shape
    corners = np.array([[0, 0, 0, 1], [width - 1, 0, 0, 1], [0, height - 1, 0, 1], [width - 1, height - 1, 0, 1]]).T
    to_voxels = np.linalg.inv(affine) @ lps_to_ras(matrix)
    start, across, down = np.rint(to_voxels[:3, 3]), np.rint(to_voxels[:3, 0]), np.rint(to_voxels[:3, 1])
    if np.abs(across).sum() != 1 or np.abs(down).sum() != 1:
        sizes, wanted = (np.linalg.norm(m[:3, :3], axis=0).round(3).tolist() for m in (matrix, affine))
        raise DataError(f"its pixels are {sizes[:2]} mm wide and high, the image's voxels {wanted} mm", _RESAMPLE, file)
    nearest = start[:, None] + across[:, None] * corners[0] + down[:, None] * corners[1]
    beside = (to_voxels @ corners)[:3] - nearest
    if not np.abs(beside).max() <= tolerance:
        apart = float(np.linalg.norm(affine[:3, :3] @ beside, axis=0).max())
        raise DataError(
            f"its grid lies up to {apart:.3g} mm ({np.abs(beside).max():.2g} voxels) beside the image's; allowed are "
            f"{tolerance} voxels",
            _RESAMPLE,
            file,
        )
    x, y = np.nonzero(frame)
    placed = (start[:, None] + across[:, None] * x + down[:, None] * y).astype(int)
    outside = (placed < 0) | (placed >= np.array(shape)[:, None])
    if outside.any():
        far = np.where(placed < 0, -placed, placed - np.array(shape)[:, None] + 1).max(axis=1)
        apart = float((far.clip(0) * np.linalg.norm(affine[:3, :3], axis=0)).max())
        raise DataError(f"its foreground reaches up to {apart:.3g} mm beyond the image", _RESAMPLE, file)
    return placed
