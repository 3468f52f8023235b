"""The project's embedded data set: phantom persons as NIfTI files with a table of the truth."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import track

from spinelab.errors import DataError
from spinelab.phantom.bids import write_descriptions, write_json, write_table
from spinelab.phantom.lesions import LESION_KINDS, LesionKind
from spinelab.phantom.parameters import Parameters
from spinelab.phantom.persons import make_person
from spinelab.phantom.regions import Extent, RegionName
from spinelab.types import Plane

VERSION = 2
"""Raised whenever the same parameters give other files."""

PARAMETERS_FILE = "phantom.json"


def generate(
    root: Path | str,
    persons: int = 24,
    seed: int = 0,
    contrasts: Sequence[str] = ("T2w",),
    planes: Sequence[Plane] = ("sagittal",),
    thickness_mm: int = 4,
    in_plane_mm: float | None = 1.0,
    region: RegionName = "lumbar",
    extent: Extent = "narrow",
    lesions: Sequence[LesionKind] = LESION_KINDS,
    fractures: float = 0.25,
    scoliosis: float = 0.2,
    visits: int = 1,
    growth: float = 1.5,
    progress: bool = True,
    processes: int | None = None,
) -> Path:
    """Make a phantom data set; returns at once if it is already there.

    A person depends on `seed`, the person's number and what is asked of the anatomy only, so ten persons are the first
    ten of twenty, and further contrasts or visits leave the other files as they were.
    With more than one process, a script that calls this needs the usual ``if __name__ == "__main__"``.

    Args:
        root: Folder of the data set; must not exist, be empty, or hold a phantom with the same parameters.
        persons: How many. Kinds of lesion and sites take turns.
        seed: Not negative.
        contrasts: Keys of `SEQUENCES`, such as "T1w"; the suffixes of the files.
        planes: Of the slices; with more than one, names of files carry ``acq-<plane>``.
        thickness_mm: Of the slices.
        in_plane_mm: Voxel size in plane, 1 or more; None for each site's own.
        region: "cervical", "thoracic" or "lumbar".
        extent: "narrow" around the spine, or "wide" to the skin, in the lumbar region with the sacrum.
        lesions: Kinds that take turns; "none" is one of them.
        fractures: How often a body is fractured, 0 to 1.
        scoliosis: How often the spine is bent sideways, 0 to 1.
        visits: Time points. Later ones have new noise, slices that begin elsewhere, and another place in the scanner.
        growth: Factor on a lesion's volume from one visit to the next, before its surroundings cut it off.
        progress: Whether to show a progress bar.
        processes: How many to work with; one for each core if None. With 1, the calling process does the work itself.

    Returns:
        The folder.

    Raises:
        ValueError: An argument is out of its range.
        DataError: The folder holds something else.
    """
    asked = (tuple(contrasts), tuple(planes), thickness_mm, in_plane_mm, region, extent, tuple(lesions))
    parameters = Parameters(persons, seed, *asked, fractures, scoliosis, visits, growth, VERSION)
    root = Path(root)
    if _is_there(root, parameters):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        _build(building, parameters, progress, processes or os.cpu_count() or 1)
        _publish(building, root, parameters)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def _is_there(root: Path, parameters: Parameters) -> bool:
    """Whether the folder holds this very data set; raises `DataError` if it holds anything else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    wanted = json.loads(json.dumps(asdict(parameters)))
    try:
        found = json.loads((root / PARAMETERS_FILE).read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise DataError("exists and is not a phantom data set", "give another folder, or remove this one", root)
    if found != wanted:
        differs = [
            f"{key} {found.get(key)} instead of {value}" for key, value in wanted.items() if found.get(key) != value
        ]
        raise DataError(
            f"holds a phantom made with other parameters: {', '.join(differs)}",
            "give another folder, remove this one, or ask for the same parameters",
            root,
        )
    return True


def _build(folder: Path, parameters: Parameters, progress: bool, processes: int) -> None:
    rows = track(
        _persons(folder, parameters, min(processes, parameters.persons)),
        description="Making phantom persons",
        total=parameters.persons,
        disable=not progress,
    )
    truth = sorted((row for person in rows for row in person), key=lambda row: (row["participant_id"], row["session"]))
    write_table(folder / "truth.csv", truth)
    columns = ("participant_id", "site", "group", "region")
    participants = {row["participant_id"]: {key: row[key] for key in columns} for row in truth}
    write_descriptions(folder, participants.values())
    write_json(folder / PARAMETERS_FILE, asdict(parameters))


def _persons(folder: Path, parameters: Parameters, processes: int) -> Iterator[list[dict[str, Any]]]:
    """Write every person's files and yield the truth about each, in the order in which they are done."""
    make, numbers = partial(make_person, folder, parameters), range(1, parameters.persons + 1)
    if processes == 1:
        yield from map(make, numbers)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        for done in as_completed([pool.submit(make, number) for number in numbers]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _publish(building: Path, root: Path, parameters: Parameters) -> None:
    """Give the finished folder its name; if another process was faster with the same data set, keep the other's."""
    building.chmod(0o755)
    try:
        building.replace(root)
    except OSError:
        if not _is_there(root, parameters):
            raise
