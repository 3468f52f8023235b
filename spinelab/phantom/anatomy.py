"""One person, from the skin of the back to the cord: tissue map, label map and what the geometry knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.canal import canal_window, paint_canal
from spinelab.phantom.canvas import FIELD_MM, Canvas, Indices, Point, blank, ellipsoid, voxel_centres
from spinelab.phantom.lesions import LesionKind, draw_lesion, paint_lesion
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.spine import LEVELS, Spine, Vertebra, draw_spine
from spinelab.phantom.tissues import LABEL_OF, Label, Tissue
from spinelab.phantom.vertebrae import paint_vertebrae


@dataclass(frozen=True)
class Measurements:
    """What is known for sure about a person; positions in mm from the middle of the field (right, front, up).

    Attributes:
        lesion: Kind of lesion.
        lesion_level: Vertebra at whose height its centre lies; "" without a lesion.
        lesion_volume_mm3: On the 1 mm field; 0 without a lesion.
        lesion_centre_mm: Centre of gravity; NaN without a lesion.
        fractured_level: "" if there is no fracture.
        fracture_ratio: Height of its anterior over its posterior wall; NaN if there is no fracture.
        body_centres_mm: Centre of each vertebral body of `LEVELS`, also of those outside of the field.
        body_heights_mm: Mean height of each body's middle half along its own axis; NaN if the field cuts it off.
        disc_degeneration: Per disc from 0 (white nucleus on T2) to 1 (black and flat).
        canal_width_mm: Of the dural sac, right to left.
        canal_depth_mm: Of the dural sac, front to back, where no disc narrows it.
        conus_z_mm: Height at which the cord begins to taper to its end.
    """

    lesion: LesionKind
    lesion_level: str
    lesion_volume_mm3: float
    lesion_centre_mm: Point
    fractured_level: str
    fracture_ratio: float
    body_centres_mm: tuple[Point, ...]
    body_heights_mm: tuple[float, ...]
    disc_degeneration: tuple[float, ...]
    canal_width_mm: float
    canal_depth_mm: float
    conus_z_mm: float


@dataclass(frozen=True)
class Anatomy:
    """A person on a 1 mm grid: x to the right, y to the front, z up. All volumes have shape `FIELD_MM`.

    Attributes:
        tissue: Values of `Tissue`.
        level: Number of the vertebral body, from 1 at the top; 0 elsewhere.
        disc: Number of the disc, from 1 at the top; 0 elsewhere.
        texture: Factor on the signal, about 1.
        relaxation: (tissues, 2) factors on T1 and T2: this person's deviation from the table.
        measurements: What is known for sure.
    """

    tissue: Indices
    level: Indices
    disc: Indices
    texture: Volume
    relaxation: NDArray[np.float64]
    measurements: Measurements

    @property
    def label(self) -> Indices:
        """Values of `Label`."""
        return LABEL_OF[self.tissue]


def create_anatomy(rng: np.random.Generator, lesion: LesionKind = "none") -> Anatomy:
    """Draw and paint one person.

    Args:
        rng: The person's own; the spine is the same whatever the lesion.
        lesion: One of `LESION_KINDS`.

    Raises:
        ValueError: The kind of lesion is unknown.
    """
    shape_rng, paint_rng, lesion_rng, texture_rng = rng.spawn(4)
    spine = draw_spine(shape_rng)
    plan = draw_lesion(lesion_rng, lesion, spine)
    canvas = blank(shape_rng)
    _paint_soft_tissue(canvas, spine, paint_rng)
    paint_vertebrae(canvas, spine, paint_rng)
    paint_canal(canvas, spine, plan, paint_rng)
    paint_lesion(canvas, canal_window(canvas, spine), spine, plan, lesion_rng)
    return Anatomy(
        tissue=canvas.tissue,
        level=canvas.level,
        disc=canvas.disc,
        texture=1 + smooth_field(texture_rng, FIELD_MM, 0.05, 4) + smooth_field(texture_rng, FIELD_MM, 0.05, 10),
        relaxation=texture_rng.uniform(0.9, 1.1, (len(Tissue), 2)),
        measurements=_measure(canvas, spine, lesion),
    )


def _paint_soft_tissue(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Muscles with fatty streaks, bowel, the two large vessels, and air behind the skin of the back."""
    middle = spine.curve.y(canvas.z)
    right, front = canvas.x - spine.curve.x(canvas.z), canvas.y - middle
    aside, behind = np.abs(right), -front
    muscle = ellipsoid((aside - 17, 15), (behind - spine.canal.behind - 17, 17)) < 1
    muscle |= ellipsoid((aside - 32, 12), (behind - 2, 17)) < 1  # psoas
    streaks = smooth_field(rng, FIELD_MM, 1.0, 3) > rng.uniform(0.9, 1.8)
    canvas.tissue[muscle] = Tissue.MUSCLE
    canvas.tissue[muscle & streaks] = Tissue.FATTY_MUSCLE
    canvas.tissue[front > spine.half_depth + 9] = Tissue.BOWEL
    ahead = front - spine.half_depth - 8
    vessels = (ellipsoid((right + 6, 7), (ahead, 6)) < 1) | (ellipsoid((right - 9, 8), (ahead, 5.5)) < 1)
    canvas.tissue[vessels] = Tissue.VESSEL
    canvas.tissue[canvas.y < -0.4 * FIELD_MM[1] - 4 * (canvas.x / (FIELD_MM[0] / 2)) ** 2] = Tissue.AIR


def _measure(canvas: Canvas, spine: Spine, lesion: LesionKind) -> Measurements:
    volume, centre = _measure_lesion(canvas)
    nearest = int(np.argmin([abs(v.frame.centre[2] - centre[2]) for v in spine.vertebrae])) if volume else None
    return Measurements(
        lesion=lesion,
        lesion_level="" if nearest is None else LEVELS[nearest],
        lesion_volume_mm3=volume,
        lesion_centre_mm=centre,
        fractured_level="" if spine.fractured is None else LEVELS[spine.fractured],
        fracture_ratio=float("nan") if spine.fractured is None else spine.vertebrae[spine.fractured].anterior_ratio,
        body_centres_mm=tuple(v.frame.centre for v in spine.vertebrae),
        body_heights_mm=tuple(_body_height(canvas, spine, v, k) for k, v in enumerate(spine.vertebrae, 1)),
        disc_degeneration=tuple(disc.degeneration for disc in spine.discs),
        canal_width_mm=2 * spine.canal.half_width,
        canal_depth_mm=2 * spine.canal.half_depth,
        conus_z_mm=spine.canal.conus,
    )


def _measure_lesion(canvas: Canvas) -> tuple[float, Point]:
    where = np.nonzero(LABEL_OF[canvas.tissue] >= Label.EXTRADURAL)
    if not len(where[0]):
        return 0.0, (float("nan"),) * 3
    x, y, z = (float(i.mean() - (n - 1) / 2) for i, n in zip(where, FIELD_MM, strict=True))
    return float(len(where[0])), (x, y, z)


def _body_height(canvas: Canvas, spine: Spine, vertebra: Vertebra, number: int) -> float:
    """Volume of the column through the middle half of the body, over its cross-section."""
    body = canvas.level == number
    if not body.any() or body[:, :, [0, -1]].any():
        return float("nan")
    right, behind, _ = vertebra.frame.local(*voxel_centres())
    column = (np.abs(right) < vertebra.half_width / 2) & (np.abs(behind) < spine.half_depth / 2)
    return float((body & column).sum()) / (vertebra.half_width * spine.half_depth)
