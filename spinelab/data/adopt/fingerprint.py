"""What a data set is like: grids of all scans from their headers, labels and grey values from a sample.

In the spirit of nnU-Net's fingerprint (Isensee et al., Nature Methods 18:203, 2021).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spinelab.data.volumes.formats import Header, format_of, squeezed
from spinelab.data.volumes.header import read_header
from spinelab.data.volumes.io import RawVolume, check_same_grid, read_raw_mask, read_volume
from spinelab.errors import DataError, SpinelabError
from spinelab.types import Case

MASKS_READ, IMAGES_READ = 20, 5

Array = np.ndarray[Any, Any]
Presence = tuple[Array, Array, Array]


@dataclass
class Labels:
    """The values in the masks of one kind.

    Attributes:
        voxels: Raw value -> voxels in all masks read.
        masks: Raw value -> masks that have it.
        read: Number of masks read.
        fractional: Masks that hold values which are no whole numbers.
    """

    voxels: Counter[int] = field(default_factory=Counter)
    masks: Counter[int] = field(default_factory=Counter)
    read: int = 0
    fractional: list[str] = field(default_factory=list)


@dataclass
class Fingerprint:
    """Facts about a data set.

    Attributes:
        headers: Case name -> header of its first channel, of all cases that can be used.
        labels: One entry a kind of mask.
        present: Case name -> for each kind of mask, where along each of the three axes of the file it has foreground;
            of the cases whose masks were read.
        grey: Grey values of the images read: the percentiles 0.5, 50 and 99.5 of each.
        whole_numbers: Whether all images hold whole numbers.
        left_out: Case name -> why it cannot be used.
        channels: Images a case.
    """

    headers: dict[str, Header]
    labels: list[Labels]
    present: dict[str, list[Presence]]
    grey: list[tuple[float, float, float]]
    whole_numbers: bool
    left_out: dict[str, str]
    channels: int


def measure(cases: Sequence[Case], step: Callable[[str], None] = lambda what: None) -> Fingerprint:
    """Read all headers, up to 20 masks of each kind and up to 5 images, evenly chosen.

    Args:
        cases: The data set.
        step: Told what is read next.
    """
    left_out: dict[str, str] = {}
    headers = {}
    for case in cases:
        step(case.name)
        try:
            headers[case.name] = _header(case)
        except SpinelabError as error:
            left_out[case.name] = _why(error)
    usable = [case for case in cases if case.name in headers]
    labels, present = _read_masks(spread(usable, MASKS_READ), left_out, step)
    grey, whole = _read_images(spread(usable, IMAGES_READ), left_out, step)
    headers = {name: header for name, header in headers.items() if name not in left_out}
    return Fingerprint(headers, labels, present, grey, whole, left_out, len(cases[0].images))


def spread(cases: Sequence[Case], most: int) -> list[Case]:
    """Up to `most` cases, evenly over the list."""
    if len(cases) <= most:
        return list(cases)
    return [cases[int(i)] for i in np.linspace(0, len(cases) - 1, most).round()]


def _header(case: Case) -> Header:
    missing = [file.name for mask in case.masks for file in mask.files if not file.is_file()]
    if missing:
        raise DataError(f"its mask {missing[0]} is missing", "add it, or take the scan away")
    header = read_header(case.images[0])
    if header.is_4d:
        raise DataError(f"it has the shape {header.shape}, not three dimensions", "save each volume as a file")
    for mask in case.masks:
        if format_of(mask.files[0]) != "DICOM":  # a DICOM-SEG has no grid of its own
            check_same_grid(grid(read_header(mask.files)), grid(header), mask.files[0])
    return header


def grid(header: Header) -> RawVolume:
    """A volume of zeros that takes no memory, on the grid that a header claims."""
    return RawVolume(np.broadcast_to(np.uint8(0), squeezed(header.shape)), header.affine)


def _read_masks(
    cases: Sequence[Case], left_out: dict[str, str], step: Callable[[str], None]
) -> tuple[list[Labels], dict[str, list[Presence]]]:
    found = [Labels() for _ in (cases[0].masks if cases else ())]
    present = {}
    for case in cases:
        step(case.name)
        try:
            on_image = any(format_of(mask.files[0]) == "DICOM" for mask in case.masks)
            image = read_volume(case.images[0]) if on_image else None
            arrays = [read_raw_mask(mask.files, image).array for mask in case.masks]
        except SpinelabError as error:
            left_out[case.name] = _why(error)
            continue
        for labels, array in zip(found, arrays, strict=True):
            _count(labels, array, case.name)
        present[case.name] = [_presence(array) for array in arrays]
    return found, present


def _count(labels: Labels, array: Array, name: str) -> None:
    values, counts = np.unique(array, return_counts=True)
    labels.read += 1
    if (values != np.round(values)).any():
        labels.fractional.append(name)
    for value, count in zip(values, counts, strict=True):
        if value != 0 and value == round(value):
            labels.voxels[int(value)] += int(count)
            labels.masks[int(value)] += 1


def _presence(array: Array) -> Presence:
    there = array > 0
    first, second, third = (np.asarray(there.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return first, second, third


def _read_images(
    cases: Sequence[Case], left_out: dict[str, str], step: Callable[[str], None]
) -> tuple[list[tuple[float, float, float]], bool]:
    grey, whole = [], True
    for case in cases:
        step(case.name)
        try:
            array = read_volume(case.images[0]).array
        except SpinelabError as error:
            left_out[case.name] = _why(error)
            continue
        low, middle, high = (float(value) for value in np.percentile(array, (0.5, 50, 99.5)))
        grey.append((low, middle, high))
        whole = whole and array.dtype.kind in "iu"
    return grey, whole


def _why(error: SpinelabError) -> str:
    return f"{error.file.name}: {error.found}" if error.file else error.found
