"""From a case to labels on the scan's own grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from spinelab.data.slices.dataset import normalise
from spinelab.data.volumes.geometry import from_slices
from spinelab.data.volumes.prepare import PreparedVolume
from spinelab.tasks.ensemble import softmax


@torch.inference_mode()
def probabilities(network: nn.Module, volume: PreparedVolume, batch_size: int = 8) -> np.ndarray:
    """Class probabilities (S, H, W, K) float32 of all slices of a prepared volume; of an `Ensemble`, the mean.

    Runs in evaluation mode, in full precision and in slice order, wherever the network is.
    """
    device = next(network.parameters()).device
    network.eval()
    parts = []
    for start in range(0, len(volume.image), batch_size):
        slices = volume.image[start : start + batch_size]
        batch = np.empty((len(slices), slices.shape[3], *slices.shape[1:3]), np.float32)
        for pixels, normalised in zip(slices, batch, strict=True):
            normalise(pixels, volume.intensity, out=normalised)
        likely = softmax(network, torch.from_numpy(batch).to(device))
        parts.append(likely.permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


def native_labels(likely: np.ndarray, volume: PreparedVolume) -> np.ndarray:
    """Class indices (uint8) on the scan's own grid from class probabilities (S, H, W, K) of its slices.

    Where the slices were resampled, probabilities are resampled before the largest is taken, which keeps boundaries
    smooth; else the largest is taken first, which is the same and cheaper.
    """
    if volume.geometry.is_resampled:
        return from_slices(likely, volume.geometry).argmax(axis=-1).astype(np.uint8)
    return from_slices(likely.argmax(axis=-1).astype(np.uint8), volume.geometry)


def segment(network: nn.Module, volume: PreparedVolume, batch_size: int = 8) -> np.ndarray:
    """Class indices (uint8) of a prepared volume on the scan's own grid."""
    return native_labels(probabilities(network, volume, batch_size), volume)
