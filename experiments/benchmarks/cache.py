"""What reading a slice costs, beside other ways to keep slices, and what a second process gains when preparing.

Each function measures a peer and spinelab in turns on the same scans and returns (peer seconds, our seconds), medians.
Run it on a quiet machine with two cores: `python experiments/benchmarks/cache.py`.

The data are 32 scans of 12 slices (once also 4 of 120, as a 3D sequence gives) of 256 x 320, int16, with the noise of
an MRI, as `.nii.gz`. Slices are read in the same random order by both, and each is copied into a buffer, since a view
alone reads nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
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


def scans(folder: Path, count: int = SCANS, slices: int = SLICES) -> list[Case]:
    """Cases whose slices lie along the first axis, sagittal, as most scans of the spine."""
    cases = []
    for number in range(count):
        rng = np.random.default_rng(number)
        image = 400 + 3000 * gaussian_filter(rng.normal(size=(slices, WIDTH, HEIGHT)), (0, 6, 6))
        image = (np.abs(image) + rng.normal(0, 15, image.shape)).clip(0).astype(np.int16)
        files = (folder / f"{number:02d}.nii.gz", folder / f"{number:02d}_mask.nii.gz")
        for path, array in zip(files, (image, (image > 500).astype(np.uint8)), strict=True):
            nib.save(nib.Nifti1Image(array, np.diag([4.0, 0.7, 0.7, 1.0])), path)
        cases.append(Case(f"{number:02d}", f"{number:02d}", ((files[0],),), (MaskFiles((files[1],), {1: "vertebra"}),)))
    return cases


def prepared(folder: Path, cases: Sequence[Case], workers: int = 1, **preprocessing: Any) -> Cache:
    """Their cache."""
    return build(cases, LABELS, Preprocessing(**preprocessing), folder, workers=workers, progress=False)


def in_memory(cache: Cache) -> Read:
    """Reads the same slices from one array in memory."""
    return np.stack([cache.image(row) for row in range(len(cache))]).__getitem__


def memcpy(cache: Cache) -> tuple[float, float]:
    """Peer: `np.copyto` from one array in memory that holds the same slices."""
    return in_turns(copy(in_memory(cache)), copy(cache.image), len(cache), 1000)


def blosc2(cache: Cache, folder: Path, *, as_nnunet: bool, ours: Read | None = None) -> tuple[float, float]:
    """Peer: a blosc2 array on disk, one slice a chunk, kept open.

    Either with blosc2's own defaults (all cores, light compression), or with what nnU-Net v2 sets: Zstandard at level 8
    and one thread, since its loaders are processes. nnU-Net keeps float32, so that row takes resampled slices, float32
    in both. `ours` may be something else than the cache's way.
    """
    import blosc2

    stack = np.stack([cache.image(row) for row in range(len(cache))])
    before, path = blosc2.nthreads, str(folder / f"slices-{as_nnunet}.b2nd")
    how = {"cparams": {"codec": blosc2.Codec.ZSTD, "clevel": 8}, "dparams": {"nthreads": 1}} if as_nnunet else {}
    blosc2.asarray(stack, chunks=(1, *stack.shape[1:]), urlpath=path, mode="w", **how)
    blosc2.set_nthreads(1 if as_nnunet else before)
    kept = blosc2.open(path, mode="r", **({"dparams": {"nthreads": 1}} if as_nnunet else {}))
    try:
        return in_turns(copy(lambda row: kept[row]), copy(ours or cache.image), len(cache), 1000)
    finally:
        blosc2.set_nthreads(before)


def monai(cache: Cache, cases: Sequence[Case]) -> tuple[float, float]:
    """Peer: MONAI's `CacheDataset` of whole volumes in memory, a random slice of which is cropped and squeezed."""
    from monai.data import CacheDataset
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, RandSpatialCropd, SqueezeDimd

    steps = Compose([
        LoadImaged("image", dtype=np.int16), EnsureChannelFirstd("image"),
        RandSpatialCropd("image", roi_size=(1, -1, -1), random_size=False), SqueezeDimd("image", dim=1),
    ])  # fmt: skip
    volumes = CacheDataset([{"image": str(case.images[0][0])} for case in cases], steps, progress=False)
    return in_turns(lambda row: volumes[row // SLICES]["image"], copy(cache.image), len(cache), 100)


def naive(cache: Cache, cases: Sequence[Case], ours: Read | None = None) -> tuple[float, float]:
    """Peer: open the `.nii.gz` anew for every slice and ask nibabel for that slice alone."""
    slices = len(cache) // len(cases)
    for row in range(len(cache)):  # few reads follow, and a page that is mapped for the first time costs more
        cache.image(row).max()

    def read(row: int) -> Any:
        return np.asarray(nib.load(cases[row // slices].images[0][0]).dataobj[row % slices])

    return in_turns(read, copy(ours or cache.image), len(cache), 8)


def thick(folder: Path) -> tuple[float, float]:
    """The same peer on scans of 120 slices: a slice in a gzip stream costs all that lies before it."""
    (folder / "3d").mkdir()
    cases = scans(folder / "3d", count=4, slices=120)
    return naive(prepared(folder / "3d" / "cache", cases), cases)


def processes(folder: Path, cases: Sequence[Case], turns: int, rounds: int = 3) -> tuple[float, float, float]:
    """Preparing so many times the cases, resampled to 0.4 mm: one process on one core, two on two, one on two.

    The start of the second process is included. A single one has one core, or both: its threads take checksums and wait
    for the disk beside its work. It needs two idle cores, and begins each build with an idle disk: what an earlier one
    left to be written would count here. Where there is little work a build takes one process by itself.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    ways = {"one on one": (1, cores[:1]), "two on two": (2, cores), "one on two": (1, cores)}
    times: dict[str, list[float]] = {way: [] for way in ways}
    cases = [replace(case, name=f"{case.name}-{turn}") for turn in range(turns) for case in cases]
    for number in range(rounds):
        for way, (workers, allowed) in ways.items():
            os.sync()
            os.sched_setaffinity(0, allowed)
            begin = time.perf_counter()
            prepared(folder / f"{number}-{way}", cases, workers, spacing_mm=(0.4, 0.4))
            times[way].append(time.perf_counter() - begin)
            shutil.rmtree(folder / f"{number}-{way}")
    one, two, threads = (statistics.median(seconds) for seconds in times.values())
    return one, two, threads


def copy(read: Read) -> Read:
    """Read a slice and copy it into an array that is there already."""
    buffer = np.array(read(0))
    return lambda row: np.copyto(buffer, read(row))


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
        resampled = prepared(folder / "cache", cases, spacing_mm=(0.75, 0.75))
        measured = {
            "slice: memcpy": memcpy(cache),
            "slice, int16: blosc2, its defaults": blosc2(cache, folder, as_nnunet=False),
            "the same, memory for ours": blosc2(cache, folder, as_nnunet=False, ours=in_memory(cache)),
            "slice, float32: blosc2, as nnU-Net sets it": blosc2(resampled, folder, as_nnunet=True),
            "slice: MONAI CacheDataset": monai(cache, cases),
            "slice: nibabel, .nii.gz of 12 slices": naive(cache, cases),
            "slice: nibabel, .nii.gz of 120 slices": thick(folder),
        }
        one, two, threads = processes(folder, cases, turns=4)
        measured |= {"prepare: one process, one core": (one, two), "the same, two cores": (threads, two)}
    for what, (peer, ours) in measured.items():
        table.add_row(what, f"{peer:.2e}", f"{ours:.2e}", f"{peer / ours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
