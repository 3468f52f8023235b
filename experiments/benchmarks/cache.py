"""What reading a slice costs, beside other ways to keep slices, and what a second process gains when preparing.

Each function measures a peer and spinelab in turns on the same scans and returns (peer seconds, our seconds), medians.
Run it on a quiet machine with two cores: `python experiments/benchmarks/cache.py`.

The data are 32 scans of 12 slices of 256 x 320, int16, with the noise of an MRI, as `.nii.gz`. Slices are read in the
same random order by both, and each is copied into a buffer, since a view alone reads nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from spinelab.data.slices.build import build
from spinelab.data.slices.cache import Cache
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap, MaskFiles

SCANS, SLICES, HEIGHT, WIDTH = 32, 12, 256, 320
LABELS = LabelMap(("vertebra",))
Read = Callable[[int], Any]


def scans(folder: Path, count: int = SCANS) -> list[Case]:
    """Cases whose slices lie along the first axis, sagittal, as most scans of the spine."""
    cases = []
    for number in range(count):
        rng = np.random.default_rng(number)
        image = 400 + 3000 * gaussian_filter(rng.normal(size=(SLICES, WIDTH, HEIGHT)), (0, 6, 6))
        image = (np.abs(image) + rng.normal(0, 15, image.shape)).clip(0).astype(np.int16)
        files = (folder / f"{number:02d}.nii.gz", folder / f"{number:02d}_mask.nii.gz")
        for path, array in zip(files, (image, (image > 500).astype(np.uint8)), strict=True):
            nib.save(nib.Nifti1Image(array, np.diag([4.0, 0.7, 0.7, 1.0])), path)
        cases.append(Case(f"{number:02d}", f"{number:02d}", ((files[0],),), (MaskFiles((files[1],), {1: "vertebra"}),)))
    return cases


def prepared(folder: Path, cases: Sequence[Case], workers: int = 1, **preprocessing: Any) -> Cache:
    """Their cache."""
    return build(cases, LABELS, Preprocessing(**preprocessing), folder, workers=workers, progress=False)


def memcpy(cache: Cache) -> tuple[float, float]:
    """Peer: `np.copyto` from one array in memory that holds the same slices."""
    memory = np.stack([cache.image(row) for row in range(len(cache))])
    return in_turns(partial(copy, memory.__getitem__), partial(copy, cache.image), len(cache), 1000)


def blosc2(cache: Cache, folder: Path) -> tuple[float, float]:
    """Peer: a blosc2 array on disk, one slice a chunk, kept open (the way that nnU-Net v2 stores its data)."""
    import blosc2

    stack = np.stack([cache.image(row) for row in range(len(cache))])
    stored = blosc2.asarray(stack, chunks=(1, *stack.shape[1:]), urlpath=str(folder / "slices.b2nd"), mode="w")
    kept = blosc2.open(str(folder / "slices.b2nd"), mode="r")
    del stored
    return in_turns(partial(copy, lambda row: kept[row]), partial(copy, cache.image), len(cache), 100)


def monai(cache: Cache, cases: Sequence[Case]) -> tuple[float, float]:
    """Peer: MONAI's `CacheDataset` of whole volumes in memory, a random slice of which is cropped and squeezed."""
    from monai.data import CacheDataset
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, RandSpatialCropd, SqueezeDimd

    steps = Compose([
        LoadImaged("image", dtype=np.int16), EnsureChannelFirstd("image"),
        RandSpatialCropd("image", roi_size=(1, -1, -1), random_size=False), SqueezeDimd("image", dim=1),
    ])  # fmt: skip
    volumes = CacheDataset([{"image": str(case.images[0][0])} for case in cases], steps, progress=False)
    return in_turns(lambda row: volumes[row // SLICES]["image"], partial(copy, cache.image), len(cache), 100)


def naive(cache: Cache, cases: Sequence[Case]) -> tuple[float, float]:
    """Peer: open the `.nii.gz` anew for every slice and ask nibabel for that slice alone."""

    def read(row: int) -> Any:
        return np.asarray(nib.load(cases[row // SLICES].images[0][0]).dataobj[row % SLICES])

    return in_turns(read, partial(copy, cache.image), len(cache), 8)


def processes(folder: Path, cases: Sequence[Case], rounds: int = 3) -> tuple[float, float]:
    """Peer: preparing, resampled to 0.4 mm, with one process. Ours: with two, their start included.

    It needs two idle cores. Where there is less work than this, a build takes one process by itself.
    """
    times: dict[int, list[float]] = {1: [], 2: []}
    cases = [replace(case, name=f"{case.name}-{turn}") for turn in range(4) for case in cases]  # work of ten seconds
    for number in range(rounds):
        for workers in times:
            begin = time.perf_counter()
            prepared(folder / f"{number}-{workers}", cases, workers, spacing_mm=(0.4, 0.4))
            times[workers].append(time.perf_counter() - begin)
    return statistics.median(times[1]), statistics.median(times[2])


BUFFER = np.empty((WIDTH, HEIGHT, 1), np.int16)


def copy(read: Read, row: int) -> None:
    """Read a slice and copy it."""
    np.copyto(BUFFER.reshape(image.shape) if (image := read(row)).shape != BUFFER.shape else BUFFER, image)


def in_turns(peer: Read, ours: Read, rows: int, reads: int, rounds: int = 15) -> tuple[float, float]:
    """Median seconds of a read; both read the same random rows in every round, which round by round go first."""
    rng = np.random.default_rng(0)
    times: dict[Read, list[float]] = {peer: [], ours: []}
    for number in range(rounds + 1):
        chosen = rng.integers(0, rows, reads).tolist()
        for read in (peer, ours) if number % 2 else (ours, peer):
            begin = time.perf_counter()
            for row in chosen:
                read(row)
            times[read].append((time.perf_counter() - begin) / reads)
    return statistics.median(times[peer][1:]), statistics.median(times[ours][1:])


def main() -> None:
    """Measure everything and print peer, ours, ratio."""
    table = Table(title="seconds, medians", title_justify="left")
    for column in ("what", "peer", "ours", "peer / ours"):
        table.add_column(column, justify="left" if column == "what" else "right")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases = scans(folder)
        cache = prepared(folder / "cache", cases)
        measured = {
            "slice: memcpy": memcpy(cache),
            "slice: blosc2, kept open": blosc2(cache, folder),
            "slice: MONAI CacheDataset": monai(cache, cases),
            "slice: nibabel, .nii.gz": naive(cache, cases),
            "prepare: one process": processes(folder, cases),
        }
    for what, (peer, ours) in measured.items():
        table.add_row(what, f"{peer:.2e}", f"{ours:.2e}", f"{peer / ours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
