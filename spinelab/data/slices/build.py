"""Builds a cache: once, in a temporary folder, by one process at a time."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

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
    Damaged,
    file_facts,
    seal,
    volumes_json,
)
from spinelab.data.slices.digests import NAME as DIGESTS
from spinelab.data.slices.digests import Digests, digest
from spinelab.data.slices.filling import Filling
from spinelab.data.slices.parts import Part
from spinelab.data.slices.plan import Plan
from spinelab.data.slices.storage import check_space, sync, told_when_full
from spinelab.data.slices.workers import prepare_parts
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap


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
    file, label map or preprocessing gives another folder. A cache that is there is opened without a lock, so `root`
    may then be read-only. A damaged one is replaced when the new one is finished. Of two processes that want the same
    cache, one builds and the other waits. What a killed process left behind is cleared by the next that builds.

    Args:
        cases: Cases with masks; their order is the order of the cache's volumes.
        labels: Classes of the masks.
        preprocessing: What is done to every volume.
        root: Folder of all caches; made if missing.
        workers: Processes that read cases, fewer if memory would not do or there is little work. More than one needs
            a main module that can be imported.
        progress: Say what it will take, and show a progress bar.

    Raises:
        DataError: Some cases cannot be used (all of them are listed, each with its reason), memory or disk do not do,
            or a file changed while it was read.
    """
    if not cases:
        raise DataError("the data set has no cases", "check data.root and the data set's layout")
    _require_importable_main()
    digests = Digests(root)
    key = cache_key(cases, labels, preprocessing, digests.of)
    if (cache := _whole(root / key, digests)) is None:
        plan = Plan.of(cases, preprocessing, workers)
        with told_when_full(root, plan.disk):
            root.mkdir(parents=True, exist_ok=True)
            with _lock(root, key, progress):
                if (cache := _whole(root / key, digests)) is None:  # another process may just have made it
                    _build(cases, labels, preprocessing, root / key, plan, digests, progress)
                    cache = Cache.open(root / key)
    digests.save()
    return cache


def cache_key(
    cases: Sequence[Case],
    labels: LabelMap,
    preprocessing: Preprocessing,
    checksum: Callable[[Path], str] = digest,
) -> str:
    """First 16 hexadecimal digits of a hash over all that the cached pixels depend on.

    Scored regions are left out: they unite classes after the fact and change no pixel.

    Args:
        cases: The cases.
        labels: Their classes.
        preprocessing: What is done to them.
        checksum: Checksum of a file, called from several threads.

    Raises:
        DataError: Files cannot be read; all of them are listed.
    """

    def describe(case: Case) -> list[Any] | str:
        try:
            images = [[checksum(path) for path in files] for files in case.images]
            masks = [[[checksum(path) for path in mask.files], sorted(mask.labels.items())] for mask in case.masks]
        except OSError as error:
            return str(DataError(f"cannot be read ({error.strerror})", "restore the file", error.filename))
        return [case.name, case.person, case.site, case.group, images, masks]

    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter free
        content = _all_or_error(cases, list(pool.map(describe, cases)))
    facts = [FORMAT, list(labels.classes), asdict(preprocessing), content]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _require_importable_main() -> None:
    """A worker that runs the caller's script anew would wait here for its own parent, for ever."""
    if getattr(current_process(), "_inheriting", False):
        raise RuntimeError("a script that builds a cache needs `if __name__ == '__main__':` around what it runs")


def _whole(folder: Path, digests: Digests) -> Cache | None:
    """The cache, all of its checksums compared; None if it must be built."""
    try:
        return Cache.open(folder, verify=True, checksum=digests.of)
    except Damaged:
        return None


def _lock(root: Path, key: str, progress: bool) -> FileLock:
    lock = FileLock(root / f"{key}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if progress:
            print(f"another process is preparing this data set; waiting for it ({lock.lock_file})")
        lock.acquire()
    return lock


def _build(
    cases: Sequence[Case],
    labels: LabelMap,
    preprocessing: Preprocessing,
    folder: Path,
    plan: Plan,
    digests: Digests,
    progress: bool,
) -> None:
    root, key = folder.parent, folder.name
    _clear(root, key)
    if plan.exact:
        check_space(root, plan.disk)
    if progress:
        print(plan)
    with tempfile.TemporaryDirectory(prefix=f"{key}.", dir=root, ignore_cleanup_errors=True) as temporary:
        done = Path(temporary) / "done"
        done.mkdir()
        filling = _fill(done, cases, prepare_parts(cases, labels, preprocessing, Path(temporary), plan, progress))
        if cache_key(cases, labels, preprocessing, digests.of) != key:
            raise DataError("files of the data set changed while they were read", "run again when they are complete")
        _finish(done, filling, labels, key)
        if folder.exists():  # damaged: kept until now, deleted with the temporary folder
            folder.rename(Path(temporary) / "damaged")
        done.rename(folder)
        sync(root)


def _clear(root: Path, key: str) -> None:
    """Delete what killed processes left: temporary folders whose lock nobody holds."""
    for left in root.glob("?*.*/"):
        if (owner := left.name.split(".")[0]) == key:
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(Timeout), FileLock(root / f"{owner}.lock", timeout=0):
                shutil.rmtree(left, ignore_errors=True)
    for unfinished in root.glob(f".{DIGESTS}.*"):
        unfinished.unlink(missing_ok=True)


def _all_or_error(cases: Sequence[Case], results: Sequence[Any]) -> list[Any]:
    reasons = [f"{case.name}: {result}" for case, result in zip(cases, results, strict=True) if isinstance(result, str)]
    if reasons:
        raise DataError(
            "\n".join([f"{len(reasons)} of {len(cases)} cases cannot be used:", *reasons]),
            "repair each as told above, or leave it out of the data set",
        )
    return list(results)


def _same_channels(parts: Sequence[Part]) -> None:
    counts = {part.info.name: part.shape[-1] for part in parts}
    if len(set(counts.values())) > 1:
        raise DataError(
            f"the cases differ in their number of channels: {counts}", "use cases that have the same contrasts"
        )


def _fill(folder: Path, cases: Sequence[Case], results: Iterator[tuple[int, Part | str]]) -> Filling:
    """Write the pixel files while the parts come in; after the first bad case the others are only checked."""
    filling, known = Filling(folder / IMAGES, folder / MASKS), dict[int, Part | str]()
    try:
        for position, result in results:
            known[position] = result
            if not any(isinstance(part, str) for part in known.values()):
                filling.take(position, result)  # type: ignore[arg-type]
        _same_channels(_all_or_error(cases, [known[position] for position in range(len(cases))]))
    except BaseException:
        filling.abandon()
        raise
    return filling


def _finish(folder: Path, filling: Filling, labels: LabelMap, key: str) -> None:
    """Write what describes the pixels, and wait until the disk has all."""
    table, channels = _table(filling.parts), filling.parts[0].shape[-1]
    pq.write_table(pa.table(table), folder / SLICES)
    (folder / VOLUMES).write_text(volumes_json(part.info for part in filling.parts))
    files = filling.close() | file_facts(folder / name for name in (SLICES, VOLUMES))
    meta = {"key": key, "format": FORMAT, "spinelab": __version__, "numpy": np.__version__, "files": files}
    meta |= {"dtype": filling.dtype.name, "channels": channels, "classes": list(labels.classes)}
    (folder / META).write_text(seal(meta | {"slices": len(table["volume"])}))
    for path in (*folder.iterdir(), folder):
        sync(path)


def _table(parts: Sequence[Part]) -> dict[str, np.ndarray[Any, Any]]:
    rows = [(position, index, *part.shape[1:3]) for position, part in enumerate(parts) for index in part.usable]
    volume, index, height, width = np.array(rows, dtype=np.int64).T
    offset = np.concatenate([[0], np.cumsum(height * width)[:-1]])
    pixels = np.concatenate([part.pixels for part in parts]).astype(np.int64)
    table = dict(zip(COLUMNS, (volume, index, offset, height, width), strict=True))
    return table | {f"pixels_{label}": column for label, column in enumerate(pixels.T)}
