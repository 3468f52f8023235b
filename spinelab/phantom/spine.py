"""The proportions of one person's spine, drawn before anything is painted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spinelab.phantom.canvas import Frame
from spinelab.phantom.noise import Volume
from spinelab.phantom.regions import Range, Region

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """How often a person has a finding, 0 to 1.

    Attributes:
        fractures: A wedge fracture of one body.
        scoliosis: A sideways bend of 12 to 30 degrees (Cobb); everybody else has less than 5.
    """

    fractures: float = 0.25
    scoliosis: float = 0.2

    def __post_init__(self) -> None:
        if not (0 <= self.fractures <= 1 and 0 <= self.scoliosis <= 1):
            raise ValueError(f"fractures and scoliosis are rates from 0 to 1, not {self.fractures}, {self.scoliosis}")


USUAL = Rates()


@dataclass(frozen=True, eq=False)
class Curve:
    """The line along the posterior walls of the bodies, as a table over rising z (mm and radians).

    Attributes:
        z: Height.
        x: Sideways position.
        y: Position from back to front.
        tilt: Sagittal angle; positive leans to the front.
        roll: Coronal angle; positive leans to the right.
        length: Along the line, from its top.
    """

    z: Values
    x: Values
    y: Values
    tilt: Values
    roll: Values
    length: Values

    def at(self, z: Volume, what: Values) -> Volume:
        """One of the table's columns at height z."""
        return np.interp(z, self.z, what).astype(np.float32)

    def frame(self, length: float) -> Frame:
        """The frame that stands on the line, this far along it."""
        z = float(np.interp(length, self.length[::-1], self.z[::-1]))
        x, y, tilt, roll = (float(np.interp(z, self.z, column)) for column in (self.x, self.y, self.tilt, self.roll))
        return Frame((x, y, z), tilt, roll)


@dataclass(frozen=True)
class Vertebra:
    """A vertebral body; all lengths in mm.

    Attributes:
        frame: Its centre and lean.
        height: At the posterior wall.
        half_width: From the middle to the side.
        half_depth: From the middle to the front.
        opening: How much higher the anterior wall was made than the posterior; negative where the spine is kyphotic.
        kept: Part of the anterior height that a wedge fracture has left; 1 without one.
        oedema: Whether the marrow below the upper endplate is oedematous (a fresh fracture).
        fat_fraction: Of its normal marrow.
    """

    frame: Frame
    height: float
    half_width: float
    half_depth: float
    opening: float = 0.0
    kept: float = 1.0
    oedema: bool = False
    fat_fraction: float = 0.45

    def endplates(self, right: Volume, behind: Volume) -> tuple[Volume, Volume]:
        """How far the upper endplate lies above the middle, and the lower one below it, mm."""
        aside, along = np.abs(right / self.half_width), np.abs(behind / self.half_depth)
        hollow = 1 - 0.12 * np.clip(1 - aside**2.6 - along**2.6, 0, 1)
        forward = np.clip((self.half_depth - behind) / (2 * self.half_depth), 0, 1)
        half = self.height / 2 * hollow + self.opening / 2 * forward
        return half - self.height * (1 - self.kept) * forward, half


@dataclass(frozen=True)
class Disc:
    """An intervertebral disc; all lengths in mm.

    Attributes:
        frame: Its middle and lean.
        height: Between the endplates at the posterior walls.
        half_width: From the middle to the side.
        half_depth: From the middle to the front.
        degeneration: From 0 (white nucleus on T2) to 1 (black and flat).
        bulge: How far it stands out all around.
        protrusion: How far a part of it stands out into the canal.
        protrusion_side: Where, to the right of the middle.
        modic: 1 (oedema) or 2 (fat) in the marrow beside it, 0 for neither (Modic et al., Radiology 166:193, 1988).
    """

    frame: Frame
    height: float
    half_width: float
    half_depth: float
    degeneration: float
    bulge: float
    protrusion: float
    protrusion_side: float
    modic: int


@dataclass(frozen=True)
class Canal:
    """The spinal canal with what lies in it; all lengths in mm.

    Attributes:
        half_width: Of the dural sac, right to left.
        half_depth: Of the dural sac, front to back.
        behind: From the posterior walls to the middle of the sac.
        conus: Height z at which the cord begins to taper to its end; far below the field where it goes on.
        end: Height z below which the sac tapers, in the sacrum.
        cord_half_width: Right to left.
        cord_half_depth: Front to back.
    """

    half_width: float
    half_depth: float
    behind: float
    conus: float
    end: float
    cord_half_width: float
    cord_half_depth: float


@dataclass(frozen=True)
class Spine:
    """One person's proportions.

    Attributes:
        region: Which part of the spine.
        curve: The line along the posterior walls.
        vertebrae: One each of the region's levels.
        sacrum: Its segments from the top; none outside of the lumbar region.
        discs: `discs[k]` lies below `vertebrae[k]`.
        canal: The dural sac and the cord.
        fractured: Index of the fractured vertebra, if there is one.
    """

    region: Region
    curve: Curve
    vertebrae: tuple[Vertebra, ...]
    sacrum: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    canal: Canal
    fractured: int | None


def draw_spine(rng: np.random.Generator, region: Region, rates: Rates = USUAL) -> Spine:
    """Draw the proportions of an adult's spine.

    Args:
        rng: The person's own.
        region: Typical sizes.
        rates: How often there is a fracture or a scoliosis.
    """
    curve = draw_curve(rng, region, rates.scoliosis)
    count = len(region.levels)
    fractured = int(rng.choice(region.fractured)) if rng.random() < rates.fractures else None
    size, fat = rng.uniform(0.93, 1.07), rng.uniform(0.3, 0.55)
    degeneration = rng.uniform(0, 1, count)
    heights = _between(region.heights, count) * size * rng.uniform(0.96, 1.04, count)
    if fractured is not None:
        heights[fractured] *= rng.uniform(0.8, 0.97)
    gaps = _between(region.gaps, count) * rng.uniform(0.85, 1.15, count) * (1 - 0.4 * degeneration)
    sacral = np.array([1.05, 0.9, 0.75, 0.62]) * heights[-1] if region.surroundings == "abdomen" else np.zeros(0)
    every, between = np.concatenate([heights, sacral]), np.concatenate([gaps, np.full(len(sacral), 2.5)])
    first = float(np.interp(region.top - rng.uniform(*region.first_centre), curve.z, curve.length))
    middles = first + np.cumsum([0, *((every[:-1] + every[1:]) / 2 + between[: len(every) - 1])])
    widths, depths = (_between(r, count) * size for r in (region.half_widths, region.half_depths))
    bodies = tuple(
        _body(rng, curve, middles[k], heights[k], widths[k], depths[k], fat + 0.012 * k, k == fractured)
        for k in range(count)
    )
    sacrum = tuple(
        _body(rng, curve, s, h, widths[-1] * f, depths[-1] * f, fat + 0.1, False)
        for s, h, f in zip(middles[count:], sacral, (1.02, 0.78, 0.6, 0.45), strict=False)
    )
    edges = middles[:count] + heights / 2 + gaps / 2
    discs = tuple(
        _disc(rng, curve.frame(e), bodies[k], float(gaps[k]), float(degeneration[k])) for k, e in enumerate(edges)
    )
    canal = _draw_canal(rng, region, sacrum)
    return Spine(region, curve, bodies, sacrum, discs if sacrum else discs[:-1], canal, fractured)


def draw_curve(rng: np.random.Generator, region: Region, scoliosis: float) -> Curve:
    """Draw how the spine is bent: the region's typical tilts, stretched, shifted and smoothed, and a sideways wave."""
    z = np.arange(region.top - 380.0, region.top + 81)
    depths, degrees = np.array(region.tilts).T
    tilt = np.interp(region.top - z + rng.uniform(-8, 8), depths, degrees * rng.uniform(0.75, 1.25)) + rng.uniform(
        -2, 2
    )
    tilt = np.radians(gaussian_filter1d(tilt, 12, mode="nearest"))
    cobb = rng.uniform(12, 30) if rng.random() < scoliosis else rng.uniform(0, 4)
    wave = np.sin(2 * math.pi * (z / rng.uniform(130, 170) + rng.uniform()))
    roll = np.radians(cobb) / 2 * wave
    narrow = (z > region.top - region.fields["narrow"].size[2]) & (z < region.top)
    x, y = (np.cumsum(np.tan(angle)) for angle in (roll, tilt))
    length = np.cumsum(np.sqrt(1 + np.tan(tilt) ** 2 + np.tan(roll) ** 2)[::-1])[::-1]
    return Curve(z, x - x[narrow].mean(), y - y[narrow].mean(), tilt, roll, length)


def _between(ends: Range, count: int) -> Values:
    return np.linspace(*ends, count)


def _body(
    rng: np.random.Generator,
    curve: Curve,
    at: float,
    height: float,
    width: float,
    depth: float,
    fat: float,
    broken: bool,
) -> Vertebra:
    """Half of the bend over a body is in its own shape, the rest in the discs."""
    wall = curve.frame(at)
    bend = curve.frame(at + height / 2).tilt - curve.frame(at - height / 2).tilt
    frame = Frame(wall.place(0, -depth, 0), wall.tilt, wall.roll)
    kept, oedema = (rng.uniform(0.5, 0.78), bool(rng.random() < 0.5)) if broken else (1.0, False)
    fat_fraction = float(np.clip(fat + rng.uniform(-0.04, 0.04), 0.2, 0.8))
    return Vertebra(frame, height, width, depth, 2 * depth * math.tan(0.5 * bend), kept, oedema, fat_fraction)


def _disc(rng: np.random.Generator, wall: Frame, above: Vertebra, height: float, degeneration: float) -> Disc:
    small = above.half_depth / 15
    protrusion = small * rng.uniform(2.5, 5.5) if rng.random() < 0.1 + 0.3 * degeneration else 0.0
    modic = int(rng.integers(1, 3)) if rng.random() < 0.5 * (degeneration > 0.65) else 0
    frame = Frame(wall.place(0, -above.half_depth, 0), wall.tilt, wall.roll)
    bulge, side = small * rng.uniform(0, 2), rng.uniform(-4, 4)
    return Disc(frame, height, above.half_width, above.half_depth, degeneration, bulge, protrusion, side, modic)


def _draw_canal(rng: np.random.Generator, region: Region, sacrum: tuple[Vertebra, ...]) -> Canal:
    half_depth, below = rng.uniform(*region.sac_half_depths), region.top - 400
    return Canal(
        half_width=rng.uniform(*region.sac_half_widths),
        half_depth=half_depth,
        behind=half_depth + rng.uniform(0.2, 1.0),
        conus=region.top - rng.uniform(*region.conus) if region.conus else below,
        end=sacrum[0].frame.centre[2] if sacrum else below,
        cord_half_width=rng.uniform(*region.cord_half_widths),
        cord_half_depth=rng.uniform(*region.cord_half_depths),
    )
