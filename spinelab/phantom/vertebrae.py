"""Bones and discs: bodies with their marrow, discs between the endplates, and the posterior elements."""

from __future__ import annotations

import numpy as np

from spinelab.phantom.canvas import Canvas, Mask, ellipsoid
from spinelab.phantom.noise import Volume
from spinelab.phantom.spine import Disc, Spine, Vertebra
from spinelab.phantom.tissues import Tissue


def paint_vertebrae(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Paint all bodies, then the discs between them, then the arches around them."""
    for number, vertebra in enumerate(spine.vertebrae, 1):
        _paint_body(canvas, vertebra, spine.half_depth, number, rng)
    for number, disc in enumerate(spine.discs, 1):
        above, below = spine.vertebrae[number - 1 : number + 1]
        _paint_disc(canvas, disc, spine.half_depth, (above, below), number)
    for vertebra in spine.vertebrae:
        _paint_arch(canvas, vertebra, spine.half_depth)


def _paint_body(canvas: Canvas, body: Vertebra, half_depth: float, number: int, rng: np.random.Generator) -> None:
    part = canvas.window(body.frame.centre, (body.half_width + 5, half_depth + 8, body.height / 2 + 10))
    right, behind, above = body.frame.local(part.x, part.y, part.z)
    outline = np.abs(right / body.half_width) ** 2.6 + np.abs(behind / half_depth) ** 2.6
    outline += 0.35 * np.exp(-((right / 7) ** 2)) * np.clip(behind / half_depth, 0, 1) ** 4  # hollow posterior wall
    waist = 1 + 0.1 * (1 - (above / (body.height / 2)) ** 2)
    hollow = 1 - 0.1 * np.clip(1 - outline, 0, 1)  # concave endplates
    top = (body.height / 2 - _wedge(body, behind, half_depth)) * hollow
    bottom = body.height / 2 * hollow
    inside = (outline * waist < 1) & (above < top) & (-above < bottom)
    core = (outline * waist < 0.87) & (above < top - 1) & (-above < bottom - 1)
    part.tissue[inside] = Tissue.CORTICAL_BONE
    part.tissue[core] = Tissue.MARROW
    part.level[inside] = number
    if body.oedema:
        part.tissue[core & (above > top - 0.4 * body.height)] = Tissue.MARROW_OEDEMA
    reach = behind - half_depth * 0.25
    vein = (np.abs(right) < 3) & (reach > 0) & (np.abs(above) < 1 + 1.6 * reach / half_depth)
    part.tissue[vein & core] = Tissue.BASIVERTEBRAL_VEIN
    _paint_fatty_island(part, core, (right, behind, above), rng)


def _wedge(body: Vertebra, behind: Volume, half_depth: float) -> Volume:
    """How far the upper endplate lies below its place in mm: 0 at the posterior wall, most at the anterior wall."""
    forward = np.clip((half_depth - behind) / (2 * half_depth), 0, 1)
    return body.height * (1 - body.anterior_ratio) * forward


def _paint_fatty_island(part: Canvas, core: Mask, local: tuple[Volume, ...], rng: np.random.Generator) -> None:
    """In one body of four, a spot of fat in the marrow, easily mistaken for a haemangioma on T1 and T2."""
    present, radius = rng.random() < 0.25, rng.uniform(2.5, 5)
    centre = rng.uniform((-9, -7, -5), (9, 7, 5))
    if present:
        ball = ellipsoid(*((axis - float(c), radius) for axis, c in zip(local, centre, strict=True))) < 1
        part.tissue[ball & core] = Tissue.FATTY_MARROW


def _paint_disc(canvas: Canvas, disc: Disc, half_depth: float, between: tuple[Vertebra, Vertebra], number: int) -> None:
    half_width = (between[0].half_width + between[1].half_width) / 2 + 1
    part = canvas.window(disc.frame.centre, (half_width + 6, half_depth + 12, disc.height / 2 + 14))
    right, behind, above = disc.frame.local(part.x, part.y, part.z)
    protrusion = disc.protrusion * np.exp(-(((right - disc.protrusion_side) / 6) ** 2)) * (behind > 0)
    outline = np.abs(right / half_width) ** 2.4 + np.abs(behind / (half_depth + disc.bulge + protrusion)) ** 2.4
    # Reach into the waist of the bodies, and fill the gap that a fracture below has left.
    gap = np.where(above < 0, _wedge(between[1], behind, half_depth), 0)
    inside = (outline < 1) & (np.abs(above) < disc.height / 2 + 1.6 + gap) & (part.level == 0)
    part.tissue[inside] = Tissue.ANNULUS
    part.disc[inside] = number
    core = ellipsoid((right, half_width * 0.62), (behind - 1, half_depth * 0.62)) < 1
    part.tissue[core & (np.abs(above) < disc.height / 2 - 1) & inside] = Tissue.NUCLEUS


def _paint_arch(canvas: Canvas, vertebra: Vertebra, half_depth: float) -> None:
    """Pedicles, lamina, spinous process and articular processes, wherever no body or disc is."""
    part = canvas.window(vertebra.frame.place(0, half_depth + 15, -5), (27, 32, vertebra.height / 2 + 22))
    right, behind, above = vertebra.frame.local(part.x, part.y, part.z)
    height, ring = vertebra.height, half_depth + 8.5  # the ring is centred on the canal
    aside, back = np.abs(right), behind - ring
    pedicle = ellipsoid((aside - 13, 3.6), (above - height * 0.16, 6)) < 1
    pedicle &= (behind > half_depth * 0.7) & (back < 8)
    lamina = (np.abs(np.hypot(right / 1.15, back) - 12.5) < 2.3) & (back > -1) & (np.abs(above + height * 0.12) < 8)
    droop = above + height * 0.28 + (back - 12) * 0.18
    spinous = (aside < 2.6) & (ellipsoid((back - 22, 13), (droop, 7.5)) < 1)
    facet = ellipsoid((aside - 15, 5), (back - 7, 5), (above + height * 0.5, 9)) < 1
    part.tissue[(pedicle | lamina | spinous | facet) & ~part.solid()] = Tissue.POSTERIOR_BONE
