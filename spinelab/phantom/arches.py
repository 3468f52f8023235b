"""The posterior elements: pedicles, lamina, spinous, transverse and articular processes."""

from __future__ import annotations

import numpy as np

from spinelab.phantom.canvas import Canvas, ellipsoid
from spinelab.phantom.noise import Volume
from spinelab.phantom.spine import Spine, Vertebra
from spinelab.phantom.tissues import Tissue


def paint_arch(canvas: Canvas, vertebra: Vertebra, spine: Spine) -> None:
    """Paint the arch of a vertebra wherever no body or disc is: a thin cortex and marrow inside."""
    canal, (length, _, drop) = spine.canal, spine.region.spinous
    reach = (canal.half_width + 26, (length + 2 * canal.behind) / 2 + 8, vertebra.height / 2 + drop + 12)
    middle = vertebra.half_depth + canal.behind + length / 2
    part = canvas.window(vertebra.frame.place(0, middle, -drop / 2 - 3), reach)
    right, behind, above = vertebra.frame.local(part.x, part.y, part.z)
    depth = _depth(vertebra, spine, np.abs(right), behind, above)
    free = (depth < 1) & ~part.solid()
    part.tissue[free] = Tissue.POSTERIOR_CORTEX
    part.tissue[free & (depth < 0.55)] = Tissue.POSTERIOR_BONE


def _depth(vertebra: Vertebra, spine: Spine, aside: Volume, behind: Volume, above: Volume) -> Volume:
    """About (distance from the middle of the bone / its half thickness) squared: 1 at the surface.

    Args:
        vertebra: Whose arch.
        spine: The person's proportions.
        aside: Distance from the middle, mm.
        behind: Behind the middle of the body, mm.
        above: Above it, mm.
    """
    canal, height, outside = spine.canal, vertebra.height, np.float32(9)
    wide, deep = canal.half_width + 3.4, canal.half_depth + 4.2  # the ring is centred on the sac
    back = behind - vertebra.half_depth - canal.behind
    pedicle = ellipsoid((aside - wide, 3.4), (above - height * 0.16, 0.25 * height))
    pedicle = np.where((back > -canal.behind - 0.3 * vertebra.half_depth) & (back < 3), pedicle, outside)
    ring = (np.hypot(aside / wide, back / deep) - 1) * deep
    lamina = ellipsoid((ring, 2.4), (above + height * 0.12, 0.36 * height))
    lamina = np.where(back > 0, lamina, outside)
    facet = ellipsoid((aside - wide - 1, 5), (back - 0.4 * deep, 5), (above + 0.45 * height, 0.36 * height))
    transverse = ellipsoid((aside - wide - 10, 13), (back - 2, 3.6), (above - 0.1 * height, 4.2))
    return np.minimum.reduce([pedicle, lamina, facet, transverse, spinous_depth(vertebra, spine, aside, back, above)])


def spinous_depth(vertebra: Vertebra, spine: Spine, aside: Volume, back: Volume, above: Volume) -> Volume:
    """The same for the spinous process, a plate that drops towards its thick tip."""
    length, half_height, drop = spine.region.spinous
    along = (back - spine.canal.half_depth - 3) / length
    droop = above + 0.26 * vertebra.height + drop * (along - 0.3)
    plate = np.abs(2 * along - 1) ** 3.5 + np.abs(droop / (half_height * (0.8 + 0.25 * np.clip(along, 0, 1)))) ** 3
    return np.maximum(plate, (aside / (2.4 + 1.4 * np.clip(along, 0, 1))) ** 2)
