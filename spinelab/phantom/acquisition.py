"""From tissues to an image: sequence, coil, slice profile, ghosts and noise, as one of three scanners gives them.

The signal equations are those of spin echo and inversion recovery (Bernstein, King and Zhou, Handbook of MRI Pulse
Sequences, 2004); noise of a magnitude image is Rician (Gudbjartsson and Patz, 1995).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spinelab.phantom.anatomy import Anatomy
from spinelab.phantom.canvas import FIELD_MM, Indices
from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.tissues import FAT_T1_MS, FAT_T2_MS, PROPERTIES, Properties, Tissue
from spinelab.types import Plane

SLICE_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Sequence:
    """A spin-echo sequence, with an inversion pulse before it if `inversion_time` is given; times in ms.

    Attributes:
        suffix: How BIDS calls it.
        repetition_time: TR.
        echo_time: TE.
        inversion_time: TI.
    """

    suffix: str
    repetition_time: float
    echo_time: float
    inversion_time: float | None = None


SEQUENCES = {
    "T1": Sequence("T1w", 550, 12),
    "T2": Sequence("T2w", 3500, 100),
    "STIR": Sequence("STIR", 4000, 60, 180),
}


@dataclass(frozen=True)
class Site:
    """How a hospital's scanner differs from the others.

    Attributes:
        name: Of the hospital.
        snr: Bright signal over the standard deviation of the noise.
        bias: Standard deviation of the logarithm of the coil's sensitivity.
        ghost: Strength of a motion ghost against the image.
        gain: Factor on the stored numbers.
        timing: Factor on the sequence's repetition and echo time.
        blur: Standard deviation of the in-plane blur, mm.
    """

    name: str
    snr: float
    bias: float
    ghost: float
    gain: float
    timing: float
    blur: float


SITES = (
    Site("A", snr=28, bias=0.20, ghost=0.02, gain=1.0, timing=1.0, blur=0.5),
    Site("B", snr=16, bias=0.35, ghost=0.05, gain=3.0, timing=1.15, blur=0.85),
    Site("C", snr=11, bias=0.30, ghost=0.09, gain=0.5, timing=0.85, blur=1.2),
)


def signal(tissue: Properties, sequence: Sequence, timing: float = 1.0) -> float:
    """Signal of a tissue: its water and its fat, each by the equation of the sequence.

    ``pd * |1 - exp(-TR/T1)| * exp(-TE/T2)``, and with an inversion pulse
    ``pd * |1 - 2 exp(-TI/T1) + exp(-TR/T1)| * exp(-TE/T2)``.

    Args:
        tissue: Proton density, relaxation times in ms and fat fraction.
        sequence: Times in ms.
        timing: Factor on TR and TE.
    """

    def echo(t1: float, t2: float) -> float:
        still_lost = math.exp(-sequence.repetition_time * timing / t1)
        if sequence.inversion_time is None:
            recovered = 1 - still_lost
        else:
            recovered = abs(1 - 2 * math.exp(-sequence.inversion_time / t1) + still_lost)
        return recovered * math.exp(-sequence.echo_time * timing / t2)

    water, fat = echo(tissue.t1, tissue.t2), echo(FAT_T1_MS, FAT_T2_MS)
    return tissue.proton_density * ((1 - tissue.fat_fraction) * water + tissue.fat_fraction * fat)


def acquire(
    rng: np.random.Generator,
    anatomy: Anatomy,
    sequence: Sequence,
    site: Site,
    plane: Plane = "sagittal",
    thickness_mm: int = 4,
) -> tuple[NDArray[np.int16], Indices, NDArray[np.float64]]:
    """Scan a person.

    Args:
        rng: For coil, ghosts and noise.
        anatomy: The person.
        sequence: What to weight by.
        site: The scanner.
        plane: Of the slices; 1 mm in plane.
        thickness_mm: Of the slices, without gaps.

    Returns:
        Image and label map on one grid (right, front, up), and the affine from voxels to mm from the field's middle.

    Raises:
        ValueError: The plane is unknown, or no slice of that thickness fits.
    """
    affine = slice_affine(plane, thickness_mm)
    image = _ideal_signal(anatomy, sequence, site) * _coil(rng, site)
    axis = SLICE_AXIS[plane]
    image = _average_slices(image, axis, thickness_mm)
    image = gaussian_filter(image, [0 if i == axis else site.blur for i in range(3)], truncate=3)
    image = _magnitude_with_noise(rng, _add_ghosts(rng, image, site.ghost, axis), site.snr)
    stored = np.clip(np.round(image * (1000 * site.gain)), 0, np.iinfo(np.int16).max).astype(np.int16)
    return stored, _majority_slices(anatomy.label, axis, thickness_mm), affine


def slice_affine(plane: Plane, thickness_mm: int) -> NDArray[np.float64]:
    """Voxel indices to mm from the middle of the field, for `acquire`.

    Raises:
        ValueError: The plane is unknown, or no slice of that thickness fits.
    """
    if plane not in SLICE_AXIS:
        raise ValueError(f"unknown plane {plane!r}; known: {', '.join(SLICE_AXIS)}")
    axis = SLICE_AXIS[plane]
    if not 1 <= thickness_mm <= FIELD_MM[axis]:
        raise ValueError(f"a {plane} slice is 1 to {FIELD_MM[axis]} mm thick, not {thickness_mm}")
    affine = np.eye(4)
    affine[:3, 3] = [-(n - 1) / 2 for n in FIELD_MM]
    affine[axis, axis] = thickness_mm
    affine[axis, 3] += (thickness_mm - 1) / 2  # from the first voxel's centre to the first slice's
    return affine


def _ideal_signal(anatomy: Anatomy, sequence: Sequence, site: Site) -> Volume:
    """Signal on the 1 mm grid; the T2 of a disc's nucleus falls with its degeneration."""
    own = [
        PROPERTIES[tissue]._replace(t1=PROPERTIES[tissue].t1 * float(t1), t2=PROPERTIES[tissue].t2 * float(t2))
        for tissue, (t1, t2) in zip(Tissue, anatomy.relaxation, strict=True)
    ]
    by_tissue = np.array([signal(tissue, sequence, site.timing) for tissue in own], np.float32)
    image = by_tissue[anatomy.tissue]
    nucleus = own[Tissue.NUCLEUS]
    grades = anatomy.measurements.disc_degeneration
    by_disc = [signal(nucleus._replace(t2=nucleus.t2 * (1 - 0.68 * g)), sequence, site.timing) for g in grades]
    where = anatomy.tissue == Tissue.NUCLEUS
    image[where] = np.array([0, *by_disc], np.float32)[anatomy.disc[where]]
    return image * anatomy.texture


def _coil(rng: np.random.Generator, site: Site) -> Volume:
    """Sensitivity of a surface coil under the back, falling towards the front, with slow waves."""
    y = np.arange(FIELD_MM[1], dtype=np.float32)[None, :, None] / FIELD_MM[1]
    return np.exp(smooth_field(rng, FIELD_MM, site.bias, 60) - 0.9 * np.clip(y - 0.08, 0, 1))


def _profile(thickness: int) -> NDArray[np.float32]:
    """How much each millimetre of a slice gives: a raised cosine, so the middle counts most."""
    weights = np.hanning(thickness + 2)[1:-1]
    return (weights / weights.sum()).astype(np.float32)


def _average_slices(volume: Volume, axis: int, thickness: int) -> Volume:
    weights = _profile(thickness)
    count = volume.shape[axis] // thickness
    moved = np.moveaxis(volume, axis, 0)[: count * thickness]
    total = sum(moved[i::thickness] * weight for i, weight in enumerate(weights))
    return np.ascontiguousarray(np.moveaxis(np.asarray(total), 0, axis))


def _majority_slices(labels: Indices, axis: int, thickness: int) -> Indices:
    """The label that gives most of each voxel's signal; the lower value if two give the same."""
    best = np.zeros(0, np.float32)
    out = np.zeros(0, np.uint8)
    for value in np.unique(labels):
        share = _average_slices((labels == value).astype(np.float32), axis, thickness)
        if not best.size:
            best, out = share, np.full(share.shape, value, np.uint8)
        out[share > best + 1e-6] = value
        best = np.maximum(best, share)
    return out


def _add_ghosts(rng: np.random.Generator, image: Volume, strength: float, slice_axis: int) -> Volume:
    """Shifted weak copies along the phase direction, from front to back (right to left in a coronal scan)."""
    axis = 1 if slice_axis != 1 else 0
    shift = int(rng.integers(7, 13))
    return image + np.float32(strength) * (np.roll(image, shift, axis) + np.roll(image, -shift, axis))


def _magnitude_with_noise(rng: np.random.Generator, image: Volume, snr: float) -> Volume:
    std = np.float32(np.percentile(image, 95) / snr)
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) * std for _ in range(2))
    return np.hypot(image + real, imaginary)
