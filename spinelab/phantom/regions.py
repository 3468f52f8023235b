"""Where in the spine: sizes of bones, canal and cord, and how the spine is bent, for three regions.

Typical sizes are rounded from: vertebral bodies, Panjabi et al., Cervical Human Vertebrae (Spine 16:861, 1991),
Thoracic Human Vertebrae (Spine 16:888, 1991) and Human Lumbar Vertebrae (Spine 17:299, 1992), some millimetres more
than those cadavers' for the rims that MRI shows; cord, Frostell et al., A Review of the Segmental Diameter of the
Healthy Human Spinal Cord (Front. Neurol. 7:238, 2016): 13.3 x 7.4 mm at C5, 8.3 x 6.3 mm at T8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from spinelab.phantom.canvas import Field

RegionName = Literal["cervical", "thoracic", "lumbar"]
Extent = Literal["narrow", "wide"]
EXTENTS: tuple[Extent, ...] = get_args(Extent)
Range = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A part of the spine; lengths in mm, depths counted down from the top of the field.

    Attributes:
        levels: Vertebrae from the top; the first and the last are usually cut off by the narrow field.
        heights: Typical posterior height of the first and of the last body.
        half_widths: Of the first and of the last body, from the middle to the side.
        half_depths: Likewise, front to back.
        gaps: Typical height of the first and of the last disc.
        tilts: (depth, degrees) of the line along the posterior walls; positive leans to the front.
        sac_half_widths: Of the dural sac, from the narrowest person to the widest.
        sac_half_depths: Likewise, front to back.
        cord_half_widths: Of the spinal cord, likewise.
        cord_half_depths: Likewise, front to back.
        conus: Depths between which the cord begins to taper; None where it goes on.
        spinous: Length and height of a spinous process, and how far it drops over its length.
        fractured: Indices of the levels that break.
        affected: Indices of the levels that carry lesions of bone: those that lie wholly in the field.
        surroundings: What lies in front.
        fields: Narrow (around the spine) and wide (to the skin; in the lumbar region with the sacrum).
        first_centre: Depths between which the first body's centre lies.
    """

    levels: tuple[str, ...]
    heights: Range
    half_widths: Range
    half_depths: Range
    gaps: Range
    tilts: tuple[Range, ...]
    sac_half_widths: Range
    sac_half_depths: Range
    cord_half_widths: Range
    cord_half_depths: Range
    conus: Range | None
    spinous: tuple[float, float, float]
    fractured: tuple[int, ...]
    affected: tuple[int, ...]
    surroundings: Literal["neck", "chest", "abdomen"]
    fields: dict[Extent, Field]
    first_centre: Range

    @property
    def top(self) -> float:
        """Height z of the field's upper edge, mm."""
        return self.fields["narrow"].first[2] + self.fields["narrow"].size[2] - 0.5


REGIONS: dict[str, Region] = {
    "cervical": Region(
        levels=("C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2"),
        heights=(13.0, 16.0),
        half_widths=(9.0, 13.5),
        half_depths=(7.8, 9.0),
        gaps=(4.8, 5.2),
        tilts=((0, -9), (40, -4), (80, 8), (120, 20), (160, 24), (220, 15)),
        sac_half_widths=(9.3, 11.0),
        sac_half_depths=(5.4, 6.6),
        cord_half_widths=(5.9, 6.9),
        cord_half_depths=(3.3, 4.0),
        conus=None,
        spinous=(20.0, 5.0, 6.0),
        fractured=(3, 4, 5),
        affected=(1, 2, 3, 4, 5, 6),
        surroundings="neck",
        fields={
            "narrow": Field((64, 112, 160), (-31.5, -67.5, -79.5)),
            "wide": Field((72, 168, 160), (-35.5, -95.5, -79.5)),
        },
        first_centre=(0, 9),
    ),
    "thoracic": Region(
        levels=("T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12"),
        heights=(17.0, 23.0),
        half_widths=(12.5, 19.0),
        half_depths=(10.0, 15.0),
        gaps=(3.8, 6.5),
        tilts=((0, 22), (60, 14), (120, 0), (180, -9), (240, -14), (320, -10)),
        sac_half_widths=(7.2, 8.6),
        sac_half_depths=(5.8, 7.0),
        cord_half_widths=(3.9, 4.6),
        cord_half_depths=(2.9, 3.4),
        conus=None,
        spinous=(26.0, 6.0, 16.0),
        fractured=(4, 5, 8, 9),
        affected=(1, 2, 3, 4, 5, 6, 7, 8),
        surroundings="chest",
        fields={
            "narrow": Field((64, 112, 240), (-31.5, -67.5, -119.5)),
            "wide": Field((80, 192, 240), (-39.5, -95.5, -119.5)),
        },
        first_centre=(-6, 6),
    ),
    "lumbar": Region(
        levels=("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"),
        heights=(22.0, 27.5),
        half_widths=(19.0, 23.5),
        half_depths=(14.5, 16.5),
        gaps=(7.0, 11.5),
        tilts=((0, -5), (50, -12), (100, -13), (150, -5), (190, 7), (212, 18), (235, 34), (270, 42), (320, 36)),
        sac_half_widths=(8.5, 11.0),
        sac_half_depths=(6.2, 7.8),
        cord_half_widths=(4.4, 5.2),
        cord_half_depths=(3.3, 3.9),
        conus=(73, 119),
        spinous=(28.0, 9.5, 5.0),
        fractured=(2, 3, 4),
        affected=(1, 2, 3, 4, 5),
        surroundings="abdomen",
        fields={
            "narrow": Field((64, 112, 192), (-31.5, -65.5, -95.5)),
            "wide": Field((72, 208, 288), (-35.5, -115.5, -191.5)),
        },
        first_centre=(-12, 6),
    ),
}
