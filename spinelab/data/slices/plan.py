"""What building a cache will take, estimated from the headers of the files before any pixel is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import psutil

from spinelab.data.slices.storage import size
from spinelab.data.volumes.header import Header, read_header
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError, SpinelabError
from spinelab.types import Case

SECONDS, SECONDS_RESAMPLED = 40e-9, 100e-9
"""Rough time a voxel and channel: read and oriented, or also resampled, filtered or corrected."""
WORTH = 3.0
"""Seconds of work that a further process must find: starting it takes about one."""

PROCESS = 180 * 2**20
"""Bytes of a process that has loaded numpy, scipy, nibabel and SimpleITK."""
PER_VOXEL = 20
"""Bytes a voxel and channel: read, oriented and measured. The peak was 13 for a scan of 64 x 512 x 512."""
PER_RESAMPLED = 66
"""The same where slices are resampled; of the voxels before or after, whichever are more. The peak was 60."""


PLANES = ("sagittal", "coronal", "axial")
"""Which world axis (right, front, top) the slices of a plane follow each other along."""


@dataclass(frozen=True)
class Need:
    """What one case takes: bytes of memory while it is prepared, bytes of disk, and roughly seconds."""

    memory: int
    disk: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a build will take; printed before it starts.

    Attributes:
        cases: Number of cases.
        workers: Number of processes.
        memory_each: Bytes that a process takes at most.
        disk: Bytes that the cache takes at most.
        exact: Whether every slice is kept whole, so that `disk` is not an upper bound only.
        largest: Name of the case that takes most memory.
    """

    cases: int
    workers: int
    memory_each: int
    disk: int
    exact: bool
    largest: str

    @classmethod
    def of(cls, cases: Sequence[Case], preprocessing: Preprocessing, workers: int = 1) -> Plan:
        """Estimate; cases whose headers cannot be read count nothing, since preparing them will tell why.

        Args:
            cases: The cases.
            preprocessing: What is done to them.
            workers: Processes wished for; there are fewer where memory would not do or the work is soon done.

        Raises:
            DataError: Even one process would take more memory than there is.
        """
        with ThreadPoolExecutor(4) as pool:
            needs = list(pool.map(lambda case: need(case, preprocessing), cases))
        largest = max(range(len(cases)), key=lambda position: needs[position].memory)
        each, free = PROCESS + needs[largest].memory, psutil.virtual_memory().available
        if each > free:
            raise DataError(
                f"preparing {cases[largest].name} takes about {size(each)} of memory and {size(free)} are free",
                "close other programs, use a machine with more memory, or leave this case out",
                cases[largest].images[0][0],
            )
        useful = int(sum(need.seconds for need in needs) / WORTH) if WORTH else workers
        # the cases at work may all be as large as the largest
        workers = max(1, min(workers, free // each, len(cases), useful))
        disk = sum(need.disk for need in needs)
        exact = preprocessing.slices == "all" and not preprocessing.body
        return cls(len(cases), workers, each, disk, exact, cases[largest].name)

    def __str__(self) -> str:
        processes = f"{self.workers} process{'es' * (self.workers > 1)}"
        return (
            f"{self.cases} cases, about {size(self.disk / self.cases)} each, {processes}: "
            f"up to {size(self.workers * self.memory_each)} of memory, {size(self.disk)} on disk"
        )


def need(case: Case, preprocessing: Preprocessing) -> Need:
    """Memory and disk of one case, from the headers of its images."""
    try:
        headers = [read_header(files) for files in case.images]
    except (SpinelabError, OSError, ValueError):
        return Need(0, 0, 0.0)
    before, after = math.prod(headers[0].shape), _voxels(headers[0], preprocessing)
    resampled = preprocessing.spacing_mm is not None
    floats = resampled or bool(preprocessing.filters) or preprocessing.bias_correction
    width = 4 if floats else max(_itemsize(header) for header in headers)
    neighbours = 2 * preprocessing.neighbours * len(headers)  # further channels, copies of pixels
    memory = len(headers) * max(before, after) * (PER_RESAMPLED if resampled else PER_VOXEL)
    return Need(
        memory=memory + 2 * after * neighbours * width,
        disk=after * ((len(headers) + neighbours) * width + 1),
        seconds=len(headers) * max(before, after) * (SECONDS_RESAMPLED if floats else SECONDS),
    )


def _voxels(header: Header, preprocessing: Preprocessing) -> int:
    """Voxels after resampling and cropping."""
    rows = tuple(header.shape)
    if header.affine is None:  # pictures: slices lie along the first axis and are never resampled
        depth, area = rows[0], float(math.prod(rows[1:]))
    else:
        axes = np.asarray(header.affine)[:3, :3]
        steps = np.linalg.norm(axes, axis=0)
        across = int(np.argmax(np.abs(axes / np.maximum(steps, 1e-9))[PLANES.index(preprocessing.plane)]))
        depth, area = rows[across], math.prod(rows) / rows[across]
        if preprocessing.spacing_mm is not None:
            area *= float(np.prod(np.delete(steps, across))) / math.prod(preprocessing.spacing_mm)
    return depth * math.ceil(math.prod(preprocessing.crop) if preprocessing.crop else area)


def _itemsize(header: Header) -> int:
    """Bytes of a stored pixel: integers keep their type, everything else becomes float32."""
    kind = np.dtype(header.dtype)
    return kind.itemsize if kind.kind in "iu" else 4
