"""Does a mask fit its image, or the image's mirror?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.doctor.finding import Finding, warning
from spinelab.data.doctor.grid import axis_names
from spinelab.data.volumes.io import RawVolume

BETTER = 1.3
"""How much stronger the edges under the mirrored mask must be than those under the mask itself."""
STRONG = 1.5
"""How much stronger than the image's average they must be: a mirrored mask that fits lies on real edges."""
FEW = 100
"""A mask with fewer boundary faces than this says too little."""

Array = np.ndarray[Any, Any]


def check_mirrored(image: RawVolume, labels: Array, file: Path) -> Iterator[Finding]:
    """A mask whose outlines lie on the image's edges only when it is mirrored.

    The measure is the mean step of the grey values across the faces between differently labelled voxels, divided by
    the mean step anywhere. Symmetrical masks fit as well mirrored as not and raise no alarm.

    Args:
        image: The first channel.
        labels: Mask on the same grid, any whole numbers.
        file: The mask.
    """
    variants = [labels, *(np.flip(labels, axis) for axis in range(3))]
    straight, *mirrored = edge_strengths(image.array, variants)
    if straight is None:
        return
    names = axis_names(image.affine)
    scores = {axis: score or 0.0 for axis, score in enumerate(mirrored)}
    axis = max(scores, key=lambda axis: scores[axis])
    if scores[axis] > STRONG and scores[axis] > BETTER * straight:
        yield warning(
            "mirrored-mask",
            file,
            f"mirrored {names[axis]}, the mask's outlines lie on edges {scores[axis]:.1f} times the image's average; "
            f"as it is, {straight:.1f} times",
            "if the mask is mirrored, the network learns from wrong outlines",
            "open the mask over its image; if it is mirrored, flip it or correct its header",
        )


def edge_strengths(image: Array, masks: Sequence[Array]) -> list[float | None]:
    """Mean grey step across label boundaries over the mean step anywhere; None where there is too little of either.

    Args:
        image: Grey values (X, Y, Z).
        masks: Labels on the same grid.
    """
    across, faces = np.zeros(len(masks)), np.zeros(len(masks), int)
    anywhere, steps = 0.0, 0
    for axis in (axis for axis in range(3) if image.shape[axis] > 1):
        step = np.abs(np.diff(image.astype(np.float32, copy=False), axis=axis))
        anywhere, steps = anywhere + float(step.sum(dtype=np.float64)), steps + step.size
        for number, labels in enumerate(masks):
            moved = np.moveaxis(labels, axis, 0)
            edge = np.moveaxis(moved[1:] != moved[:-1], 0, axis)
            across[number] += float(step[edge].sum(dtype=np.float64))
            faces[number] += int(edge.sum())
    enough = (faces >= FEW) & (anywhere > 0)
    means = across / np.maximum(faces, 1) / ((anywhere / max(steps, 1)) or 1.0)
    return [float(mean) if well else None for mean, well in zip(means, enough, strict=True)]
