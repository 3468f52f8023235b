"""Painting a lesion into the compartment that it belongs to, and nowhere else."""

from __future__ import annotations

import numpy as np

from spinelab.phantom.canal import Sac
from spinelab.phantom.canvas import Canvas, Mask, ellipsoid
from spinelab.phantom.lesions import CORD_BEHIND_MM, Lesion
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.spine import Spine
from spinelab.phantom.tissues import Tissue

_MARROW = (Tissue.MARROW, Tissue.FATTY_MARROW, Tissue.MARROW_OEDEMA, Tissue.BASIVERTEBRAL_VEIN)
_ARCH = (Tissue.POSTERIOR_BONE, Tissue.POSTERIOR_CORTEX)
_AROUND = (Tissue.FAT, Tissue.LIGAMENT, Tissue.MUSCLE, Tissue.FATTY_MUSCLE)
_EPIDURAL = (Tissue.FAT, Tissue.CSF, Tissue.FLOW_VOID, Tissue.CAUDA_EQUINA, Tissue.LIGAMENT)
_INTRADURAL = (Tissue.CSF, Tissue.FLOW_VOID, Tissue.CAUDA_EQUINA, Tissue.CORD)


def paint_lesion(canvas: Canvas, sac: Sac, spine: Spine, lesion: Lesion, rng: np.random.Generator) -> None:
    """Paint a lesion.

    Args:
        canvas: The whole field.
        sac: The part of it around the canal.
        spine: The person's proportions.
        lesion: What to paint.
        rng: For the ragged outline; the same numbers give the same outline at every size.
    """
    if lesion.vertebra is not None:
        _paint_in_bone(canvas, spine, lesion, rng)
    if lesion.epidural_depth:
        _paint_epidural(sac, spine, lesion)
    if lesion.kind == "intramedullary":
        _paint_intramedullary(sac, lesion, rng)
    if lesion.kind == "intradural_extramedullary":
        inside = _from_centre(lesion, sac.right, sac.behind, sac.part.z) < 1
        inside[inside] = np.isin(sac.part.tissue[inside], _INTRADURAL)
        sac.part.tissue[inside] = Tissue.INTRADURAL_TUMOUR


def _from_centre(lesion: Lesion, *axes: Volume) -> Volume:
    """Squared distance from the lesion's centre in radii."""
    return ellipsoid(*((axis - c, r) for axis, c, r in zip(axes, lesion.centre, lesion.radii, strict=True)))


def _paint_in_bone(canvas: Canvas, spine: Spine, lesion: Lesion, rng: np.random.Generator) -> None:
    assert lesion.vertebra is not None
    vertebra = spine.vertebrae[lesion.vertebra]
    part = canvas.window(vertebra.frame.place(*lesion.centre), (30, 30, 30))  # one size, so one outline, for all visits
    distance = np.sqrt(_from_centre(lesion, *vertebra.frame.local(part.x, part.y, part.z)))
    blob = distance + smooth_field(rng, distance.shape, 0.14, 7) < 1
    own = part.level == lesion.vertebra + 1
    if lesion.kind == "extradural":
        around = _AROUND if lesion.form == "posterior" else ()
        other = (part.level == 0) & np.isin(part.tissue, (*_ARCH, *around)) & ~_inside_canal(spine, part)
        part.tissue[blob & (own | other)] = Tissue.METASTASIS
        return
    blob &= own & np.isin(part.tissue, _MARROW)
    part.tissue[blob] = Tissue.HAEMANGIOMA if lesion.form == "typical" else Tissue.AGGRESSIVE_HAEMANGIOMA
    upright = np.sin(part.x * 2.1) + np.sin(part.y * 2.1) > 0.9  # thick vertical trabeculae: dots on an axial slice
    part.tissue[blob & upright] = Tissue.HAEMANGIOMA_TRABECULA


def _inside_canal(spine: Spine, part: Canvas) -> Mask:
    """Where the arch surrounds the sac; a metastasis of the arch stays outside."""
    curve, canal = spine.curve, spine.canal
    right = part.x - curve.at(part.rows, curve.x)
    behind = (curve.at(part.rows, curve.y) - part.y) * np.cos(curve.at(part.rows, curve.tilt)) - canal.behind
    return ellipsoid((right, canal.half_width + 1.5), (behind, canal.half_depth + 1.5)) < 1


def _paint_epidural(sac: Sac, spine: Spine, lesion: Lesion) -> None:
    """The part of a lesion of the body that grows from the posterior wall into the canal."""
    assert lesion.vertebra is not None
    vertebra, canal = spine.vertebrae[lesion.vertebra], spine.canal
    from_wall = sac.behind + canal.behind + 1
    across = (sac.right - 0.3 * lesion.centre[0], canal.half_width * 0.95), (from_wall, lesion.epidural_depth + 1)
    wall = vertebra.frame.place(0, vertebra.half_depth, 0)[2]
    tongue = ellipsoid(*across, (sac.part.z - wall, 0.55 * vertebra.height)) < 1
    tongue &= sac.within(3.2) & ~sac.part.solid()
    tongue[tongue] = np.isin(sac.part.tissue[tongue], _EPIDURAL)
    metastasis = lesion.kind == "extradural"
    sac.part.tissue[tongue] = Tissue.METASTASIS if metastasis else Tissue.AGGRESSIVE_HAEMANGIOMA


def _paint_intramedullary(sac: Sac, lesion: Lesion, rng: np.random.Generator) -> None:
    """The tumour, and beyond its poles a syrinx in the middle of the cord or oedema in most of it."""
    cord = sac.part.tissue == Tissue.CORD
    ragged = _from_centre(lesion, sac.right, sac.behind, sac.part.z) + smooth_field(rng, sac.right.shape, 0.18, 6)
    oedema = lesion.form == "oedema"
    half_width, half_depth = (lesion.radii[0] / 1.5, lesion.radii[1] / 1.5) if oedema else (2.0, 1.6)
    core = ellipsoid((sac.right, half_width), (sac.behind - CORD_BEHIND_MM, half_depth)) < 1
    core &= np.abs(sac.part.z - lesion.centre[2]) < 1.9 * lesion.radii[2]
    sac.part.tissue[core & cord] = Tissue.CORD_OEDEMA if oedema else Tissue.SYRINX
    sac.part.tissue[(ragged < 1) & cord] = Tissue.INTRAMEDULLARY_TUMOUR
