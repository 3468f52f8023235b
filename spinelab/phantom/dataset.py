"""The project's embedded data set: phantom persons as NIfTI files with a table of the truth."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from spinelab.errors import DataError
from spinelab.phantom.acquisition import SEQUENCES, SITES, Site, acquire, slice_affine
from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.bids import image_path, mask_path, write_descriptions, write_json, write_nifti, write_table
from spinelab.phantom.lesions import LESION_KINDS, LesionKind
from spinelab.phantom.spine import LEVELS
from spinelab.phantom.tissues import Label
from spinelab.types import Plane

VERSION = 1
"""Raised whenever the same parameters give other files."""

PARAMETERS_FILE = "phantom.json"


@dataclass(frozen=True)
class Parameters:
    """What a data set was made with; `generate` explains the fields."""

    persons: int
    seed: int
    sequences: tuple[str, ...]
    plane: Plane
    thickness_mm: int
    version: int = VERSION


def generate(
    root: Path | str,
    persons: int = 24,
    seed: int = 0,
    sequences: Sequence[str] = ("T2",),
    plane: Plane = "sagittal",
    thickness_mm: int = 4,
    progress: bool = True,
    processes: int | None = None,
) -> Path:
    """Make a phantom data set; returns at once if it is already there.

    A person depends on `seed` and the person's number only, so ten persons are the first ten of twenty.
    With more than one process, a script that calls this needs the usual ``if __name__ == "__main__"``.

    Args:
        root: Folder of the data set; must not exist, be empty, or hold a phantom with the same parameters.
        persons: How many. Kinds of lesion and sites take turns.
        seed: Not negative.
        sequences: Out of "T1", "T2" and "STIR".
        plane: Of the slices; 1 mm in plane.
        thickness_mm: Of the slices.
        progress: Whether to show a progress bar.
        processes: How many to work with; one for each core if None. One stays in the calling process.

    Returns:
        The folder.

    Raises:
        ValueError: An argument is out of its range.
        DataError: The folder holds something else.
    """
    root, parameters = Path(root), Parameters(persons, seed, tuple(sequences), plane, thickness_mm)
    _check(parameters)
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


def lesion_and_site(number: int) -> tuple[LesionKind, Site]:
    """Kind of lesion and site of a person (numbered from 1): every pair occurs once in fifteen persons."""
    return LESION_KINDS[(number - 1) % len(LESION_KINDS)], SITES[(number - 1) % len(SITES)]


def person_anatomy(seed: int, number: int) -> Anatomy:
    """The anatomy of a person, numbered from 1."""
    return create_anatomy(_stream(seed, number, 0), lesion_and_site(number)[0])


def _check(parameters: Parameters) -> None:
    if parameters.persons < 1 or parameters.seed < 0:
        raise ValueError(f"persons must be positive and seed not negative: {parameters.persons}, {parameters.seed}")
    names = parameters.sequences
    if not names or len(set(names)) < len(names) or not set(names) <= set(SEQUENCES):
        raise ValueError(f"sequences are some of {', '.join(SEQUENCES)}, each once, not {names}")
    slice_affine(parameters.plane, parameters.thickness_mm)


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
    truth = sorted(rows, key=lambda row: row["participant_id"])
    write_table(folder / "truth.csv", truth)
    write_descriptions(folder, [{key: row[key] for key in ("participant_id", "site", "lesion")} for row in truth])
    write_json(folder / PARAMETERS_FILE, asdict(parameters))


def _persons(folder: Path, parameters: Parameters, processes: int) -> Iterator[dict[str, Any]]:
    """Write every person's files and yield the truth about each, in the order in which they are done."""
    make, numbers = partial(_make_person, folder, parameters), range(1, parameters.persons + 1)
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


def _stream(seed: int, number: int, stream: int) -> np.random.Generator:
    """Independent random numbers for each use that a person has for them."""
    return np.random.default_rng([seed, number, stream])


def _make_person(folder: Path, parameters: Parameters, number: int) -> dict[str, Any]:
    """Write a person's images and masks; returns the row of truth.csv."""
    name, (_, site) = f"sub-{number:03d}", lesion_and_site(number)
    anatomy = person_anatomy(parameters.seed, number)
    origin = _stream(parameters.seed, number, 1).uniform(-10, 10, 3).round(2)
    lesion_voxels, voxel_mm3 = 0, 0.0
    for key in parameters.sequences:
        rng = _stream(parameters.seed, number, 2 + list(SEQUENCES).index(key))
        scan = acquire(rng, anatomy, SEQUENCES[key], site, parameters.plane, parameters.thickness_mm)
        image, mask, affine = scan
        affine[:3, 3] += origin
        write_nifti(image_path(folder, name, SEQUENCES[key].suffix), image, affine)
        write_nifti(mask_path(folder, name, SEQUENCES[key].suffix), mask, affine)
        lesion_voxels, voxel_mm3 = int((mask >= Label.EXTRADURAL).sum()), float(abs(np.linalg.det(affine[:3, :3])))
    row = {"participant_id": name, "seed": parameters.seed, "site": site.name}
    return row | _truth(anatomy, origin) | {"lesion_volume_in_mask_mm3": lesion_voxels * voxel_mm3}


def _truth(anatomy: Anatomy, origin: NDArray[np.float64]) -> dict[str, Any]:
    """What the geometry knows for sure, in the scanner's frame."""
    known = anatomy.measurements
    x, y, z = (float(c + o) for c, o in zip(known.lesion_centre_mm, origin, strict=True))
    return {
        "lesion": known.lesion,
        "lesion_level": known.lesion_level,
        "lesion_volume_mm3": known.lesion_volume_mm3,
        "lesion_x_mm": x,
        "lesion_y_mm": y,
        "lesion_z_mm": z,
        "fractured_level": known.fractured_level,
        "fracture_ratio": known.fracture_ratio,
        "canal_width_mm": known.canal_width_mm,
        "canal_depth_mm": known.canal_depth_mm,
        "conus_z_mm": known.conus_z_mm + float(origin[2]),
        **{f"height_{level}_mm": h for level, h in zip(LEVELS, known.body_heights_mm, strict=True)},
        **{
            f"centre_{level}_z_mm": c[2] + float(origin[2])
            for level, c in zip(LEVELS, known.body_centres_mm, strict=True)
        },
        **{f"degeneration_below_{level}": g for level, g in zip(LEVELS[:-1], known.disc_degeneration, strict=True)},
    }
