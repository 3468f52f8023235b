"""The score of the validation persons, of whatever gives logits."""

from __future__ import annotations

import torch
from rich.progress import track
from torch import nn

from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import SliceDataset
from spinelab.data.splits import Split
from spinelab.metrics.aggregate import foreground_dice
from spinelab.metrics.volume import VolumeConfusion
from spinelab.types import LabelMap


@torch.inference_mode()
def validation_dice(network: nn.Module, cache: Cache, split: Split, labels: LabelMap) -> float:
    """Dice of the validation persons as a training's `val/dice` is computed, from counts by volume; NaN without any."""
    slices = SliceDataset(cache, cache.volumes_of(split.val))
    if not slices.volumes:
        return float("nan")
    counts = VolumeConfusion(len(slices.volumes), labels.count)
    device = next(network.parameters()).device
    network.eval()
    for index in track(range(len(slices)), description="validating", transient=True):
        batch = slices.__getitems__([index])
        found = network(batch["image"].to(device)).argmax(dim=1).cpu()
        counts.update(found, batch["mask"], batch["volume"], batch["size"])
    return foreground_dice(counts.compute(), labels.region_indices(), [volume.person for volume in slices.volumes])
