"""From tissues to an image: coil, slice profile, resolution, ghosts and noise, as one of three scanners gives them.

Noise of a magnitude image is Rician (Gudbjartsson and Patz, Magnetic Resonance in Medicine 34:910, 1995).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from spinelab.phantom.anatomy import Anatomy
from spinelab.phantom.canvas import Field, Indices
from spinelab.phantom.grid import average_slices, majority_slices, resample_labels, resample_linearly
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.sequences import Sequence, signal
from spinelab.phantom.tissues import PROPERTIES, Tissue
from spinelab.types import Plane

SLICE_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Site:
    """How a hospital's scanner differs from the others.

    Attributes:
        name: Of the hospital.
        snr: Bright signal over the standard deviation of the noise.
        bias: Standard deviation of the logarithm of the coil's sensitivity.
        reach_mm: Depth over which the surface coil under the back loses two thirds of its sensitivity.
        ghost: Strength of a motion ghost against the image.
        gain: Factor on the stored numbers.
        timing: Factor on the sequence's repetition and echo time.
        blur: Standard deviation of the in-plane blur, mm.
        spacing: Its usual voxel size in plane, mm.
    """

    name: str
    snr: float
    bias: float
    reach_mm: float
    ghost: float
    gain: float
    timing: float
    blur: float
    spacing: float


SITES = (
    Site("A", snr=28, bias=0.20, reach_mm=90, ghost=0.02, gain=1.0, timing=1.0, blur=0.5, spacing=1.0),
    Site("B", snr=16, bias=0.35, reach_mm=70, ghost=0.05, gain=3.0, timing=1.15, blur=0.75, spacing=1.2),
    Site("C", snr=11, bias=0.30, reach_mm=80, ghost=0.09, gain=0.5, timing=0.85, blur=0.9, spacing=1.5),
)


@dataclass(frozen=True)
class Scan:
    """How the slices lie; `Parameters` of a data set say the same for all its scans.

    Attributes:
        plane: Of the slices.
        thickness_mm: Of the slices, without gaps; whole millimetres.
        spacing_mm: Voxel size in plane, 1 or more.
        skipped: Millimetres left out at the low end of x, y and z: where the slices begin.
    """

    plane: Plane = "sagittal"
    thickness_mm: int = 4
    spacing_mm: float = 1.0
    skipped: tuple[int, int, int] = (0, 0, 0)

    def affine(self, field: Field) -> NDArray[np.float64]:
        """Voxel indices to mm.

        Raises:
            ValueError: The plane is unknown, or no slice of that thickness fits.
        """
        if self.plane not in SLICE_AXIS:
            raise ValueError(f"unknown plane {self.plane!r}; known: {', '.join(SLICE_AXIS)}")
        axis = SLICE_AXIS[self.plane]
        if not 1 <= self.thickness_mm <= field.size[axis]:
            raise ValueError(f"a {self.plane} slice is 1 to {field.size[axis]} mm thick, not {self.thickness_mm}")
        if not 1 <= self.spacing_mm <= 8:
            raise ValueError(f"voxels are 1 to 8 mm wide in plane, not {self.spacing_mm}")
        sizes = [self.thickness_mm if i == axis else self.spacing_mm for i in range(3)]
        affine = np.diag([*sizes, 1.0])
        # From the centre of the first millimetre to the centre of the first voxel.
        affine[:3, 3] = [f + s + (n - 1) / 2 for f, s, n in zip(field.first, self.skipped, sizes, strict=True)]
        return affine


def acquire(
    rng: np.random.Generator, anatomy: Anatomy, sequence: Sequence, site: Site, scan: Scan
) -> tuple[NDArray[np.int16], Indices, NDArray[np.float64]]:
    """Scan a person.

    Args:
        rng: For coil, ghosts and noise.
        anatomy: The person.
        sequence: What to weight by.
        site: The scanner.
        scan: How the slices lie.

    Returns:
        Image and label map on one grid (right, front, up), and the affine from voxels to mm.

    Raises:
        ValueError: The plane is unknown, or no slice of that thickness fits.
    """
    affine, axis = scan.affine(anatomy.field), SLICE_AXIS[scan.plane]
    cut = tuple(slice(s, None) for s in scan.skipped)
    image = average_slices(_ideal_signal(anatomy, sequence, site)[cut], axis, scan.thickness_mm)
    label = majority_slices(anatomy.label[cut], axis, scan.thickness_mm)
    image *= _coil(rng, image.shape, site, axis, scan.thickness_mm)
    in_plane = [i for i in range(3) if i != axis]
    for i in in_plane:
        image = gaussian_filter1d(image, max(site.blur, 0.4 * scan.spacing_mm), i, truncate=3)
    if scan.spacing_mm != 1:
        for i in in_plane:
            image = resample_linearly(image, i, scan.spacing_mm)
            label = resample_labels(label, i, scan.spacing_mm)
    image = _magnitude_with_noise(rng, _add_ghosts(rng, image, site.ghost, axis), site.snr)
    stored = np.clip(np.round(image * (1000 * site.gain)), 0, np.iinfo(np.int16).max).astype(np.int16)
    return stored, label, affine


def _ideal_signal(anatomy: Anatomy, sequence: Sequence, site: Site) -> Volume:
    """Signal on the 1 mm grid; marrow differs from vertebra to vertebra, the nucleus of a disc with degeneration."""
    own = [
        PROPERTIES[tissue]._replace(t1=PROPERTIES[tissue].t1 * float(t1), t2=PROPERTIES[tissue].t2 * float(t2))
        for tissue, (t1, t2) in zip(Tissue, anatomy.relaxation, strict=True)
    ]
    by_tissue = np.array([signal(tissue, sequence, site.timing) for tissue in own], np.float32)
    image = by_tissue.take(anatomy.tissue)
    nucleus, marrow, levels = own[Tissue.NUCLEUS], own[Tissue.MARROW], anatomy.measurements.levels
    t2s = [nucleus.t2 * (1 - 0.68 * level.degeneration) for level in levels if np.isfinite(level.degeneration)]
    by_disc = [signal(nucleus._replace(t2=t2), sequence, site.timing) for t2 in t2s]
    by_level = [signal(marrow._replace(fat_fraction=v.fat_fraction), sequence, site.timing) for v in levels]
    parts = ((Tissue.NUCLEUS, anatomy.disc, by_disc), (Tissue.MARROW, anatomy.level, by_level))
    for tissue, number, values in parts:
        where = np.flatnonzero(anatomy.tissue.ravel() == tissue)
        image.reshape(-1)[where] = np.array([0, *values], np.float32)[number.ravel()[where]]
    image *= anatomy.texture
    return image


def _coil(rng: np.random.Generator, shape: tuple[int, ...], site: Site, axis: int, thickness: int) -> Volume:
    """Sensitivity of a surface coil under the back, falling towards the front, with slow waves."""
    steps = [thickness if i == axis else 1 for i in range(3)]
    waves = smooth_field(rng, shape, site.bias, [60 / step for step in steps])
    y = np.arange(shape[1], dtype=np.float32)[None, :, None] * steps[1]
    waves -= np.clip(y - 12, 0, None) / np.float32(site.reach_mm)
    return np.exp(waves, out=waves)


def _add_ghosts(rng: np.random.Generator, image: Volume, strength: float, slice_axis: int) -> Volume:
    """Shifted weak copies along the phase direction, from front to back (right to left in a coronal scan)."""
    axis = 1 if slice_axis != 1 else 0
    shift = int(rng.integers(7, 13))
    return image + np.float32(strength) * (np.roll(image, shift, axis) + np.roll(image, -shift, axis))


def _magnitude_with_noise(rng: np.random.Generator, image: Volume, snr: float) -> Volume:
    std = np.float32(np.percentile(image, 95) / snr)
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) * std for _ in range(2))
    return np.hypot(image + real, imaginary)
