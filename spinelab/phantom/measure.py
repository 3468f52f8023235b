"""What is known for sure about a painted person.

Lengths and angles come from the drawn endplates, moved by the deformation that the field was painted with; what has no
simple shape (canal, cord, lesion) is counted on the 1 mm field. So nothing here depends on slices, noise or masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.canal import Sac
from spinelab.phantom.canvas import Canvas, Point, Points
from spinelab.phantom.lesions import Lesion
from spinelab.phantom.spine import Spine, Vertebra
from spinelab.phantom.tissues import LABEL_OF, Label, Tissue

NAN = float("nan")
AT_WALL = 0.75
"""Anterior and posterior heights are taken at this part of the half depth: inside of the rounded rims."""


@dataclass(frozen=True)
class LevelTruth:
    """One vertebra and the disc below it; NaN where the field cuts it off.

    Angles are in degrees, positions are from the origin of the field (right, front, up).

    Attributes:
        level: Name, such as L1.
        centre_mm: Of the body.
        height_mm: Mean over the middle half of the body.
        height_anterior_mm: Between the endplates at the anterior wall.
        height_middle_mm: In the middle.
        height_posterior_mm: At the posterior wall.
        wedge_deg: Angle between the endplates in the sagittal plane; positive if the front is higher.
        tilt_deg: Mean sagittal angle of the endplates; positive leans to the front.
        roll_deg: Mean coronal angle; positive leans to the right.
        upper_roll_deg: Coronal angle of the upper endplate alone.
        lower_roll_deg: Of the lower endplate alone.
        fat_fraction: Of its normal marrow.
        canal_depth_mm: Dural sac at mid height of the body, front to back, across it.
        cord_area_mm2: Cord with any tumour in it, across it, at mid height; 0 below its end.
        disc_height_anterior_mm: Of the disc below.
        disc_height_posterior_mm: Likewise.
        degeneration: Of the disc below, from 0 (white nucleus on T2) to 1 (black and flat).
        modic: Change of the marrow beside that disc: 0, 1 or 2.
    """

    level: str
    centre_mm: Point
    height_mm: float
    height_anterior_mm: float
    height_middle_mm: float
    height_posterior_mm: float
    wedge_deg: float
    tilt_deg: float
    roll_deg: float
    upper_roll_deg: float
    lower_roll_deg: float
    fat_fraction: float
    canal_depth_mm: float
    cord_area_mm2: float
    disc_height_anterior_mm: float
    disc_height_posterior_mm: float
    degeneration: float
    modic: float


@dataclass(frozen=True)
class Measurements:
    """A person.

    Attributes:
        lesion: Kind, form, nominal place and size.
        lesion_level: Vertebra at whose height its centre lies; "" without a lesion.
        lesion_volume_mm3: On the 1 mm field; 0 without a lesion.
        lesion_centre_mm: Centre of gravity; NaN without a lesion.
        fractured_level: "" if there is no fracture.
        fracture_ratio: What the fracture has left of the height of the anterior wall; NaN if there is none.
        cobb_deg: Largest coronal angle between an upper endplate and a lower one below it, of the bodies in the field.
        canal_width_mm: Of the dural sac, right to left.
        canal_depth_mm: Of the dural sac, front to back, where no disc narrows it.
        conus_z_mm: Height at which the cord begins to taper to its end; NaN where it goes on.
        levels: From the top.
    """

    lesion: Lesion
    lesion_level: str
    lesion_volume_mm3: float
    lesion_centre_mm: Point
    fractured_level: str
    fracture_ratio: float
    cobb_deg: float
    canal_width_mm: float
    canal_depth_mm: float
    conus_z_mm: float
    levels: tuple[LevelTruth, ...]


def measure(canvas: Canvas, sac: Sac, spine: Spine, lesion: Lesion) -> Measurements:
    """Measure a painted person."""
    levels = tuple(_level(canvas, sac, spine, k) for k in range(len(spine.vertebrae)))
    volume, centre = _measure_lesion(canvas)
    names, broken = spine.region.levels, spine.fractured
    nearest = int(np.argmin([abs(v.frame.centre[2] - centre[2]) for v in spine.vertebrae])) if volume else None
    return Measurements(
        lesion=lesion,
        lesion_level="" if nearest is None else names[nearest],
        lesion_volume_mm3=volume,
        lesion_centre_mm=centre,
        fractured_level="" if broken is None else names[broken],
        fracture_ratio=NAN if broken is None else spine.vertebrae[broken].kept,
        cobb_deg=cobb_angle(levels),
        canal_width_mm=2 * spine.canal.half_width,
        canal_depth_mm=2 * spine.canal.half_depth,
        conus_z_mm=spine.canal.conus if spine.region.conus else NAN,
        levels=levels,
    )


def cobb_angle(levels: tuple[LevelTruth, ...]) -> float:
    """Largest difference of coronal angle, in degrees, between an upper endplate and a lower one not above it."""
    seen = [(level.upper_roll_deg, level.lower_roll_deg) for level in levels if np.isfinite(level.upper_roll_deg)]
    differences = [abs(seen[i][0] - seen[j][1]) for i in range(len(seen)) for j in range(i, len(seen))]
    return max(differences, default=NAN)


def _level(canvas: Canvas, sac: Sac, spine: Spine, k: int) -> LevelTruth:
    body = spine.vertebrae[k]
    top, bottom = endplate_points(canvas, body, 1), endplate_points(canvas, body, -1)
    if (canvas.level[:, :, [0, -1]] == k + 1).any():
        top, bottom = np.full_like(top, np.nan), np.full_like(bottom, np.nan)
    heights = np.linalg.norm(top - bottom, axis=1).reshape(_GRID.shape[:2])
    if not np.isfinite(heights).all():
        heights[:] = np.nan
    (tilt_up, roll_up), (tilt_down, roll_down) = _angles(top), _angles(bottom)
    canal_depth, cord_area = _across(sac, body.frame.centre[2], body.frame.tilt)
    disc = spine.discs[k] if k < len(spine.discs) else None
    gaps = np.full(2, NAN)
    if disc is not None:
        below = (*spine.vertebrae, *spine.sacrum)[k + 1]
        gap = np.linalg.norm(bottom - endplate_points(canvas, below, 1), axis=1).reshape(_GRID.shape[:2])
        gaps = gap[_CENTRAL][:, [0, -1]].mean(0)
    x, y, z = canvas.undeformed(np.array([body.frame.centre]))[0] if np.isfinite(heights).all() else body.frame.centre
    return LevelTruth(
        level=spine.region.levels[k],
        centre_mm=(float(x), float(y), float(z)),
        height_mm=float(heights[1:-1, 1:-1].mean()),
        height_anterior_mm=float(heights[_CENTRAL, 0].mean()),
        height_middle_mm=float(heights[_CENTRAL, len(_ALONG) // 2].mean()),
        height_posterior_mm=float(heights[_CENTRAL, -1].mean()),
        wedge_deg=tilt_down - tilt_up,
        tilt_deg=(tilt_up + tilt_down) / 2,
        roll_deg=(roll_up + roll_down) / 2,
        upper_roll_deg=roll_up,
        lower_roll_deg=roll_down,
        fat_fraction=body.fat_fraction,
        canal_depth_mm=canal_depth,
        cord_area_mm2=cord_area,
        disc_height_anterior_mm=float(gaps[0]),
        disc_height_posterior_mm=float(gaps[1]),
        degeneration=disc.degeneration if disc else NAN,
        modic=float(disc.modic) if disc else NAN,
    )


_ASIDE = np.linspace(-0.5, 0.5, 7)
_ALONG = np.array([-AT_WALL, -0.5, -0.25, 0, 0.25, 0.5, AT_WALL])
_GRID = np.stack(np.meshgrid(_ASIDE, _ALONG, indexing="ij"), -1)
_CENTRAL = slice(2, 5)


def endplate_points(canvas: Canvas, body: Vertebra, side: int) -> Points:
    """Points on a body's upper (`side` 1) or lower (-1) endplate, (49, 3) in mm: 7 across by 7 from front to back.

    NaN outside of the field.
    """
    right, behind = (_GRID.reshape(-1, 2) * (body.half_width, body.half_depth)).T.astype(np.float32)
    top, bottom = body.endplates(right, behind)
    local = np.stack([right, behind, top if side > 0 else -bottom], 1).astype(np.float64)
    return canvas.undeformed(body.frame.place_all(local))


def _angles(points: Points) -> tuple[float, float]:
    """Sagittal and coronal angle in degrees of the plane through points; NaN if one lies outside of the field."""
    if not np.isfinite(points).all():
        return NAN, NAN
    x, y, z = (points - points.mean(0)).T
    slope, *_ = np.linalg.lstsq(np.stack([x, y], 1), z, rcond=None)
    roll, tilt = np.degrees(np.arctan(-slope))
    return float(tilt), float(roll)


def _across(sac: Sac, z: float, tilt: float) -> tuple[float, float]:
    """Depth of the sac in its middle 3 mm and area of the cord, over 5 mm of height, both across the canal."""
    rows = np.abs(sac.part.rows[0, 0] - z) < 2.6
    if rows.sum() < 5:
        return NAN, NAN
    label, across = LABEL_OF[sac.part.tissue[:, :, rows]], float(np.cos(tilt))
    middle = ((np.abs(sac.right[:, :, rows]) < 1.5) & (np.abs(sac.behind[:, :, rows]) < 1)).any(1)
    depth = np.isin(label, _IN_SAC).sum(1)[middle].mean() * across
    area = np.isin(label, [Label.CORD, Label.INTRAMEDULLARY]).sum() / rows.sum() * across
    return float(depth), float(area)


_IN_SAC: NDArray[np.uint8] = np.array(
    [Label.CANAL, Label.CORD, Label.INTRAMEDULLARY, Label.INTRADURAL_EXTRAMEDULLARY], np.uint8
)


def _measure_lesion(canvas: Canvas) -> tuple[float, Point]:
    first = int(min(t for t in Tissue if LABEL_OF[t] >= Label.EXTRADURAL))  # all tissues of lesions come last
    where = np.nonzero(canvas.tissue >= first)
    if not len(where[0]):
        return 0.0, (NAN, NAN, NAN)
    x, y, z = (float(i.mean() + start) for i, start in zip(where, canvas.first, strict=True))
    return float(len(where[0])), (x, y, z)
