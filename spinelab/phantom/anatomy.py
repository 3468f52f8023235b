"""One person, from the skin of the back to the cord: tissue map, label map and what the geometry knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.canal import canal_window, paint_canal
from spinelab.phantom.canvas import Field, Indices, blank
from spinelab.phantom.growth import paint_lesion
from spinelab.phantom.lesions import LesionKind, draw_lesion
from spinelab.phantom.measure import Measurements, measure
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.regions import EXTENTS, REGIONS, Extent, RegionName
from spinelab.phantom.spine import USUAL, Rates, draw_spine
from spinelab.phantom.surroundings import paint_surroundings
from spinelab.phantom.tissues import GRAIN, LABEL_OF, Tissue
from spinelab.phantom.vertebrae import paint_vertebrae


@dataclass(frozen=True)
class Anatomy:
    """A person on a 1 mm grid: x to the right, y to the front, z up. All volumes have the field's shape.

    Attributes:
        field: Where the grid lies.
        tissue: Values of `Tissue`.
        level: Number of the vertebral body, from 1 at the top; segments of the sacrum follow; 0 elsewhere.
        disc: Number of the disc, from 1 at the top; 0 elsewhere.
        texture: Factor on the signal, about 1.
        relaxation: (tissues, 2) factors on T1 and T2: this person's deviation from the table.
        measurements: What is known for sure.
    """

    field: Field
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


def create_anatomy(
    rng: np.random.Generator,
    lesion: LesionKind = "none",
    region: RegionName = "lumbar",
    extent: Extent = "narrow",
    rates: Rates = USUAL,
    growth: float = 1.0,
) -> Anatomy:
    """Draw and paint one person.

    Args:
        rng: The person's own; the spine is the same whatever the lesion.
        lesion: One of `LESION_KINDS`.
        region: Part of the spine.
        extent: Of the field: narrow around the spine, or wide to the skin.
        rates: How often there is a fracture or a scoliosis.
        growth: Factor on the lesion's volume, before its surroundings cut it off.

    Raises:
        ValueError: The kind of lesion, the region or the extent is unknown.
    """
    if region not in REGIONS or extent not in EXTENTS:
        raise ValueError(
            f"region is one of {', '.join(REGIONS)} and extent of {', '.join(EXTENTS)}: {region}, {extent}"
        )
    shape_rng, paint_rng, lesion_rng, texture_rng = rng.spawn(4)
    spine = draw_spine(shape_rng, REGIONS[region], rates)
    plan = draw_lesion(lesion_rng, lesion, spine).grown(growth)
    field = REGIONS[region].fields[extent]
    canvas = blank(shape_rng, field)
    paint_surroundings(canvas, spine, paint_rng)
    paint_vertebrae(canvas, spine, paint_rng)
    sac = canal_window(canvas, spine)
    paint_canal(sac, spine, plan, paint_rng)
    paint_lesion(canvas, sac, spine, plan, lesion_rng)
    return Anatomy(
        field=field,
        tissue=canvas.tissue,
        level=canvas.level,
        disc=canvas.disc,
        texture=_texture(texture_rng, canvas.tissue),
        relaxation=texture_rng.uniform(0.9, 1.1, (len(Tissue), 2)),
        measurements=measure(canvas, sac, spine, plan),
    )


def _texture(rng: np.random.Generator, tissue: Indices) -> Volume:
    """Fine and coarse grain, stronger where the tissue has more of it."""
    grain = smooth_field(rng, tissue.shape, 0.05, 2.2)
    grain += smooth_field(rng, tissue.shape, 0.05, 10)
    grain *= GRAIN[tissue]
    grain += 1
    return np.maximum(grain, 0.2, out=grain)
