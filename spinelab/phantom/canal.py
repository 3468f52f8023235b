"""The spinal canal: epidural fat, dural sac, cord with its conus, roots and the ligamentum flavum."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from spinelab.phantom.canvas import FIELD_MM, Canvas, Mask, ellipsoid
from spinelab.phantom.lesions import CORD_BEHIND_MM, Lesion
from spinelab.phantom.noise import Volume
from spinelab.phantom.spine import Spine
from spinelab.phantom.tissues import Tissue


def canal_window(canvas: Canvas, spine: Spine) -> tuple[Canvas, Volume, Volume]:
    """The part of the field around the canal, over its whole height.

    Returns:
        The part, and per voxel the distance to the right of and behind the middle of the dural sac, mm.
    """
    z = np.linspace(-FIELD_MM[2] / 2, FIELD_MM[2] / 2, 97, dtype=np.float32)
    middle_y = spine.curve.y(z) - spine.canal.behind
    low, high = float(middle_y.min()), float(middle_y.max())
    half = (abs(spine.curve.scoliosis) + 23, (high - low) / 2 + 15, FIELD_MM[2] / 2)
    part = canvas.window((0, (low + high) / 2, 0), half)
    right = part.x - spine.curve.x(part.z)
    behind = spine.curve.y(part.z) - spine.canal.behind - part.y
    return part, right, behind


def paint_canal(canvas: Canvas, spine: Spine, lesion: Lesion, rng: np.random.Generator) -> None:
    """Paint everything inside the canal; a lesion displaces or swells the cord."""
    part, right, behind = canal_window(canvas, spine)
    canal, solid = spine.canal, part.solid()
    epidural = ellipsoid((right, canal.half_width + 3.2), (behind, canal.half_depth + 2.8)) < 1
    part.tissue[epidural & ~solid] = Tissue.FAT
    sac = (ellipsoid((right, canal.half_width), (behind, canal.half_depth)) < 1) & ~solid
    near_disc = gaussian_filter((part.disc > 0).astype(np.float32), 2.5, truncate=2.5) > 0.275
    sac &= ~(near_disc & (behind < 0))  # the dura is pushed back by a disc before it is touched
    part.tissue[sac] = Tissue.CSF
    _paint_ligament(part, right, behind, canal.half_depth, solid)
    _paint_cord(part, right, behind, spine, lesion, sac)
    _paint_cauda_equina(part, right, behind, spine, rng)
    _paint_nerve_roots(part, right, behind, spine)


def _paint_ligament(part: Canvas, right: Volume, behind: Volume, half_depth: float, solid: Mask) -> None:
    sheet = np.abs(behind - half_depth - 2.0 - 0.18 * np.abs(right)) < 1.3
    free = ~np.isin(part.tissue, [Tissue.POSTERIOR_BONE, Tissue.CSF]) & ~solid
    part.tissue[sheet & (np.abs(right) < 11) & free] = Tissue.LIGAMENT


def _paint_cord(part: Canvas, right: Volume, behind: Volume, spine: Spine, lesion: Lesion, sac: Mask) -> None:
    canal, (aside, back, swelling) = spine.canal, lesion.effect_on_cord(part.z)
    taper = np.clip((part.z - canal.conus + 18) / 28, 0, 1) ** 0.7
    radii = canal.cord_half_width * (1 + swelling), canal.cord_half_depth * (1 + swelling)
    across = ((right - aside) / radii[0]) ** 2 + ((behind - CORD_BEHIND_MM - back) / radii[1]) ** 2
    part.tissue[(across < taper**2) & (taper > 0.05) & sac] = Tissue.CORD


def _paint_cauda_equina(part: Canvas, right: Volume, behind: Volume, spine: Spine, rng: np.random.Generator) -> None:
    """Fourteen thin roots that hang down behind the middle of the sac, below the conus."""
    canal = spine.canal
    where = np.nonzero((part.z < canal.conus + 12) & (part.tissue == Tissue.CSF))
    right, behind = right[where], behind[where]
    hit = np.zeros(len(right), bool)
    for _ in range(14):
        x, y = rng.uniform(-0.7, 0.7) * canal.half_width, rng.uniform(-0.1, 0.8) * canal.half_depth
        hit |= ellipsoid((right - x, 0.75), (behind - y, 0.75)) < 1
    part.tissue[tuple(axis[hit] for axis in where)] = Tissue.CAUDA_EQUINA


def _paint_nerve_roots(part: Canvas, right: Volume, behind: Volume, spine: Spine) -> None:
    """A pair of roots in the fat of the foramina below each pedicle."""
    for vertebra in spine.vertebrae[:-1]:
        z = vertebra.frame.centre[2] - 0.3 * vertebra.height
        rows = slice(*np.clip((int(z + FIELD_MM[2] / 2) - 6, int(z + FIELD_MM[2] / 2) + 7), 0, FIELD_MM[2]))
        box = np.s_[:, :, rows]
        root = ellipsoid((np.abs(right[box]) - 15, 6), (behind[box] - 1, 2), (part.z[box] - z, 2.2)) < 1
        part.tissue[box][root & (part.tissue[box] == Tissue.FAT)] = Tissue.NERVE_ROOT
