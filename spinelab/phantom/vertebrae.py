"""Bones and discs: bodies with their marrow, the sacrum, and discs between the endplates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.arches import paint_arch
from spinelab.phantom.canvas import Canvas, Mask, ellipsoid
from spinelab.phantom.noise import Volume
from spinelab.phantom.spine import Disc, Spine, Vertebra
from spinelab.phantom.tissues import Tissue

_MARROW = (Tissue.MARROW, Tissue.FATTY_MARROW, Tissue.MARROW_OEDEMA)


def paint_vertebrae(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Paint all bodies and the sacrum, then the discs between them, then the arches around them."""
    segments = (*spine.vertebrae, *spine.sacrum)
    for number, vertebra in enumerate(segments, 1):
        _paint_body(canvas, vertebra, number, number > len(spine.vertebrae), rng)
    for number, disc in enumerate(spine.discs, 1):
        _paint_disc(canvas, disc, segments[number - 1], segments[number], number)
    for above, below in zip(spine.sacrum, spine.sacrum[1:], strict=False):
        _paint_sacral_disc(canvas, above, below)
    for vertebra in spine.vertebrae:
        paint_arch(canvas, vertebra, spine)


def _paint_body(canvas: Canvas, body: Vertebra, number: int, sacral: bool, rng: np.random.Generator) -> None:
    reach = body.height / 2 + abs(body.opening) + 0.5 * body.half_depth
    part = canvas.window(body.frame.centre, (body.half_width + 6, body.half_depth + 9, reach))
    right, behind, above = body.frame.local(part.x, part.y, part.z)
    aside, along = np.abs(right / body.half_width), behind / body.half_depth
    outline = aside**2.6 + np.abs(along) ** 2.6
    outline += 0.25 * np.exp(-((right / (0.35 * body.half_width)) ** 2)) * np.clip(along, 0, 1) ** 4  # posterior wall
    waist = outline * (1 + 0.18 * (1 - (above / (body.height / 2)) ** 2))
    top, bottom = body.endplates(right, behind)
    inside = (waist < 1) & (above < top) & (-above < bottom)
    core = (waist < 1 - 2.0 / body.half_depth) & (above < top - 1) & (-above < bottom - 1)
    cortex, marrow = (Tissue.SACRAL_CORTEX, Tissue.SACRAL_MARROW) if sacral else (Tissue.CORTICAL_BONE, Tissue.MARROW)
    part.tissue[inside], part.tissue[core], part.level[inside] = cortex, marrow, number
    island = rng.random() < 0.25, rng.uniform(0.17, 0.33), rng.uniform((-0.45, -0.45, -0.2), (0.45, 0.45, 0.2))
    if sacral:
        return
    if body.oedema:
        part.tissue[core & (above > top - 0.4 * body.height)] = Tissue.MARROW_OEDEMA
    deep = behind - body.half_depth * 0.4
    vein = (np.abs(right) < 0.15 * body.half_width) & (deep > 0)
    vein &= np.abs(above) < 0.7 + 2.2 * deep / body.half_depth
    part.tissue[vein & core] = Tissue.BASIVERTEBRAL_VEIN
    _paint_fatty_island(part, body, core, (right, behind, above), island)


def _paint_fatty_island(
    part: Canvas, body: Vertebra, core: Mask, local: tuple[Volume, ...], island: tuple[bool, float, NDArray[np.float64]]
) -> None:
    """In one body of four, a spot of fat in the marrow, easily mistaken for a haemangioma on T1 and T2."""
    present, radius, place = island
    if present:
        centre = place * (body.half_width, body.half_depth, body.height)
        radius *= body.half_depth
        ball = ellipsoid(*((axis - np.float32(c), radius) for axis, c in zip(local, centre, strict=True))) < 1
        part.tissue[ball & core] = Tissue.FATTY_MARROW


def _paint_disc(canvas: Canvas, disc: Disc, upper: Vertebra, lower: Vertebra, number: int) -> None:
    """Whatever lies between the two endplates and within the disc's outline."""
    reach = disc.height / 2 + 0.4 * disc.half_depth + 10
    part = canvas.window(disc.frame.centre, (disc.half_width + 8, disc.half_depth + 14, reach))
    right, behind, _ = disc.frame.local(part.x, part.y, part.z)
    under = _beyond(upper, part, -1)  # below the upper body's lower endplate, mm
    over = _beyond(lower, part, 1)
    half_width, half_depth = disc.half_width + 0.5, disc.half_depth
    protrusion = disc.protrusion * np.exp(-(((right - disc.protrusion_side) / 6) ** 2)) * (behind > 0)
    outline = np.abs(right / half_width) ** 2.4 + np.abs(behind / (half_depth + disc.bulge + protrusion)) ** 2.4
    inside = (outline < 1) & (under > -1) & (over > -1) & (part.level == 0)
    part.tissue[inside] = Tissue.ANNULUS
    part.disc[inside] = number
    middle = (under - over) / (np.abs(under + over) + 0.5)  # from -1 at the upper endplate to 1 at the lower one
    core = ellipsoid((right, half_width * 0.82), (behind - 0.03 * half_depth, half_depth * 0.8), (middle, 0.95)) < 1
    core &= inside
    part.tissue[core] = Tissue.NUCLEUS
    cleft = core & (np.abs(middle) < 0.07) & (np.abs(behind) < 0.35 * half_depth)
    part.tissue[cleft] = Tissue.ANNULUS  # the fibrous cleft of an adult's nucleus
    if disc.modic:
        near = ((under < 0) & (under > -0.22 * upper.height)) | ((over < 0) & (over > -0.22 * lower.height))
        marrow = near & (behind < 0.2 * half_depth) & np.isin(part.tissue, _MARROW)
        part.tissue[marrow] = (Tissue.MARROW_OEDEMA, Tissue.FATTY_MARROW)[disc.modic - 1]


def _beyond(body: Vertebra, part: Canvas, side: int) -> Volume:
    """Distance beyond a body's upper (`side` 1) or lower (-1) endplate, mm; negative inside of the body."""
    right, behind, above = body.frame.local(part.x, part.y, part.z)
    top, bottom = body.endplates(right, behind)
    return above - top if side > 0 else -above - bottom


def _paint_sacral_disc(canvas: Canvas, upper: Vertebra, lower: Vertebra) -> None:
    """A thin remnant of a disc between two segments of the sacrum."""
    part = canvas.window(upper.frame.place(0, 0, -upper.height / 2), (upper.half_width, upper.half_depth, 14))
    right, behind, _ = upper.frame.local(part.x, part.y, part.z)
    outline = ellipsoid((right, upper.half_width * 0.8), (behind, upper.half_depth * 0.9)) < 1
    between = (_beyond(upper, part, -1) > -1) & (_beyond(lower, part, 1) > -1)
    part.tissue[outline & between & (part.level == 0)] = Tissue.SACRAL_DISC
