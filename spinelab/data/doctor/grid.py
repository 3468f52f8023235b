"""Where a scan and its mask lie: shapes, affines, orientations, spacings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.doctor.finding import Finding, error, note, warning
from spinelab.data.doctor.header import Header, read_header
from spinelab.data.volumes.io import GRID_TOLERANCE, RawVolume
from spinelab.types import Files

PLAUSIBLE_MM = (0.05, 20.0)
"""Voxel sizes of clinical and preclinical scans; beyond them the header is probably in another unit."""
SAFE = 1.0
"""Voxels of offset below which the image's affine may be copied to the mask."""
AXES = ("left-right", "front-back", "head-foot")

Array = np.ndarray[Any, Any]


def check_grid(mask: RawVolume, image: RawVolume, file: Path) -> Iterator[Finding]:
    """A mask that does not lie on its image's grid."""
    if mask.array.shape != image.array.shape:
        found = f"the mask's shape is {mask.array.shape}, the image's is {image.array.shape}"
        remedy = "resample the mask onto the image's grid, or check that it belongs to this image"
        yield error("shape-mismatch", file, found, remedy)
    elif mask.affine is not None and image.affine is not None:
        mm, voxels = offset(mask.affine, image.affine, image.array.shape)
        if voxels > GRID_TOLERANCE:
            yield _beside(mm, voxels, file)


def _beside(mm: float, voxels: float, file: Path) -> Finding:
    found = f"the mask's grid lies up to {mm:.3g} mm ({voxels:.2g} voxels) beside the image's; its shape is the same"
    if voxels < SAFE:
        remedy = "save it with the image's affine; fix=FOLDER does it"
        return replace(error("affine-mismatch", file, found, remedy), mending="affine")
    remedy = "save the mask with the image's affine if it was drawn on it, else resample it onto the image's grid"
    return error("affine-mismatch", file, found, remedy)


def offset(affine: Array, reference: Array, shape: tuple[int, ...]) -> tuple[float, float]:
    """Largest distance between the corners of two grids of one shape, in mm and in voxels of the reference."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1])).reshape(4, -1)
    mm = np.linalg.norm(((affine - reference) @ corners)[:3], axis=0).max()
    voxels = np.abs(np.linalg.solve(reference, affine @ corners) - corners).max()
    return float(mm), float(voxels)


def check_header(files: Files) -> Iterator[Finding]:
    """Orientations that disagree or are not set, and a trailing axis of length one."""
    header = read_header(files[0])
    if header is None:
        return
    file = files[0]
    if len(header.shape) > 3 and set(header.shape[3:]) == {1}:
        yield replace(
            note(
                "trailing-axis",
                file,
                f"the file has shape {header.shape}: a series of one volume",
                "spinelab reads it as three axes; other programs may not",
                "fix=FOLDER writes it with three",
            ),
            mending="squeeze",
        )
    yield from _orientations(header, file)


def _orientations(header: Header, file: Path) -> Iterator[Finding]:
    if header.sform is None and header.qform is None:
        yield warning(
            "no-orientation",
            file,
            "the header sets neither sform nor qform",
            "left and right, and the plane of the slices, are guessed",
            "convert the scan again from its source, or write the orientation if you know it",
        )
    elif header.sform is None:
        found, remedy = "the header sets its qform and not its sform", "fix=FOLDER copies it"
        consequence = "spinelab takes the qform; some programs look at the sform alone"
        yield replace(note("one-orientation", file, found, consequence, remedy), mending="sform")
    elif header.qform is None:
        return  # usual, and every program falls back on the sform
    elif (s := directions(header.sform)) != (q := directions(header.qform)):
        flipped = np.linalg.det(header.sform[:3, :3]) * np.linalg.det(header.qform[:3, :3]) < 0
        found = f"sform and qform disagree: the axes run to {s} and to {q}" + (" (mirrored)" if flipped else "")
        yield warning(
            "orientations-disagree",
            file,
            found,
            f"programs that prefer the one see the scan {'mirrored' if flipped else 'turned'} to those that prefer the"
            " other; spinelab takes the sform",
            "find out which is right, from the scanner's own files, and write it into both",
        )


def check_spacing(volume: RawVolume, file: Path) -> Iterator[Finding]:
    """Voxels of a size that no scanner makes."""
    if volume.affine is None:
        return
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    if spacing.min() < PLAUSIBLE_MM[0] or spacing.max() > PLAUSIBLE_MM[1]:
        yield warning(
            "implausible-spacing",
            file,
            f"voxels of {' x '.join(f'{s:.4g}' for s in spacing)} mm",
            "resampling and all distances in millimetres are wrong",
            "correct the header: it is probably in another unit, or was lost in a conversion",
        )


def directions(affine: Array) -> str:
    """The anatomical directions that the three axes run to, such as ``RAS`` or ``LIP``."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / np.where(sizes > 0, sizes, 1))
    turn, letters = left @ right, [""] * 3  # the nearest rotation
    for column in np.argsort(-np.abs(turn).max(axis=0), kind="stable"):  # the clearest axis first, as nibabel does
        axis = int(np.argmax(np.abs(turn[:, column])))
        letters[column] = ("LR", "PA", "IS")[axis][int(turn[axis, column] > 0)]
        turn[axis] = 0  # each direction once
    return "".join(letters)


def axis_names(affine: Array | None) -> tuple[str, ...]:
    """What each raw axis is called; pictures have slices, rows and columns."""
    if affine is None:
        return ("slice order", "top-bottom", "left-right of the picture")
    names = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
    return tuple(AXES[names[letter]] for letter in directions(affine))
