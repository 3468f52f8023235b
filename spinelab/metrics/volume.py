"""Confusion matrices of whole volumes, filled slice by slice, across processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from spinelab.metrics.confusion import check_indices, pairs


class VolumeConfusion(Metric):
    """One confusion matrix a volume, summed over its slices in whatever batch, order or process they come.

    Each slice must be seen once: a distributed sampler that pads the data set repeats slices, and they count twice.

    Args:
        volumes: V, number of volumes of the data set.
        classes: K, background included.

    Raises:
        ValueError: If there is no volume or fewer than two classes.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    confusions: Tensor

    def __init__(self, volumes: int, classes: int) -> None:
        super().__init__(compute_with_cache=False)  # a cached result would survive `merge_state`
        if volumes < 1 or classes < 2:
            raise ValueError(f"at least 1 volume and 2 classes expected, got {volumes} and {classes}")
        self.volumes, self.classes = volumes, classes
        zeros = torch.zeros(volumes, classes, classes, dtype=torch.int64)
        self.add_state("confusions", zeros, dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor, volume: Tensor, size: Tensor) -> None:
        """Add a batch of slices.

        Args:
            prediction: (B, H, W) class indices.
            target: (B, H, W) class indices.
            volume: (B,) which volume each slice belongs to.
            size: (B, 2) height and width before padding. What lies below or to the right is not counted.

        Raises:
            ValueError: If shapes do not fit, or a class or volume index is out of range.
        """
        shapes = [tuple(x.shape) for x in (prediction, target, volume, size)]
        batch = len(prediction)
        if prediction.ndim != 3 or shapes[1:] != [shapes[0], (batch,), (batch, 2)]:
            raise ValueError(f"expected (B, H, W) twice, (B,) and (B, 2), got {shapes}")
        check_indices(volume, self.volumes, "volume")
        check_indices(size[:, 0], prediction.shape[1] + 1, "height")
        check_indices(size[:, 1], prediction.shape[2] + 1, "width")
        # Padding becomes background found as such, which is the one cell that is not counted but left over: it is most
        # of a scan, so that only few pixels have to be looked at.
        flat = (pairs(prediction, target, self.classes) * _unpadded(prediction, size)).flatten()
        foreground = flat.nonzero().squeeze(1)
        owner = volume[foreground // prediction[0].numel()]
        cells = owner * self.classes**2 + flat[foreground]
        counts = torch.bincount(cells, minlength=self.confusions.numel()).view_as(self.confusions)
        areas = counts.new_zeros(self.volumes).index_add_(0, volume, size.prod(dim=1))
        counts[:, 0, 0] = areas - counts.sum(dim=(1, 2))
        self.confusions = self.confusions + counts  # not in place: what compute returned must not change

    def compute(self) -> Tensor:
        """(V, K, K) int64, rows truth, columns prediction; zeros for a volume that was never seen."""
        return self.confusions


def _unpadded(image: Tensor, size: Tensor) -> Tensor:
    """(B, H, W) bool, true in the top-left `size` of each item."""
    rows = torch.arange(image.shape[1], device=image.device).view(1, -1, 1) < size[:, 0].view(-1, 1, 1)
    columns = torch.arange(image.shape[2], device=image.device).view(1, 1, -1) < size[:, 1].view(-1, 1, 1)
    return rows & columns
