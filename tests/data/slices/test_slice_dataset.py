from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from spinelab.data.slices.dataset import SliceDataset, collate
from spinelab.data.slices.sampler import SliceSampler
from spinelab.data.slices.transforms import Augmentation
from spinelab.data.volumes.prepare import prepare_case


def test_sample_is_the_normalised_slice(cache, cases, labels, preprocessing):
    dataset = SliceDataset(cache, [1, 3])
    volume = prepare_case(cases[1], labels, preprocessing)
    sample = dataset[2]
    expected = volume.intensity[0].apply(volume.image[2, ..., 0])
    assert sample["image"].dtype == torch.float32
    np.testing.assert_array_equal(sample["image"][0].numpy(), expected)
    assert sample["mask"].dtype == torch.int64
    np.testing.assert_array_equal(sample["mask"].numpy(), volume.mask[2])
    assert sample["size"].tolist() == list(volume.mask.shape[1:])
    np.testing.assert_array_equal(sample["spacing"], [volume.geometry.spacing[1], volume.geometry.spacing[2]])


def test_volume_positions_are_those_of_the_dataset(cache):
    dataset = SliceDataset(cache, [3, 1])
    assert [volume.name for volume in dataset.volumes] == ["c1", "b1"]
    found = [(int(sample["volume"]), int(sample["slice"])) for sample in (dataset[n] for n in range(len(dataset)))]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize("volumes", [[0, 0], [4], [-1]])
def test_bad_positions_are_an_error(cache, volumes):
    with pytest.raises(ValueError, match="positions"):
        SliceDataset(cache, volumes)


def test_empty_dataset(cache):
    assert len(SliceDataset(cache, [])) == 0


def test_collate_pads_at_the_bottom_and_right(cache):
    samples = [SliceDataset(cache, [0])[0], SliceDataset(cache, [1])[0]]  # 16 x 12 and 20 x 10
    batch = collate(samples)
    assert batch["image"].shape == (2, 1, 20, 12)
    assert batch["mask"].shape == (2, 20, 12)
    assert batch["size"].tolist() == [[16, 12], [20, 10]]
    for number, (height, width) in enumerate(batch["size"].tolist()):
        torch.testing.assert_close(batch["image"][number, :, :height, :width], samples[number]["image"])
        torch.testing.assert_close(batch["mask"][number, :height, :width], samples[number]["mask"])
        outside = torch.ones(20, 12, dtype=torch.bool)
        outside[:height, :width] = False
        assert (batch["image"][number, 0][outside] == samples[number]["image"].min()).all()
        assert (batch["mask"][number][outside] == 0).all()


def test_collate_pads_each_channel_with_its_own_minimum(cache):
    tall, wide = (SliceDataset(cache, [volume])[0] for volume in (1, 0))
    for sample in (tall, wide):
        sample["image"] = torch.cat([sample["image"], sample["image"] + 100])
    padded = collate([tall, wide])["image"][1, :, -1, 0]
    assert padded.tolist() == wide["image"].amin((1, 2)).tolist()


def _epoch(dataset, epoch, workers):
    sampler = SliceSampler(len(dataset), shuffle=True, seed=3)
    sampler.set_epoch(epoch)
    return list(DataLoader(dataset, batch_size=3, sampler=sampler, num_workers=workers, collate_fn=collate))


@pytest.mark.parametrize("workers", [1, 2])
def test_samples_do_not_depend_on_the_number_of_workers(cache, workers):
    dataset = SliceDataset(cache, [0, 1, 2, 3], Augmentation(intensity_probability=0.5), seed=5)
    alone, together = _epoch(dataset, 4, 0), _epoch(dataset, 4, workers)
    assert len(alone) == len(together) == 4
    for expected, found in zip(alone, together, strict=True):
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)


def test_augmentation_changes_with_epoch_seed_and_index_only(cache):
    def image(seed, key):
        return SliceDataset(cache, [0, 3], Augmentation(warp_probability=1), seed=seed)[key]["image"]

    first = image(0, (1, 2))
    assert torch.equal(first, image(0, (1, 2)))
    assert not torch.equal(first, image(0, (2, 2)))
    assert not torch.equal(first, image(1, (1, 2)))
    assert torch.equal(image(0, 2), image(0, (0, 2)))
