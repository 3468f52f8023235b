"""From the 1 mm field to a scanner's voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.canvas import Indices
from spinelab.phantom.noise import Volume


def average_slices(volume: Volume, axis: int, thickness: int) -> Volume:
    """Slices of whole millimetres; what does not fill a slice is left out."""
    weights = _profile(thickness)
    count = volume.shape[axis] // thickness
    moved = np.moveaxis(volume, axis, 0)[: count * thickness]
    total = moved[::thickness] * weights[0]
    for i, weight in enumerate(weights[1:], 1):
        total += moved[i::thickness] * weight
    return np.ascontiguousarray(np.moveaxis(total, 0, axis))


def majority_slices(labels: Indices, axis: int, thickness: int) -> Indices:
    """The label that gives most of each voxel's signal; the lower value if two give the same."""
    count = labels.shape[axis] // thickness
    moved = np.moveaxis(labels, axis, 0)[: count * thickness]
    layers = [np.ascontiguousarray(moved[i::thickness]) for i in range(thickness)]
    out = layers[0].copy()
    differ = [layer != out for layer in layers[1:]]
    mixed = np.flatnonzero(np.logical_or.reduce(differ)) if differ else np.zeros(0, int)
    if mixed.size:  # most voxels hold one label; only the others vote
        votes = np.stack([layer.ravel()[mixed] for layer in layers])
        shares = np.stack([((votes == v) * _profile(thickness)[:, None]).sum(0) for v in range(votes.max() + 1)])
        out.reshape(-1)[mixed] = (shares >= shares.max(0) - 1e-6).argmax(0)
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))


def resample_linearly(volume: Volume, axis: int, spacing: float) -> Volume:
    """Values at the centres of larger voxels along one axis, which begin where the 1 mm voxels begin."""
    centres = _centres(volume.shape[axis], spacing)
    lower = np.minimum(np.floor(centres).astype(int), volume.shape[axis] - 2)
    part = (centres - lower).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(volume.ndim)])
    return volume.take(lower, axis) * (1 - part) + volume.take(lower + 1, axis) * part


def resample_labels(labels: Indices, axis: int, spacing: float) -> Indices:
    """The label at the centres of larger voxels."""
    nearest = np.minimum(np.floor(_centres(labels.shape[axis], spacing) + 0.5).astype(int), labels.shape[axis] - 1)
    return labels.take(nearest, axis)


def _centres(size: int, spacing: float) -> NDArray[np.float64]:
    return np.asarray((np.arange(int(size / spacing)) + 0.5) * spacing - 0.5, np.float64)


def _profile(thickness: int) -> NDArray[np.float32]:
    """How much each millimetre of a slice gives: a raised cosine, so the middle counts most."""
    weights = np.hanning(thickness + 2)[1:-1]
    return (weights / weights.sum()).astype(np.float32)
