"""Scans made worse on purpose, step by step: how much of that a network bears is part of how well it generalises.

The scan itself is changed, before any preprocessing, as it would come from a worse scanner. What is drawn at random
depends on the case, the effect and the channel alone: every network sees the same scans, and the levels of an effect
differ in its strength and not in the draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinelab.data.slices.mri import LowResolution, RicianNoise
from spinelab.data.slices.random_fields import normal
from spinelab.data.volumes.geometry import make_geometry
from spinelab.data.volumes.io import RawVolume, read_volume
from spinelab.data.volumes.nifti import write_nifti_affine
from spinelab.phantom.noise import smooth_field
from spinelab.types import Case, Files, Plane

Volume = NDArray[np.float32]

LEVELS: Mapping[str, tuple[float, ...]] = {
    "noise": (0.0, 0.02, 0.05, 0.1, 0.2),
    "resolution": (1.0, 1.5, 2.0, 3.0, 4.0),
    "bias_field": (0.0, 0.2, 0.4, 0.6, 0.8),
}
"""Effect -> its strengths; the first is the scan as it is. See `rician_noise`, `low_resolution` and `bias_field`."""
VERSION = 1
"""Of what the levels do to a scan: raise it when that changes, and older scores are not taken for new ones."""
KNOTS = 3
"""A bias field's knots on the longest side of a scan: about as many blobs as a surface coil makes."""
_NO_MASK = np.zeros((0, 0), np.uint8)


def degraded_case(case: Case, effect: str, level: int, plane: Plane, folder: Path) -> Case:
    """The same case with worse scans, which are written to a folder: NIfTI, or TIFF for a stack of pictures.

    Args:
        case: As a source listed it; its masks stay.
        effect: One of `LEVELS`.
        level: Which of its strengths; level 0 is the case itself, and nothing is written.
        plane: The slices, for what happens within them.
        folder: Where to write.

    Raises:
        ValueError: There is no such effect or level.
        DataError: A scan cannot be read.
    """
    if effect not in LEVELS or not 0 <= level < len(LEVELS[effect]):
        known = ", ".join(f"{name} (0 to {len(strengths) - 1})" for name, strengths in LEVELS.items())
        raise ValueError(f"effects and their levels are {known}, not {effect} {level}")
    if level == 0:
        return case
    images = []
    for channel, files in enumerate(case.images):
        seed = hashlib.sha256(f"{case.name}/{effect}/{channel}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(seed[:8], "little"))
        worse = degrade(read_volume(files), effect, LEVELS[effect][level], plane, rng)
        images.append(_write(worse, folder / str(channel)))
    return replace(case, images=tuple(images))


def degrade(
    volume: RawVolume, effect: str, strength: float, plane: Plane = "sagittal", rng: np.random.Generator | None = None
) -> RawVolume:
    """A worse scan on the same grid, float32.

    A scan with values below zero (as of CT) is taken as if its smallest value meant no signal.

    Args:
        volume: The scan.
        effect: One of `LEVELS`.
        strength: In the effect's own measure.
        plane: The slices, for what happens within them.
        rng: Source of noise and field.

    Raises:
        ValueError: There is no such effect, or the strength is out of its range.
    """
    if effect not in CHANGES:
        raise ValueError(f"effects are {', '.join(CHANGES)}, not {effect!r}")
    array = volume.array.astype(np.float32)
    floor = min(np.float32(0), array.min())
    geometry = make_geometry(volume, plane)
    spacing = tuple(1.0 if np.isnan(size) else size for size in geometry.raw_spacing)
    changed = CHANGES[effect](geometry.orient(array - floor), strength, spacing, rng or np.random.default_rng(0))
    restored = np.ascontiguousarray(geometry.restore(changed + floor), np.float32)
    return RawVolume(restored, volume.affine)


def rician_noise(slices: Volume, strength: float, spacing: tuple[float, ...], rng: np.random.Generator) -> Volume:
    """Noise of a magnitude image (Gudbjartsson and Patz 1995), in every slice.

    Args:
        slices: (S, H, W), not negative.
        strength: Standard deviation in either part of the complex signal, as part of `robust_range`.
        spacing: Not used.
        rng: Source of the noise.

    Raises:
        ValueError: The strength is negative.
    """
    if strength < 0:
        raise ValueError(f"noise has a standard deviation from 0, not {strength}")
    return add_rician(slices, strength * robust_range(slices), rng)


def add_rician(slices: Volume, sigma: float, rng: np.random.Generator) -> Volume:
    """Rician noise of a standard deviation in grey values."""
    noise = normal((2, *slices.shape), rng)
    noise *= np.float32(sigma)
    return RicianNoise().apply(slices, _NO_MASK, noise)


def robust_range(array: Volume) -> float:
    """From the 1st to the 99th percentile, so that single bright voxels do not count."""
    low, high = np.percentile(array, [1, 99])
    return float(high - low)


def low_resolution(slices: Volume, strength: float, spacing: tuple[float, ...], rng: np.random.Generator) -> Volume:
    """Coarser pixels within the slices: averaged down, and brought back to the grid by cubic interpolation.

    Args:
        slices: (S, H, W), not negative.
        strength: Factor of the pixel's size, along rows and columns.
        spacing: Not used.
        rng: Not used.

    Raises:
        ValueError: The factor is below 1.
    """
    if strength < 1:
        raise ValueError(f"pixels become coarser by a factor from 1, not {strength}")
    image = np.moveaxis(slices, 0, -1)
    return np.moveaxis(LowResolution().apply(image, _NO_MASK, (strength, strength)), -1, 0)


def bias_field(slices: Volume, strength: float, spacing: tuple[float, ...], rng: np.random.Generator) -> Volume:
    """Brightness that varies smoothly over the volume, as a coil's sensitivity does.

    Args:
        slices: (S, H, W).
        strength: Amplitude, see `coil`.
        spacing: Of slices, rows and columns in mm, or in any common unit.
        rng: Source of the field.

    Raises:
        ValueError: The amplitude is not in [0, 1).
    """
    return slices * coil(slices.shape, strength, spacing, rng)


def coil(shape: tuple[int, ...], amplitude: float, spacing: tuple[float, ...], rng: np.random.Generator) -> Volume:
    """A smooth field with mean 1 whose largest deviation from 1 is the amplitude.

    Raises:
        ValueError: The amplitude is not in [0, 1): the field would not be positive.
    """
    if not 0 <= amplitude < 1:
        raise ValueError(f"a bias field has an amplitude from 0 to below 1, not {amplitude}")
    longest = max(count * size for count, size in zip(shape, spacing, strict=True))
    waves = smooth_field(rng, shape, 1.0, [longest / KNOTS / size for size in spacing]).astype(np.float64)
    waves -= waves.mean()
    field: Volume = (1 + amplitude * waves / np.abs(waves).max()).astype(np.float32)
    return field


CHANGES: Mapping[str, Callable[[Volume, float, tuple[float, ...], np.random.Generator], Volume]] = {
    "noise": rician_noise,
    "resolution": low_resolution,
    "bias_field": bias_field,
}
"""What each effect does to slices (S, H, W) in which 0 is no signal."""


def _write(volume: RawVolume, path: Path) -> Files:
    """A scan as files that are read back as they are: float32 NIfTI, or one TIFF a slice where there is no space."""
    if volume.affine is not None:
        file = path.with_suffix(".nii")
        write_nifti_affine(file, volume.array, volume.affine)
        return (file,)
    path.mkdir(parents=True, exist_ok=True)
    files = tuple(path / f"{number:05d}.tif" for number in range(len(volume.array)))
    for file, picture in zip(files, volume.array, strict=True):
        Image.fromarray(picture).save(file)
    return files
