"""What surrounds the spine: muscles with fatty streaks, ligaments, the organs in front, fat and skin."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from spinelab.phantom.canvas import Canvas, Mask, ellipsoid
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.spine import Spine
from spinelab.phantom.tissues import Tissue


def paint_surroundings(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Paint everything that is not spine; what comes later covers it."""
    curve = spine.curve
    right = canvas.x - curve.at(canvas.rows, curve.x)
    aside, behind = np.abs(right), curve.at(canvas.rows, curve.y) - canvas.y
    streaks = smooth_field(rng, canvas.tissue.shape, 1.0, (4, 3, 9))
    _paint_muscles(canvas, spine, aside, behind, streaks, rng)
    _paint_midline(canvas, spine, aside, behind, streaks)
    {"neck": _paint_neck, "chest": _paint_chest, "abdomen": _paint_abdomen}[spine.region.surroundings](
        canvas, spine, right, behind, rng
    )
    _paint_skin(canvas, spine, behind, streaks, rng)


def _depth(spine: Spine) -> float:
    """Twice the mean half depth of the bodies: from the posterior to the anterior walls, mm."""
    return float(np.mean([2 * v.half_depth for v in spine.vertebrae]))


def _paint_muscles(
    canvas: Canvas, spine: Spine, aside: Volume, behind: Volume, streaks: Volume, rng: np.random.Generator
) -> None:
    """The muscles of the back on both sides, and in front of them psoas or the long muscle of the neck."""
    size, depth = spine.canal.half_width / 9.5, _depth(spine)
    muscle = ellipsoid((aside - 16 * size, 15 * size), (behind - 2 * spine.canal.behind - 17, 19)) < 1
    if spine.region.surroundings == "abdomen":
        muscle |= ellipsoid((aside - 32, 12), (behind + 0.55 * depth, 17)) < 1
    if spine.region.surroundings == "neck":
        muscle |= ellipsoid((aside - 7, 6), (behind + depth + 4, 3)) < 1
        muscle |= ellipsoid((aside - 28, 14), (behind + 2, 16)) < 1
    canvas.tissue[muscle] = Tissue.MUSCLE
    canvas.tissue[muscle & (streaks > rng.uniform(0.6, 1.6))] = Tissue.FATTY_MUSCLE
    canvas.tissue[muscle & (streaks > rng.uniform(1.4, 2.4))] = Tissue.FAT


def _paint_midline(canvas: Canvas, spine: Spine, aside: Volume, behind: Volume, streaks: Volume) -> None:
    """Interspinous ligaments with fat between the spinous processes, and the supraspinous one over their tips."""
    back = behind - spine.canal.behind - spine.canal.half_depth
    tip = 3 + spine.region.spinous[0]
    between = (aside < 3.5) & (back > 5) & (back < tip)
    canvas.tissue[between] = Tissue.FATTY_MUSCLE
    canvas.tissue[between & (streaks > 0.2)] = Tissue.LIGAMENT
    canvas.tissue[between & (streaks < -0.5)] = Tissue.FAT
    canvas.tissue[(aside < 3.5) & (np.abs(back - tip - 1) < 1.3)] = Tissue.LIGAMENT


def _paint_abdomen(canvas: Canvas, spine: Spine, right: Volume, behind: Volume, rng: np.random.Generator) -> None:
    """Aorta and inferior vena cava before the bodies, and loops of bowel in fat before them."""
    front = -behind - _depth(spine)
    near = np.nonzero((front > 7).any((0, 2)))[0]
    if not len(near):
        return
    rest = np.s_[:, int(near[0]) :, :]
    part, front, right = canvas.tissue[rest], front[rest], right[rest]
    loops = smooth_field(rng, part.shape, 1.0, (14, 9, 11))
    walls = np.abs(loops) < 0.12
    organs = front > 15 + 4 * loops
    part[organs & (loops > -0.35)] = Tissue.BOWEL
    part[organs & walls] = Tissue.MUSCLE
    part[organs & (loops > 1.7)] = Tissue.AIR
    above = canvas.rows > spine.vertebrae[-2].frame.centre[2]  # both vessels fork at L4
    lumen, wall = _tube(right, front, (-7, 8), (7.0, 6.5)), _tube(right, front, (9, 7), (8.0, 5.5))
    part[((lumen < 1.25) | (wall < 1.2)) & above & (front > 0)] = Tissue.LIGAMENT
    part[((lumen < 1) | (wall < 1)) & above & (front > 0)] = Tissue.VESSEL


def _paint_chest(canvas: Canvas, spine: Spine, right: Volume, behind: Volume, rng: np.random.Generator) -> None:
    """Aorta to the left of the bodies, oesophagus, heart and lungs."""
    front = -behind - _depth(spine)
    lung = (np.abs(right) - 16) ** 2 * np.sign(np.abs(right) - 16) + 3 * (front + 6) > 260
    canvas.tissue[lung & (front > -0.7 * _depth(spine))] = Tissue.AIR
    heart = ellipsoid((right + 12, 34), (front - 62, 40), (canvas.rows + 40, 70)) < 1
    canvas.tissue[heart] = Tissue.MUSCLE
    canvas.tissue[ellipsoid((right + 12, 22), (front - 64, 28), (canvas.rows + 40, 55)) < 1] = Tissue.VESSEL
    canvas.tissue[_tube(right, front, (2, 10), (6, 4)) < 1] = Tissue.MUSCLE
    aorta = _tube(right, front, (-15 + rng.uniform(-3, 3), 4), (10.0, 10.0))
    canvas.tissue[aorta < 1.3] = Tissue.LIGAMENT
    canvas.tissue[aorta < 1] = Tissue.VESSEL


def _paint_neck(canvas: Canvas, spine: Spine, right: Volume, behind: Volume, rng: np.random.Generator) -> None:
    """Gullet, windpipe with its cartilages, thyroid, the great vessels and the muscles beside them."""
    front, aside = -behind - _depth(spine), np.abs(right)
    canvas.tissue[_tube(right, front, (0, 9), (8, 3)) < 1] = Tissue.MUSCLE
    gland = ellipsoid((aside - 14, 8), (front - 18, 11), (canvas.rows + 45, 26)) < 1
    canvas.tissue[gland] = Tissue.BOWEL
    canvas.tissue[ellipsoid((aside - 27, 8), (front - 22, 14)) < 1] = Tissue.MUSCLE
    canvas.tissue[ellipsoid((aside - 22, 4.5), (front - 9, 4.5)) < 1] = Tissue.VESSEL
    airway = _tube(right, front, (0, 20), (8.5, 8.5))
    canvas.tissue[airway < 1.5] = Tissue.LIGAMENT
    canvas.tissue[airway < 1] = Tissue.AIR
    skin = 34 + 9 * np.exp(-(((canvas.rows - 5) / 22) ** 2)) + 12 * np.clip((canvas.rows - 40) / 40, 0, 1)
    canvas.tissue[front > skin + rng.uniform(2, 8)] = Tissue.SKIN
    canvas.tissue[front > skin + rng.uniform(9, 11)] = Tissue.AIR


def _tube(right: Volume, front: Volume, centre: tuple[float, float], radii: tuple[float, float]) -> Volume:
    return ellipsoid((right - centre[0], radii[0]), (front - centre[1], radii[1]))


def _paint_skin(canvas: Canvas, spine: Spine, behind: Volume, streaks: Volume, rng: np.random.Generator) -> None:
    """Fat with thin septa under the skin of the back, which follows the spine's bends only in part."""
    wall = spine.curve.at(canvas.rows, spine.curve.y)[0, 0]
    tips = 2 * spine.canal.behind + spine.region.spinous[0] + 3
    smooth = gaussian_filter1d(wall, 25, mode="nearest")
    fat = rng.uniform(4, 22)
    fascia = np.minimum(0.65 * smooth + 0.35 * float(wall[wall > np.median(wall)].mean()) - tips - 2, wall - tips)
    fascia = gaussian_filter1d(fascia, 8, mode="nearest").astype(np.float32)
    skin = fascia - np.float32(fat)
    back = np.flatnonzero(canvas.y.min((0, 2)) < fascia.max())
    if not len(back):
        return
    near = np.s_[:, : int(back[-1]) + 1, :]
    part, y, width = canvas.tissue[near], canvas.y[near], canvas.x.shape[0] / 2
    y = y + 4 * (canvas.x[near] / width) ** 2
    deep: Mask = y < fascia
    part[deep] = Tissue.FAT
    part[deep & (np.abs(streaks[near]) < 0.1)] = Tissue.SEPTUM
    part[np.abs(y - fascia) < 1] = Tissue.LIGAMENT  # the fascia of the back
    part[y < skin + 2] = Tissue.SKIN
    part[y < skin] = Tissue.AIR
