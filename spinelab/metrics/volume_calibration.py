"""Calibration of whole volumes, filled slice by slice, across processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from spinelab.metrics.calibration import BINS, reliability_counts
from spinelab.metrics.confusion import check_indices


class VolumeCalibration(Metric):
    """Sums for calibration a volume, over its slices in whatever batch, order or process they come.

    Each slice must be seen once: a distributed sampler that pads the data set repeats slices, and they count twice.

    Args:
        volumes: V, number of volumes of the data set.
        bins: Number of bins of confidence.

    Raises:
        ValueError: If there is no volume or no bin.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    sums: Tensor

    def __init__(self, volumes: int, bins: int = BINS) -> None:
        super().__init__(compute_with_cache=False)  # a cached result would survive `merge_state`
        if volumes < 1 or bins < 1:
            raise ValueError(f"at least 1 volume and 1 bin expected, got {volumes} and {bins}")
        self.volumes, self.bins = volumes, bins
        zeros = torch.zeros(volumes, 2, 4, bins, dtype=torch.float64)
        self.add_state("sums", zeros, dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor, volume: Tensor, size: Tensor) -> None:
        """Add a batch of slices.

        Args:
            probabilities: (B, K, H, W) softmax probabilities.
            target: (B, H, W) class indices.
            volume: (B,) which volume each slice belongs to.
            size: (B, 2) height and width before padding. What lies below or to the right is not counted.

        Raises:
            ValueError: If shapes do not fit, an index is out of range, or the probabilities are none.
        """
        batch = len(target)
        if tuple(volume.shape) != (batch,) or tuple(size.shape) != (batch, 2) or len(probabilities) != batch:
            raise ValueError(
                "expected (B, K, H, W), (B, H, W), (B,) and (B, 2), "
                f"got {[tuple(x.shape) for x in (probabilities, target, volume, size)]}"
            )
        check_indices(volume, self.volumes, "volume")
        check_indices(size[:, 0], target.shape[-2] + 1, "height")
        check_indices(size[:, 1], target.shape[-1] + 1, "width")
        sums = self.sums.clone()  # not in place: a batch that is refused halfway leaves nothing behind
        for item, (owner, (height, width)) in enumerate(zip(volume.tolist(), size.tolist(), strict=True)):
            p, t = probabilities[item : item + 1, :, :height, :width], target[item : item + 1, :height, :width]
            sums[owner] += reliability_counts(p, t, self.bins)
        self.sums = sums

    def compute(self) -> Tensor:
        """(V, 2, 4, bins) float64, each for `calibration_scores`; zeros for a volume that was never seen."""
        return self.sums
