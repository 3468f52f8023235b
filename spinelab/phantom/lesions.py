"""Four kinds of lesion: where each may lie, in which forms, and what it does to the cord."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from spinelab.phantom.canvas import Point
from spinelab.phantom.noise import Volume
from spinelab.phantom.spine import Spine

LesionKind = Literal["extradural", "intradural_extramedullary", "intramedullary", "haemangioma", "none"]
LESION_KINDS: tuple[LesionKind, ...] = get_args(LesionKind)

LesionForm = Literal["", "body", "posterior", "oedema", "syrinx", "typical", "aggressive"]
"""An extradural metastasis sits in the body or in the posterior elements; an intramedullary tumour has oedema or a
syrinx around it; an aggressive haemangioma has little fat and grows into the canal."""

CORD_BEHIND_MM = 0.6
"""The cord lies this far behind the middle of the sac."""


@dataclass(frozen=True)
class Lesion:
    """A lesion's place and size, in mm.

    Attributes:
        kind: One of `LESION_KINDS`.
        form: Which form of that kind.
        centre: In the sac (right, behind, z) for the two intradural kinds, else in the frame of the vertebra
            (right, behind, above).
        radii: Along the same three directions.
        vertebra: Index of the vertebra that it grows in, for the two kinds that do.
        epidural_depth: How far it grows into the canal; 0 if it does not.
    """

    kind: LesionKind
    form: LesionForm = ""
    centre: Point = (0.0, 0.0, 0.0)
    radii: Point = (1.0, 1.0, 1.0)
    vertebra: int | None = None
    epidural_depth: float = 0.0

    @property
    def compartment(self) -> str:
        """Where it lies, in words; empty without a lesion."""
        if self.vertebra is None:
            return "" if self.kind == "none" else self.kind
        place = "posterior_elements" if self.form == "posterior" else "vertebral_body"
        return f"{place}+epidural" if self.epidural_depth else place

    def grown(self, factor: float) -> Lesion:
        """The same lesion with `factor` times the volume, before its surroundings cut it off."""
        if self.kind == "intramedullary":  # it fills the cord already, and can only grow along it
            return replace(self, radii=(self.radii[0], self.radii[1], self.radii[2] * factor))
        radii = self.radii[0] * factor ** (1 / 3), self.radii[1] * factor ** (1 / 3), self.radii[2] * factor ** (1 / 3)
        return replace(self, radii=radii, epidural_depth=self.epidural_depth * factor ** (1 / 3))

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
    draw = {
        "intramedullary": _intramedullary,
        "intradural_extramedullary": _intradural,
        "extradural": _metastasis,
        "haemangioma": _haemangioma,
    }
    return draw[kind](rng, spine)


def _intradural(rng: np.random.Generator, spine: Spine) -> Lesion:
    canal = spine.canal
    radius = rng.uniform(0.42, 0.62) * canal.half_depth + 0.5
    side = rng.choice([-1.0, 1.0]) * rng.uniform(0.35, 0.6) * canal.half_width
    back = rng.uniform(-0.35, 0.45) * canal.half_depth
    z = spine.region.fields["narrow"].size[2] * rng.uniform(-0.3, 0.35)
    radii = (radius, 0.9 * radius, rng.uniform(6, 14))
    return Lesion("intradural_extramedullary", "", (float(side), back, z), radii)


def _intramedullary(rng: np.random.Generator, spine: Spine) -> Lesion:
    canal, top, size = spine.canal, spine.region.top, spine.region.fields["narrow"].size[2]
    z = top - rng.uniform(0.15, 0.85) * min(top - canal.conus, size)
    radii = (canal.cord_half_width * 1.2, canal.cord_half_depth * 1.2, rng.uniform(9, 22))
    return Lesion("intramedullary", "oedema" if rng.random() < 0.5 else "syrinx", (0.0, CORD_BEHIND_MM, z), radii)


def _metastasis(rng: np.random.Generator, spine: Spine) -> Lesion:
    """In the body it sits at the posterior wall, from where it grows into the canal."""
    index = int(rng.choice(spine.region.affected))
    body, size = spine.vertebrae[index], spine.vertebrae[index].half_depth
    radius, epidural = rng.uniform(0.55, 0.85) * size, rng.uniform(0.35, 0.95) * spine.canal.half_depth
    if rng.random() < 0.35:
        side, back = rng.choice([-1.0, 1.0]) * rng.uniform(4, 12), size + spine.canal.behind + rng.uniform(8, 16)
        centre = (float(side), back, rng.uniform(-0.3, 0.0) * body.height)
        return Lesion("extradural", "posterior", centre, (radius, radius, 0.85 * radius), index)
    centre = (rng.uniform(-0.35, 0.35) * size, rng.uniform(0.4, 0.75) * size, rng.uniform(-0.2, 0.2) * body.height)
    return Lesion("extradural", "body", centre, (radius, radius, 0.85 * radius), index, epidural)


def _haemangioma(rng: np.random.Generator, spine: Spine) -> Lesion:
    index = int(rng.choice(spine.region.affected))
    body, size = spine.vertebrae[index], spine.vertebrae[index].half_depth
    aggressive, radius = bool(rng.random() < 0.35), rng.uniform(0.4, 0.75) * size
    centre = (rng.uniform(-0.45, 0.45) * size, rng.uniform(-0.3, 0.6) * size, rng.uniform(-0.2, 0.2) * body.height)
    epidural = rng.uniform(0.35, 0.8) * spine.canal.half_depth
    if not aggressive:
        return Lesion("haemangioma", "typical", centre, (radius, radius, 0.85 * radius), index)
    centre, radius = (0.4 * centre[0], 0.3 * size, centre[2]), size * 0.95
    return Lesion("haemangioma", "aggressive", centre, (radius, radius, 0.9 * radius), index, epidural)
