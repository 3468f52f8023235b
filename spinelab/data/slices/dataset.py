"""Slices as samples, and samples as batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from spinelab.data.slices.cache import Cache
from spinelab.data.volumes.normalisation import Intensity
from spinelab.types import Batch

Key = int | tuple[int, int] | tuple[int, int, int]
"""An index, or (epoch, index), or (epoch, index, how often it was drawn before in this epoch)."""


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
    workers that outlive an epoch would otherwise not learn of the next. Where a sampler draws a slice several times in
    an epoch, a third number tells these apart.

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
        table = {name: cache.table[name][self._rows] for name in ("slice", "height", "width")}
        self._slice, self._size = table["slice"], np.stack([table["height"], table["width"]], axis=1)
        spacing = np.array([info.spacing[1:] for info in self.volumes], np.float32).reshape(-1, 2)
        self._spacing = spacing[self._volume]

    def __len__(self) -> int:
        """Number of slices."""
        return len(self._rows)

    def __getitem__(self, key: Key) -> Sample:
        """One slice; a plain index stands for epoch 0."""
        batch = self.__getitems__([key])
        return cast("Sample", {name: cast("Tensor", values)[0] for name, values in batch.items()})

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A whole batch, padded as `collate` does; torch's loaders ask for this where it exists.

        Pixels go from the memory map straight into the batch.
        """
        drawn = [key if isinstance(key, tuple) else (0, key) for key in keys]
        which = np.array([key[1] for key in drawn])
        size = self._size[which]
        image = np.empty((len(which), self.cache.channels, *size.max(0)), np.float32)
        mask = np.empty((len(which), *size.max(0)), np.int64)
        for number, (key, (height, width)) in enumerate(zip(drawn, size.tolist(), strict=True)):
            self._write(key, image[number, :, :height, :width], mask[number, :height, :width])
            _fill_padding(image[number], mask[number], height, width)
        per_slice = {"size": size, "volume": self._volume[which], "slice": self._slice[which]}
        arrays = {"image": image, "mask": mask, **per_slice, "spacing": self._spacing[which]}
        return cast("Batch", {name: torch.from_numpy(values) for name, values in arrays.items()})

    def _write(self, key: tuple[int, ...], image: NDArray[np.float32], mask: NDArray[np.int64]) -> None:
        """Write a slice into (C, H, W) and (H, W), both pieces of a batch."""
        row, intensity = int(self._rows[key[1]]), self.volumes[int(self._volume[key[1]])].intensity
        pixels, labels = self.cache.image(row), self.cache.mask(row)
        if self.transform is None:
            normalise(pixels, intensity, out=image)
        else:
            before = np.empty(pixels.shape, np.float32)
            normalise(pixels, intensity, out=np.moveaxis(before, -1, 0))
            after, labels = self.transform(before, labels, np.random.default_rng((self.seed, *key)))
            image[...] = np.moveaxis(after, -1, 0)
        mask[...] = labels


def normalise(pixels: NDArray[Any], intensity: Sequence[Intensity], *, out: NDArray[np.float32]) -> None:
    """(H, W, C) pixels as stored -> (C, H, W) float32 in `out`, each channel by its own intensity."""
    for number, channel in enumerate(intensity):
        values, target = pixels[..., number], out[number]
        if channel.knots is not None:
            target[...] = channel.apply(values)
            continue
        # `Intensity.apply` step by step, but in place: half the time, as nothing is allocated
        np.copyto(target, values, casting="unsafe")
        torch.from_numpy(target).clamp_(channel.low, channel.high)  # np.clip takes longer
        target -= np.float32(channel.shift)
        target /= np.float32(channel.scale)


def _fill_padding(image: NDArray[np.float32], mask: NDArray[np.int64], height: int, width: int) -> None:
    """What lies below and to the right of a slice gets the minimum of each channel, and background."""
    if image.shape[1:] != (height, width):
        lowest = image[:, :height, :width].min((1, 2))[:, None, None]
        image[:, height:], image[:, :height, width:] = lowest, lowest
        mask[height:], mask[:height, width:] = 0, 0


def collate(samples: Sequence[Sample] | Batch) -> Batch:
    """Stack samples, padding at the bottom and right to the largest height and width.

    Images are padded with the minimum of each channel, masks with background. A batch is left as it is.
    """
    if isinstance(samples, dict):
        return samples
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
