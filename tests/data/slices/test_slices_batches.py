from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinelab.data.slices.dataset import SliceDataset, collate, normalise
from spinelab.data.slices.transforms import Augmentation
from spinelab.data.volumes.normalisation import Intensity


@pytest.mark.parametrize("augmentation", [None, Augmentation(warp_probability=1)], ids=["plain", "augmented"])
def test_a_fetched_batch_is_the_collated_samples(cache, augmentation):
    dataset = SliceDataset(cache, [3, 1, 0], augmentation, seed=2)
    keys = [(1, 8), (0, 0), (2, 4), (1, 1)]
    fetched, collated = dataset.__getitems__(keys), collate([dataset[key] for key in keys])
    assert fetched.keys() == collated.keys()
    for name, values in collated.items():
        assert fetched[name].dtype == values.dtype
        torch.testing.assert_close(fetched[name], values, rtol=0, atol=0)
    assert collate(fetched) is fetched


def test_a_slice_drawn_again_in_an_epoch_is_augmented_anew(cache):
    dataset = SliceDataset(cache, [0, 3], Augmentation(warp_probability=1), seed=2)
    first, again, once, other = dataset.__getitems__([(1, 2), (1, 2, 1), (1, 2, 0), (1, 2, 2)])["image"]
    assert torch.equal(first, once)
    assert not torch.equal(first, again)
    assert not torch.equal(again, other)


def test_batches_do_not_share_memory_with_the_cache_or_each_other(cache):
    dataset = SliceDataset(cache, [0])
    first = dataset.__getitems__([0])
    before = first["image"].clone()
    first["image"] += 1
    first["mask"] += 1
    torch.testing.assert_close(dataset.__getitems__([0])["image"], before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("knots", [None, ((0.0, 0.0), (50.0, 10.0), (200.0, 100.0))], ids=["linear", "knots"])
def test_normalising_in_place_is_the_same_to_the_last_bit(dtype, knots):
    pixels = np.random.default_rng(0).integers(0, 250, (9, 7, 2)).astype(dtype)
    intensity = Intensity(3.3, 180.7, 41.9, 27.3, knots=knots)
    channels = (intensity, replace(intensity, low=20.1))
    out = np.empty((2, 9, 7), np.float32)
    normalise(pixels, channels, out=out)
    for number, channel in enumerate(channels):
        np.testing.assert_array_equal(out[number], channel.apply(pixels[..., number]))
