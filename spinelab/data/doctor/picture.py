"""A picture of a mask over its image, once where its header puts it and once voxel on voxel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform

from spinelab.data.volumes.geometry import Geometry, make_geometry
from spinelab.data.volumes.io import RawVolume
from spinelab.files import replacing
from spinelab.types import Plane

SMALLEST = 256
"""Pixels of the shorter side; smaller slices are enlarged."""
BY_HEADER, BY_VOXEL = (255, 60, 60), (60, 220, 60)

Array = np.ndarray[Any, Any]


def overlay(image: RawVolume, mask: RawVolume, path: Path) -> None:
    """Write two panels: outlines where the headers put the mask (red), and voxel on voxel (green, where shapes agree).

    Args:
        image: The scan.
        mask: The mask, on whatever grid.
        path: PNG to write; its folder is made.
    """
    same = mask.array.shape == image.array.shape
    orient = _as_scanned(image).orient
    layers = [(BY_HEADER, orient(_on_grid(mask, image)))]
    if same:
        layers.append((BY_VOXEL, orient(mask.array != 0)))
    position = int(np.argmax(layers[-1][1].sum(axis=(1, 2))))
    grey = _grey(orient(image.array)[position])
    panels = [_outlined(grey, inside[position], colour) for colour, inside in layers]
    picture = Image.fromarray(np.concatenate(panels, axis=1))
    scale = max(1, SMALLEST // max(1, min(grey.shape)))
    with replacing(path) as temporary:
        picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(temporary, "PNG")


def _as_scanned(image: RawVolume) -> Geometry:
    """The geometry in which the slices are those of the scanner: across the coarsest voxel axis."""
    planes = [make_geometry(image, plane) for plane in get_args(Plane)]
    if image.affine is None:
        return planes[0]
    return max(planes, key=lambda geometry: geometry.raw_spacing[0])


def _on_grid(mask: RawVolume, image: RawVolume) -> Array:
    """Where the mask has foreground, looked up at the image's voxels through both affines."""
    filled = (mask.array != 0).astype(np.uint8)
    both = mask.affine is not None and image.affine is not None
    change = np.linalg.solve(mask.affine, image.affine) if both else np.eye(4)  # type: ignore[arg-type]
    return affine_transform(filled, change[:3, :3], change[:3, 3], image.array.shape, order=0, cval=0).astype(bool)


def _grey(plane: Array) -> Array:
    values = np.nan_to_num(plane.astype(np.float32), posinf=0, neginf=0)
    low, high = np.percentile(values, (1, 99))
    return (np.clip((values - low) / ((high - low) or 1), 0, 1) * 255).astype(np.uint8)


def _outlined(grey: Array, inside: Array, colour: tuple[int, int, int]) -> Array:
    inner = inside.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(inside, step, axis)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    picture[inside & ~inner] = colour
    return picture
