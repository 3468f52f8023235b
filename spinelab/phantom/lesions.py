"""Four kinds of lesion: where each may lie, what it does to the cord, and how it is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from spinelab.phantom.canvas import FIELD_MM, Canvas, Point, ellipsoid
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.spine import Spine
from spinelab.phantom.tissues import Tissue

LesionKind = Literal["extradural", "intradural_extramedullary", "intramedullary", "haemangioma", "none"]
LESION_KINDS: tuple[LesionKind, ...] = get_args(LesionKind)

CORD_BEHIND_MM = 0.6
"""The cord lies this far behind the middle of the sac."""

_BODY = (Tissue.MARROW, Tissue.FATTY_MARROW, Tissue.MARROW_OEDEMA, Tissue.BASIVERTEBRAL_VEIN)
_BONE = (*_BODY, Tissue.CORTICAL_BONE, Tissue.POSTERIOR_BONE)
_EPIDURAL = (Tissue.FAT, Tissue.CSF, Tissue.CAUDA_EQUINA, Tissue.LIGAMENT)


@dataclass(frozen=True)
class Lesion:
    """A lesion's place and size, in mm.

    Attributes:
        kind: One of `LESION_KINDS`.
        centre: In the sac (right, behind, z) for the two intradural kinds, else in the frame of the vertebra
            (right, behind, above).
        radii: Along the same three directions.
        vertebra: Index of the vertebra that it grows in, for the two kinds that do.
        epidural_depth: How far an extradural lesion grows into the canal.
        oedema: Whether the cord around an intramedullary lesion is oedematous rather than cystic.
    """

    kind: LesionKind
    centre: Point = (0.0, 0.0, 0.0)
    radii: Point = (1.0, 1.0, 1.0)
    vertebra: int | None = None
    epidural_depth: float = 0.0
    oedema: bool = False

    def effect_on_cord(self, z: Volume) -> tuple[Volume, Volume, Volume]:
        """What the lesion does to the cord at height z.

        Returns:
            How far the cord is pushed to the right and back in mm, and by what fraction it swells.
        """
        zero = np.zeros((1, 1, 1), np.float32)
        if self.kind == "intramedullary":
            return zero, zero, 0.42 * np.exp(-(((z - self.centre[2]) / self.radii[2]) ** 4))
        if self.kind == "intradural_extramedullary":
            push = np.exp(-(((z - self.centre[2]) / (1.2 * self.radii[2])) ** 2)) * self.radii[0]
            return -0.75 * np.sign(self.centre[0]) * push, -0.35 * np.sign(self.centre[1]) * push, zero
        return zero, zero, zero


def draw_lesion(rng: np.random.Generator, kind: LesionKind, spine: Spine) -> Lesion:
    """Draw place and size of a lesion of the given kind.

    Raises:
        ValueError: The kind is not one of `LESION_KINDS`.
    """
    if kind not in LESION_KINDS:
        raise ValueError(f"unknown lesion kind {kind!r}; known: {', '.join(LESION_KINDS)}")
    if kind == "none":
        return Lesion(kind)
    draw = {"intramedullary": _intramedullary, "intradural_extramedullary": _intradural}.get(kind)
    return draw(rng, spine) if draw else _vertebral(rng, kind, spine)


def _intradural(rng: np.random.Generator, spine: Spine) -> Lesion:
    canal, radius = spine.canal, rng.uniform(3.2, 5)
    side = rng.choice([-1.0, 1.0]) * rng.uniform(0.35, 0.6) * canal.half_width
    back = rng.uniform(-0.35, 0.45) * canal.half_depth
    z = FIELD_MM[2] * rng.uniform(-0.3, 0.35)
    return Lesion("intradural_extramedullary", (float(side), back, z), (radius, 0.9 * radius, rng.uniform(6, 14)))


def _intramedullary(rng: np.random.Generator, spine: Spine) -> Lesion:
    canal, top = spine.canal, FIELD_MM[2] / 2
    z = top - rng.uniform(0.15, 0.85) * (top - canal.conus)
    radii = (canal.cord_half_width * 1.2, canal.cord_half_depth * 1.2, rng.uniform(9, 22))
    return Lesion("intramedullary", (0.0, CORD_BEHIND_MM, z), radii, oedema=bool(rng.random() < 0.5))


def _vertebral(rng: np.random.Generator, kind: LesionKind, spine: Spine) -> Lesion:
    index = int(rng.integers(1, 6))  # T11 to L3, which lie wholly in the field
    height = spine.vertebrae[index].height
    # A metastasis sits at the posterior wall, from where it grows into the canal.
    radius, behind = (rng.uniform(8, 13), (0.4, 0.75)) if kind == "extradural" else (rng.uniform(6, 12), (-0.3, 0.6))
    centre = (rng.uniform(-7, 7), rng.uniform(*behind) * spine.half_depth, rng.uniform(-0.2, 0.2) * height)
    return Lesion(kind, centre, (radius, radius, 0.85 * radius), index, rng.uniform(2, 7))


def paint_lesion(
    canvas: Canvas, sac: tuple[Canvas, Volume, Volume], spine: Spine, lesion: Lesion, rng: np.random.Generator
) -> None:
    """Paint the lesion into the compartment that it belongs to, and nowhere else.

    Args:
        canvas: The whole field.
        sac: What `canal_window` gave: the part around the canal, distance to the right of and behind its middle.
        spine: The person's proportions.
        lesion: What to paint.
        rng: For the ragged outline.
    """
    if lesion.kind in ("extradural", "haemangioma"):
        _paint_in_bone(canvas, spine, lesion, rng)
    if lesion.kind == "extradural":
        _paint_epidural(sac, spine, lesion)
    if lesion.kind == "intramedullary":
        _paint_intramedullary(sac, lesion, rng)
    if lesion.kind == "intradural_extramedullary":
        part, right, behind = sac
        room = np.isin(part.tissue, [Tissue.CSF, Tissue.CAUDA_EQUINA, Tissue.CORD])
        part.tissue[(_from_centre(lesion, right, behind, part.z) < 1) & room] = Tissue.INTRADURAL_TUMOUR


def _from_centre(lesion: Lesion, *axes: Volume) -> Volume:
    """Squared distance from the lesion's centre in radii."""
    return ellipsoid(*((axis - c, r) for axis, c, r in zip(axes, lesion.centre, lesion.radii, strict=True)))


def _paint_in_bone(canvas: Canvas, spine: Spine, lesion: Lesion, rng: np.random.Generator) -> None:
    assert lesion.vertebra is not None
    vertebra, reach = spine.vertebrae[lesion.vertebra], lesion.radii[0] + 8
    part = canvas.window(vertebra.frame.place(*lesion.centre), (reach, reach, reach))
    distance = np.sqrt(_from_centre(lesion, *vertebra.frame.local(part.x, part.y, part.z))) * lesion.radii[0]
    blob = distance + smooth_field(rng, distance.shape, 1.6, 7) < lesion.radii[0]
    own = (part.level == lesion.vertebra + 1) | (part.level == 0)
    if lesion.kind == "extradural":
        part.tissue[blob & own & np.isin(part.tissue, _BONE)] = Tissue.METASTASIS
        return
    blob &= own & np.isin(part.tissue, _BODY)
    part.tissue[blob] = Tissue.HAEMANGIOMA
    upright = np.sin(part.x * 2.1) + np.sin(part.y * 2.1) > 0.9  # thick vertical trabeculae: dots on an axial slice
    part.tissue[blob & upright] = Tissue.HAEMANGIOMA_TRABECULA


def _paint_epidural(sac: tuple[Canvas, Volume, Volume], spine: Spine, lesion: Lesion) -> None:
    """The part of an extradural lesion that grows from the posterior wall into the canal."""
    assert lesion.vertebra is not None
    part, right, behind = sac
    vertebra, canal = spine.vertebrae[lesion.vertebra], spine.canal
    from_wall = behind + canal.behind - spine.half_depth + 1
    across = (right - 0.3 * lesion.centre[0], canal.half_width * 0.95), (from_wall, lesion.epidural_depth + 1)
    tongue = ellipsoid(*across, (part.z - vertebra.frame.centre[2], 0.62 * vertebra.height)) < 1
    inside = ellipsoid((right, canal.half_width + 3.2), (behind, canal.half_depth + 2.8)) < 1
    room = np.isin(part.tissue, _EPIDURAL) & inside & ~part.solid()
    part.tissue[tongue & room] = Tissue.METASTASIS


def _paint_intramedullary(sac: tuple[Canvas, Volume, Volume], lesion: Lesion, rng: np.random.Generator) -> None:
    part, right, behind = sac
    cord = part.tissue == Tissue.CORD
    ragged = _from_centre(lesion, right, behind, part.z) + smooth_field(rng, right.shape, 0.18, 6)
    tumour = (ragged < 1) & cord
    core = ellipsoid((right, 2.0), (behind - CORD_BEHIND_MM, 1.6)) < 1
    core &= np.abs(part.z - lesion.centre[2]) < 1.9 * lesion.radii[2]
    part.tissue[core & cord] = Tissue.CORD_OEDEMA if lesion.oedema else Tissue.SYRINX
    part.tissue[tumour] = Tissue.INTRAMEDULLARY_TUMOUR
