"""One person of a data set: scanned on every visit, written to files, described in the truth table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.acquisition import acquire
from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.bids import Entities, image_path, mask_path, write_nifti
from spinelab.phantom.canvas import Point
from spinelab.phantom.measure import LevelTruth, Measurements
from spinelab.phantom.parameters import Parameters
from spinelab.phantom.sequences import SEQUENCES
from spinelab.phantom.tissues import Label
from spinelab.types import Plane

Row = dict[str, Any]
Affine = NDArray[np.float64]


def make_person(folder: Path, parameters: Parameters, number: int) -> list[Row]:
    """Write a person's images and masks.

    Args:
        folder: Of the data set.
        parameters: Of the data set.
        number: Of the person, from 1.

    Returns:
        The rows of truth.csv, one a visit.
    """
    return [_visit(folder, parameters, number, visit) for visit in range(1, parameters.visits + 1)]


def person_anatomy(parameters: Parameters, number: int, visit: int = 1) -> Anatomy:
    """The anatomy of a person, numbered from 1; only the lesion changes between visits."""
    lesion, _ = parameters.lesion_and_site(number)
    rng, growth = _stream(parameters.seed, number, 0), parameters.growth ** (visit - 1)
    return create_anatomy(rng, lesion, parameters.region, parameters.extent, parameters.rates, growth)


def _stream(seed: int, number: int, *use: int) -> np.random.Generator:
    """Independent random numbers for each use that a person has for them."""
    return np.random.default_rng([seed, number, *use])


def _visit(folder: Path, parameters: Parameters, number: int, visit: int) -> Row:
    person, (_, site) = f"sub-{number:03d}", parameters.lesion_and_site(number)
    session = f"ses-{visit:02d}" if parameters.visits > 1 else ""
    anatomy = person_anatomy(parameters, number, visit)
    place = _placement(_stream(parameters.seed, number, 1, visit), visit)
    in_mask: list[float] = []
    for plane in parameters.planes:
        for contrast in parameters.contrasts:
            rng = _stream(parameters.seed, number, 2, visit, *_numbers(plane, contrast))
            scan = parameters.scan(plane, site, visit)
            image, mask, affine = acquire(rng, anatomy, SEQUENCES[contrast], site, scan)
            acquisition = f"acq-{plane}" if len(parameters.planes) > 1 else ""
            entities = Entities(person, session, acquisition, contrast)
            write_nifti(image_path(folder, entities), image, place @ affine)
            write_nifti(mask_path(folder, entities), mask, place @ affine)
            in_mask.append(float((mask >= Label.EXTRADURAL).sum() * abs(np.linalg.det(affine[:3, :3]))))
    row = {"participant_id": person, "session": session, "seed": parameters.seed, "site": site.name}
    row |= {"group": anatomy.measurements.lesion.kind, "region": parameters.region}
    row |= {"lesion_growth": parameters.growth ** (visit - 1), "lesion_volume_in_mask_mm3": in_mask[0]}
    return row | _truth(anatomy.measurements, place)


def _numbers(plane: Plane, contrast: str) -> tuple[int, int]:
    return ("sagittal", "coronal", "axial").index(plane), list(SEQUENCES).index(contrast)


def _placement(rng: np.random.Generator, visit: int) -> Affine:
    """How the person lies in the scanner: shifted, and on later visits turned by up to 3 degrees about each axis."""
    place = np.eye(4)
    place[:3, 3] = rng.uniform(-10, 10, 3).round(2)
    for axis in range(3) if visit > 1 else ():
        angle, turn = math.radians(rng.uniform(-3, 3)), np.eye(4)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
        place = place @ turn
    return place


def _truth(known: Measurements, place: Affine) -> Row:
    """What the geometry knows for sure, in the scanner's frame."""
    lesion = known.lesion
    x, y, z = _moved(place, known.lesion_centre_mm)
    row: Row = {
        "lesion": lesion.kind,
        "lesion_form": lesion.form,
        "lesion_compartment": lesion.compartment,
        "lesion_level": known.lesion_level,
        "lesion_volume_mm3": known.lesion_volume_mm3,
        "lesion_x_mm": x,
        "lesion_y_mm": y,
        "lesion_z_mm": z,
        "fractured_level": known.fractured_level,
        "fracture_ratio": known.fracture_ratio,
        "cobb_deg": known.cobb_deg,
        "canal_width_mm": known.canal_width_mm,
        "canal_depth_mm": known.canal_depth_mm,
        "conus_z_mm": _moved(place, (0.0, 0.0, known.conus_z_mm))[2],
    }
    by_level = [_level_row(level, place) for level in known.levels]
    return row | {key: cells[key] for k in range(len(by_level[0])) for cells in by_level for key in [list(cells)[k]]}


def _level_row(level: LevelTruth, place: Affine) -> Row:
    name, (x, y, z) = level.level, _moved(place, level.centre_mm)
    return {
        f"height_{name}_mm": level.height_mm,
        f"height_anterior_{name}_mm": level.height_anterior_mm,
        f"height_middle_{name}_mm": level.height_middle_mm,
        f"height_posterior_{name}_mm": level.height_posterior_mm,
        f"wedge_{name}_deg": level.wedge_deg,
        f"tilt_{name}_deg": level.tilt_deg,
        f"roll_{name}_deg": level.roll_deg,
        f"centre_{name}_x_mm": x,
        f"centre_{name}_y_mm": y,
        f"centre_{name}_z_mm": z,
        f"canal_depth_{name}_mm": level.canal_depth_mm,
        f"cord_area_{name}_mm2": level.cord_area_mm2,
        f"fat_fraction_{name}": level.fat_fraction,
        f"disc_height_anterior_{name}_mm": level.disc_height_anterior_mm,
        f"disc_height_posterior_{name}_mm": level.disc_height_posterior_mm,
        f"degeneration_below_{name}": level.degeneration,
        f"modic_below_{name}": level.modic,
    }


def _moved(place: Affine, point: Point) -> Point:
    x, y, z = (place @ [*point, 1.0])[:3]
    return float(x), float(y), float(z)
