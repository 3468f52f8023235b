"""The spinal canal: epidural fat, dural sac, cord with its conus, roots and the ligamentum flavum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from spinelab.phantom.canvas import Canvas, Mask, ellipsoid
from spinelab.phantom.lesions import CORD_BEHIND_MM, Lesion
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.spine import Spine
from spinelab.phantom.tissues import Tissue


class Sac(NamedTuple):
    """The part of the field around the canal, over its whole height.

    Attributes:
        part: Of the canvas.
        right: Distance of each voxel to the right of the sac's middle, across it, mm.
        behind: Distance behind it, mm.
        half_width: (1, 1, Z) of the sac at each height, mm.
        half_depth: Likewise, front to back.
    """

    part: Canvas
    right: Volume
    behind: Volume
    half_width: Volume
    half_depth: Volume

    def within(self, margin: float = 0.0) -> Mask:
        """The sac, widened by a margin in mm, whatever else may be there."""
        return ellipsoid((self.right, self.half_width + margin), (self.behind, self.half_depth + 0.85 * margin)) < 1


def canal_window(canvas: Canvas, spine: Spine) -> Sac:
    """The part of the field around the canal and how its voxels lie to it."""
    curve, canal, z = spine.curve, spine.canal, canvas.rows
    wall, x, tilt, roll = (curve.at(z, column) for column in (curve.y, curve.x, curve.tilt, curve.roll))
    low, high = float(wall.min()) - 1.5 * canal.behind, float(wall.max()) - canal.behind
    half = (float(np.abs(x).max()) + canal.half_width + 12, (high - low) / 2 + 15, float(np.ptp(z)))
    part = canvas.window((0, (low + high) / 2, float(z.mean())), half)
    scale = np.clip(1 + (z - canal.end) / 60, 0.02, 1).astype(np.float32)
    right = (part.x - x) * np.cos(roll)
    behind = (wall - part.y) * np.cos(tilt) - np.float32(canal.behind) * (0.6 + 0.4 * scale)
    return Sac(part, right, behind, canal.half_width * scale, canal.half_depth * scale)


def paint_canal(sac: Sac, spine: Spine, lesion: Lesion, rng: np.random.Generator) -> None:
    """Paint everything inside the canal; a lesion displaces or swells the cord."""
    part, solid = sac.part, sac.part.solid()
    part.tissue[sac.within(3.2) & ~solid] = Tissue.FAT
    inside = sac.within() & ~solid
    near_disc = gaussian_filter((part.disc > 0).astype(np.float32), 2.5, truncate=2.5) > 0.275
    inside &= ~(near_disc & (sac.behind < 0))  # the dura is pushed back by a disc before it is touched
    part.tissue[inside] = Tissue.CSF
    _paint_ligament(sac, solid)
    _paint_cord(sac, spine, lesion, inside)
    _paint_flow_voids(sac, rng)
    _paint_cauda_equina(sac, spine, rng)
    _paint_nerve_roots(sac, spine)


def _paint_ligament(sac: Sac, solid: Mask) -> None:
    sheet = np.abs(sac.behind - sac.half_depth - 2.0 - 0.18 * np.abs(sac.right)) < 1.3
    bone = (Tissue.POSTERIOR_BONE, Tissue.POSTERIOR_CORTEX)
    sheet &= (np.abs(sac.right) < 11) & ~solid
    sheet[sheet] = ~np.isin(sac.part.tissue[sheet], [*bone, Tissue.CSF])
    sac.part.tissue[sheet] = Tissue.LIGAMENT


def _paint_cord(sac: Sac, spine: Spine, lesion: Lesion, inside: Mask) -> None:
    canal, z = spine.canal, sac.part.rows
    aside, back, swelling = lesion.effect_on_cord(z)
    taper = np.clip((z - canal.conus + 18) / 28, 0, 1) ** 0.7
    radii = canal.cord_half_width * (1 + swelling), canal.cord_half_depth * (1 + swelling)
    across = ellipsoid((sac.right - aside, radii[0]), (sac.behind - CORD_BEHIND_MM - back, radii[1]))
    sac.part.tissue[(across < taper**2) & (taper > 0.05) & inside] = Tissue.CORD


def _paint_flow_voids(sac: Sac, rng: np.random.Generator) -> None:
    """Streaks behind the cord where moving fluid has lost some of its signal."""
    streak = smooth_field(rng, sac.right.shape, 1.0, (5, 4, 14)) > 1.6
    where = streak & (sac.behind > 1)
    where[where] = sac.part.tissue[where] == Tissue.CSF
    sac.part.tissue[where] = Tissue.FLOW_VOID


def _paint_cauda_equina(sac: Sac, spine: Spine, rng: np.random.Generator) -> None:
    """Eighteen thin roots that hang down from the conus, behind the middle of the sac, each on its own slant."""
    z = sac.part.rows
    free = (z < spine.canal.conus + 12) & ((sac.part.tissue == Tissue.CSF) | (sac.part.tissue == Tissue.FLOW_VOID))
    where = np.nonzero(free)
    x, y = np.asarray(sac.right / sac.half_width)[where], np.asarray(sac.behind / sac.half_depth)[where]
    below = ((spine.canal.conus - z) / 100)[0, 0, where[2]]
    thick = 0.8 / sac.half_depth[0, 0, where[2]]
    hit = np.zeros(len(x), bool)
    for _ in range(18):
        at, slant = rng.uniform((-0.75, 0.0), (0.75, 0.85)), rng.uniform(-0.15, 0.15, 2)
        hit |= ellipsoid((x - at[0] - slant[0] * below, thick), (y - at[1] - slant[1] * below, thick)) < 1
    sac.part.tissue[tuple(axis[hit] for axis in where)] = Tissue.CAUDA_EQUINA


def _paint_nerve_roots(sac: Sac, spine: Spine) -> None:
    """A pair of roots in the fat of the foramina below each pedicle."""
    rows = sac.part.rows[0, 0]
    for vertebra in spine.vertebrae[:-1]:
        z = vertebra.frame.centre[2] - 0.3 * vertebra.height
        box = np.s_[:, :, int(np.searchsorted(rows, z - 6)) : int(np.searchsorted(rows, z + 6))]
        aside: Volume = np.abs(sac.right[box]) - np.float32(spine.canal.half_width + 5)
        root = ellipsoid((aside, 6), (sac.behind[box] - 1, 2), (sac.part.z[box] - z, 2.2)) < 1
        sac.part.tissue[box][root & (sac.part.tissue[box] == Tissue.FAT)] = Tissue.NERVE_ROOT
