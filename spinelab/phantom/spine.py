"""The proportions of one person's spine, drawn before anything is painted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.canvas import FIELD_MM, Frame
from spinelab.phantom.noise import Volume

LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
"""Vertebrae from the top; the first and the last are usually cut off by the field."""

Values = NDArray[np.float64]

_HEIGHT = FIELD_MM[2]
_TOP = _HEIGHT / 2


@dataclass(frozen=True)
class Curve:
    """The line through the centres of the vertebral bodies.

    Attributes:
        lordosis: How far it swings to the front, mm.
        lordosis_phase: Where it starts to, as a part of the field's height from the top.
        scoliosis: How far it swings sideways, mm.
        scoliosis_waves: Sideways waves over the field's height.
    """

    lordosis: float
    lordosis_phase: float
    scoliosis: float
    scoliosis_waves: float

    def x(self, z: Volume) -> Volume:
        """Sideways position at height z, mm."""
        depth = (_TOP - z) / _HEIGHT
        wave = np.sin(2 * math.pi * self.scoliosis_waves * depth + 6 * self.lordosis_phase)
        return np.multiply(wave, self.scoliosis, dtype=np.float32)

    def y(self, z: Volume) -> Volume:
        """Position from back to front at height z, mm."""
        depth = np.clip((_TOP - z) / _HEIGHT, -0.2, 1.3) - self.lordosis_phase
        return np.add(self.lordosis * np.sin(math.pi * 1.15 * depth), 0.1 * FIELD_MM[1], dtype=np.float32)

    def frame(self, z: float) -> Frame:
        """The frame on the line at height z, tilted along it."""
        at = np.array([z, z + 2, z - 2], np.float32)
        y = self.y(at)
        return Frame((float(self.x(at)[0]), float(y[0]), z), math.atan(float(y[1] - y[2]) / 4))


@dataclass(frozen=True)
class Vertebra:
    """A vertebral body; all lengths in mm.

    Attributes:
        frame: Its centre and tilt.
        height: At the posterior wall.
        half_width: From the middle to the side.
        anterior_ratio: Height of the anterior wall over the posterior; below 1 after a wedge fracture.
        oedema: Whether the marrow below the upper endplate is oedematous (a fresh fracture).
    """

    frame: Frame
    height: float
    half_width: float
    anterior_ratio: float = 1.0
    oedema: bool = False


@dataclass(frozen=True)
class Disc:
    """An intervertebral disc; all lengths in mm.

    Attributes:
        frame: Its centre and tilt.
        height: Between the endplates.
        degeneration: From 0 (white nucleus on T2) to 1 (black and flat).
        bulge: How far it stands out all around.
        protrusion: How far a part of it stands out into the canal.
        protrusion_side: Where, to the right of the middle.
    """

    frame: Frame
    height: float
    degeneration: float
    bulge: float
    protrusion: float
    protrusion_side: float


@dataclass(frozen=True)
class Canal:
    """The spinal canal with what lies in it; all lengths in mm.

    Attributes:
        half_width: Of the dural sac, right to left.
        half_depth: Of the dural sac, front to back.
        behind: From the line of the bodies to the middle of the sac.
        conus: Height z at which the cord begins to taper to its end.
        cord_half_width: Right to left.
        cord_half_depth: Front to back.
    """

    half_width: float
    half_depth: float
    behind: float
    conus: float
    cord_half_width: float
    cord_half_depth: float


@dataclass(frozen=True)
class Spine:
    """One person's proportions.

    Attributes:
        curve: The line through the bodies.
        half_depth: Of every vertebral body, front to back, mm.
        vertebrae: One each of `LEVELS`.
        discs: `discs[k]` lies below `vertebrae[k]`.
        canal: The dural sac and the cord.
        fractured: Index of the fractured vertebra, if there is one.
    """

    curve: Curve
    half_depth: float
    vertebrae: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    canal: Canal
    fractured: int | None


def draw_spine(rng: np.random.Generator) -> Spine:
    """Draw the proportions of an adult thoracolumbar spine; one in four has a compression fracture at T12 to L2."""
    curve = Curve(rng.uniform(6, 14), rng.uniform(0.2, 0.45), rng.uniform(-5, 5), rng.uniform(0.4, 0.8))
    half_depth, half_width = rng.uniform(14, 17), rng.uniform(19, 23)
    fractured = int(rng.integers(2, 5)) if rng.random() < 0.25 else None
    heights = _body_heights(rng, fractured)
    degeneration = rng.uniform(0, 1, len(LEVELS) - 1)
    gaps = _gaps(rng, degeneration)
    centres = _TOP - rng.uniform(-12, 6) - np.cumsum([0, *((heights[:-1] + heights[1:]) / 2 + gaps)])
    vertebrae = tuple(
        _vertebra(rng, curve.frame(float(z)), float(height), half_width * (0.9 + 0.03 * k), k == fractured)
        for k, (z, height) in enumerate(zip(centres, heights, strict=True))
    )
    middles = (centres[:-1] - heights[:-1] / 2 + centres[1:] + heights[1:] / 2) / 2
    discs = tuple(
        _disc(rng, curve.frame(float(z)), float(gap), float(grade))
        for z, gap, grade in zip(middles, gaps, degeneration, strict=True)
    )
    return Spine(curve, half_depth, vertebrae, discs, _draw_canal(rng, half_depth), fractured)


def _body_heights(rng: np.random.Generator, fractured: int | None) -> Values:
    growth = 0.83 + 0.03 * np.arange(len(LEVELS))
    heights = rng.uniform(24.5, 28.5) * growth * rng.uniform(0.95, 1.05, len(LEVELS))
    if fractured is not None:
        heights[fractured] *= rng.uniform(0.75, 0.95)
    return heights


def _gaps(rng: np.random.Generator, degeneration: Values) -> Values:
    growth = (0.72 + 0.07 * np.arange(len(degeneration))) * rng.uniform(0.85, 1.15, len(degeneration))
    return rng.uniform(8, 12) * growth * (1 - 0.3 * degeneration)


def _vertebra(rng: np.random.Generator, frame: Frame, height: float, half_width: float, fractured: bool) -> Vertebra:
    if not fractured:
        return Vertebra(frame, height, half_width)
    return Vertebra(frame, height, half_width, rng.uniform(0.5, 0.75), bool(rng.random() < 0.5))


def _disc(rng: np.random.Generator, frame: Frame, height: float, degeneration: float) -> Disc:
    protrusion = rng.uniform(2.5, 5.5) if rng.random() < 0.1 + 0.3 * degeneration else 0.0
    return Disc(frame, height, degeneration, rng.uniform(0, 2), protrusion, rng.uniform(-4, 4))


def _draw_canal(rng: np.random.Generator, half_depth: float) -> Canal:
    return Canal(
        half_width=rng.uniform(8.5, 11),
        half_depth=rng.uniform(6.2, 7.8),
        behind=half_depth + rng.uniform(8, 9),
        conus=_TOP - rng.uniform(0.38, 0.62) * _HEIGHT,
        cord_half_width=rng.uniform(4.6, 5.8),
        cord_half_depth=rng.uniform(3.2, 3.9),
    )
