"""Builds a cache: once, in a temporary folder, by one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from rich.progress import track

from spinelab import __version__
from spinelab.data.slices.cache import (
    COLUMNS,
    FORMAT,
    IMAGES,
    MASKS,
    META,
    SLICES,
    VOLUMES,
    Cache,
    digest,
    file_facts,
    volumes_json,
)
from spinelab.data.slices.parts import Part, prepare_part, storage_type
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap

FEW = 4
"""Up to this many cases, starting processes takes longer than reading."""


def build(
    cases: Sequence[Case],
    labels: LabelMap,
    preprocessing: Preprocessing,
    root: Path,
    *,
    workers: int = 1,
    progress: bool = True,
) -> Cache:
    """Open the cache of these cases, preparing them first if that was not done yet.

    A cache is found again by content: it does not matter where the files lie or what they are called, and a changed
    file, label map or preprocessing gives another folder. A damaged cache is built anew. Of two processes that want
    the same cache, one builds and the other waits.

    Args:
        cases: Cases with masks; their order is the order of the cache's volumes.
        labels: Classes of the masks.
        preprocessing: What is done to every volume.
        root: Folder of all caches; made if missing.
        workers: Processes that read cases. More than one needs a main module that can be imported.
        progress: Show a progress bar.

    Raises:
        DataError: Some cases cannot be used; all of them are listed, each with its reason.
    """
    if not cases:
        raise DataError("the data set has no cases", "check data.root and the data set's layout")
    key = cache_key(cases, labels, preprocessing)
    folder = root / key
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{key}.lock"):
        if folder.exists():
            try:
                return Cache.open(folder, verify=True)
            except DataError:
                shutil.rmtree(folder)
        for killed in root.glob(f"{key}.*/"):  # what a killed process could not clear
            shutil.rmtree(killed)
        with tempfile.TemporaryDirectory(prefix=f"{key}.", dir=root) as temporary:
            done = Path(temporary) / "done"
            _fill(done, _prepare_all(cases, labels, preprocessing, Path(temporary), workers, progress), key)
            done.rename(folder)
            _sync(root)
    return Cache.open(folder)


def cache_key(cases: Sequence[Case], labels: LabelMap, preprocessing: Preprocessing) -> str:
    """First 16 hexadecimal digits of a hash over all that the cached pixels depend on.

    Scored regions are left out: they unite classes after the fact and change no pixel.

    Raises:
        DataError: Files cannot be read; all of them are listed.
    """
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter free
        content = _all_or_error(cases, list(pool.map(_describe, cases)))
    facts = [FORMAT, list(labels.classes), asdict(preprocessing), content]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _describe(case: Case) -> list[Any] | str:
    try:
        images = [[digest(path) for path in files] for files in case.images]
        masks = [[[digest(path) for path in mask.files], sorted(mask.labels.items())] for mask in case.masks]
    except OSError as error:
        return str(DataError(f"cannot be read ({error.strerror})", "restore the file", error.filename))
    return [case.name, case.person, case.site, images, masks]


def _prepare_all(
    cases: Sequence[Case], labels: LabelMap, preprocessing: Preprocessing, folder: Path, workers: int, progress: bool
) -> list[Part]:
    prepare = partial(prepare_part, labels=labels, preprocessing=preprocessing, folder=folder)
    positions = range(len(cases))
    if workers > 1 and len(cases) > FEW:
        # Not forked: the parent may already run threads of PyTorch or OpenCV, whose locks a fork would freeze.
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            results = _collect(pool.map(prepare, cases, positions), len(cases), progress)
    else:
        results = _collect(map(prepare, cases, positions), len(cases), progress)
    parts = _all_or_error(cases, results)
    _same_channels(parts)
    return parts


def _collect(results: Iterator[Part | str], total: int, progress: bool) -> list[Part | str]:
    return list(track(results, "preparing cases", total=total, disable=not progress, transient=True))


def _all_or_error(cases: Sequence[Case], results: Sequence[Any]) -> list[Any]:
    reasons = [f"{case.name}: {result}" for case, result in zip(cases, results, strict=True) if isinstance(result, str)]
    if reasons:
        raise DataError(
            "\n".join([f"{len(reasons)} of {len(cases)} cases cannot be used:", *reasons]),
            "repair each as told above, or leave it out of the data set",
        )
    return list(results)


def _same_channels(parts: Sequence[Part]) -> None:
    counts = {part.info.name: len(part.info.intensity) for part in parts}
    if len(set(counts.values())) > 1:
        raise DataError(
            f"the cases differ in their number of channels: {counts}", "use cases that have the same contrasts"
        )


def _fill(folder: Path, parts: Sequence[Part], key: str) -> None:
    folder.mkdir()
    channels, dtype = len(parts[0].info.intensity), storage_type(parts)
    table = _table(parts)
    pixels = int(sum(table["height"] * table["width"]))
    _join(folder / IMAGES, (part.image() for part in parts), dtype, pixels * channels)
    _join(folder / MASKS, (part.mask() for part in parts), np.dtype(np.uint8), pixels)
    pq.write_table(pa.table(table), folder / SLICES)
    (folder / VOLUMES).write_text(volumes_json(part.info for part in parts))
    files = file_facts(folder / name for name in (IMAGES, MASKS, SLICES, VOLUMES))
    meta = {"key": key, "format": FORMAT, "spinelab": __version__, "numpy": np.__version__}
    meta |= {"dtype": dtype.name, "channels": channels, "slices": len(table["volume"]), "files": files}
    (folder / META).write_text(json.dumps(meta, indent=1))
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _table(parts: Sequence[Part]) -> dict[str, np.ndarray[Any, Any]]:
    rows = [(position, index, *part.image().shape[1:3]) for position, part in enumerate(parts) for index in part.usable]
    volume, index, height, width = np.array(rows, dtype=np.int64).T
    offset = np.concatenate([[0], np.cumsum(height * width)[:-1]])
    return dict(zip(COLUMNS, (volume, index, offset, height, width), strict=True))


def _join(path: Path, arrays: Iterator[np.ndarray[Any, Any]], dtype: np.dtype[Any], length: int) -> None:
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))
    start = 0
    for array in arrays:
        out[start : start + array.size] = array.reshape(-1)
        start += array.size
    out.flush()


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
