"""Slices as samples, and samples as batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from spinelab.data.slices.cache import Cache
from spinelab.data.volumes.normalisation import Intensity
from spinelab.types import Batch

Key = int | tuple[int, int]
"""An index, or (epoch, index)."""


class Transform(Protocol):
    """An augmentation."""

    def __call__(
        self, image: NDArray[np.float32], mask: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Change a normalised (H, W, C) image and its (H, W) mask; every random choice is drawn from `rng`."""
        ...


class Sample(TypedDict):
    """A `Batch` without its first axis."""

    image: Tensor
    mask: Tensor
    size: Tensor
    volume: Tensor
    slice: Tensor
    spacing: Tensor


class SliceDataset(Dataset[Sample]):
    """The usable slices of some volumes of a cache, normalised, and augmented if a transform is given.

    A sample depends on (seed, epoch, index) alone, so that it is the same whatever the number of workers or
    processes, and after a resumed training. That is why the epoch travels with the index (see `SliceSampler`):
    workers that outlive an epoch would otherwise not learn of the next.

    Args:
        cache: Prepared slices.
        volumes: Positions of volumes in the cache, each once.
        transform: Augmentation, or None.
        seed: Seed of the augmentation.

    Attributes:
        volumes: What is known of each volume, in the given order; a sample's `volume` is a position in this list.

    Raises:
        ValueError: A position is repeated or not in the cache.
    """

    def __init__(
        self, cache: Cache, volumes: Sequence[int], transform: Transform | None = None, *, seed: int = 0
    ) -> None:
        if len(set(volumes)) != len(volumes) or not set(volumes) <= set(range(len(cache.volumes))):
            raise ValueError(f"volumes must be different positions below {len(cache.volumes)}, not {list(volumes)}")
        self.cache, self.transform, self.seed = cache, transform, seed
        self.volumes = [cache.volumes[position] for position in volumes]
        rows = [np.flatnonzero(cache.table["volume"] == position) for position in volumes]
        self._rows = np.concatenate([*rows, np.empty(0, np.int64)])
        self._volume = np.repeat(np.arange(len(volumes)), [len(part) for part in rows])

    def __len__(self) -> int:
        """Number of slices."""
        return len(self._rows)

    def __getitem__(self, key: Key) -> Sample:
        """One slice; a plain index stands for epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        row, position = int(self._rows[index]), int(self._volume[index])
        info = self.volumes[position]
        image, mask = normalise(self.cache.image(row), info.intensity), self.cache.mask(row)
        if self.transform is not None:
            image, mask = self.transform(image, mask, np.random.default_rng((self.seed, epoch, index)))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "mask": torch.from_numpy(mask.astype(np.int64)),
            "size": torch.tensor(mask.shape),
            "volume": torch.tensor(position),
            "slice": torch.tensor(int(self.cache.table["slice"][row])),
            "spacing": torch.tensor(info.spacing[1:], dtype=torch.float32),
        }


def normalise(image: NDArray[Any], intensity: Sequence[Intensity]) -> NDArray[np.float32]:
    """(H, W, C) pixels as stored -> (H, W, C) float32, each channel by its own intensity."""
    return np.stack([channel.apply(image[..., number]) for number, channel in enumerate(intensity)], axis=-1)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples, padding at the bottom and right to the largest height and width.

    Images are padded with the minimum of each channel, masks with background.
    """
    size = torch.stack([sample["size"] for sample in samples])
    height, width = size.amax(0).tolist()
    return {
        "image": torch.stack([_pad(sample["image"], height, width) for sample in samples]),
        "mask": torch.stack([_pad(sample["mask"], height, width) for sample in samples]),
        "size": size,
        "volume": torch.stack([sample["volume"] for sample in samples]),
        "slice": torch.stack([sample["slice"] for sample in samples]),
        "spacing": torch.stack([sample["spacing"] for sample in samples]),
    }


def _pad(values: Tensor, height: int, width: int) -> Tensor:
    if values.shape[-2:] == (height, width):
        return values
    fill = values.amin((-2, -1), keepdim=True) if values.is_floating_point() else values.new_zeros(())
    padded = fill.expand(*values.shape[:-2], height, width).clone()
    padded[..., : values.shape[-2], : values.shape[-1]] = values
    return padded
