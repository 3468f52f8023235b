from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch.utils.data import DataLoader

from spinelab.data.slices.albumentations_adapter import AlbumentationsTransform
from spinelab.data.slices.contrast import ContrastRandomisation
from spinelab.data.slices.dataset import SliceDataset, collate
from spinelab.data.slices.mri import BiasField, Ghosting, RicianNoise
from spinelab.data.slices.sampler import SliceSampler
from spinelab.data.slices.transforms import Augmentation

CONF = Path(__file__).resolve().parents[3] / "conf/augmentation"
CHOICES = sorted(CONF.glob("*.yaml"))
by_choice = pytest.mark.parametrize("path", CHOICES, ids=lambda path: path.stem)


@pytest.fixture
def picture():
    """Two channels like normalised ones, and labels 0, 3 and 9."""
    rows, columns = np.indices((40, 56))
    grey = np.sin(rows / 5) + np.cos(columns / 4)
    mask = np.where(grey > 1, 9, np.where(grey > 0, 3, 0)).astype(np.uint8)
    return np.stack([grey, 2 * grey**2 - 1], -1).astype(np.float32), mask


def _rng(seed=0):
    return np.random.default_rng((seed, 0, 0))


def _load(path):
    return instantiate(yaml.safe_load(path.read_text()), _convert_="all", _execution_whitelist_=["spinelab.*"])


@by_choice
def test_every_choice_keeps_shape_type_labels_and_what_it_was_given(path, picture):
    augment = _load(path)
    image, mask = (part.copy() for part in picture)
    for part in (image, mask):
        part.setflags(write=False)  # a mask comes from a memory map
    for seed in range(15):
        changed, labels = augment(image, mask, _rng(seed))
        assert changed.shape == image.shape
        assert (changed.dtype, labels.dtype, labels.shape) == (np.float32, np.uint8, mask.shape)
        assert np.isfinite(changed).all()
        assert set(np.unique(labels)) <= {0, 3, 9}
        assert np.abs(changed).max() < 12


@by_choice
def test_every_choice_is_the_same_for_the_same_seed(path, picture):
    augment = _load(path)
    again = pickle.loads(pickle.dumps(augment))
    for seed in range(5):
        for one, two in zip(augment(*picture, _rng(seed)), again(*picture, _rng(seed)), strict=True):
            np.testing.assert_array_equal(one, two)


@by_choice
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 1), (9, 3, 2)])
def test_every_choice_takes_tiny_slices(path, shape):
    augment = _load(path)
    image, mask = _rng().standard_normal(shape, np.float32), np.ones(shape[:2], np.uint8)
    for seed in range(5):
        changed, labels = augment(image, mask, _rng(seed))
        assert changed.shape == shape
        assert labels.shape == shape[:2]


def test_identity_bit_for_bit_when_all_probabilities_are_zero(picture):
    effects = {"bias": BiasField(0), "contrast": ContrastRandomisation(0), "ghosts": Ghosting(0)}
    augment = Augmentation(warp_probability=0, intensity_probability=0, elastic=5, effects=effects)
    for seed in range(20):
        image, mask = augment(*picture, _rng(seed))
        np.testing.assert_array_equal(image.view(np.uint32), picture[0].view(np.uint32))
        np.testing.assert_array_equal(mask, picture[1])


def test_effects_take_part_and_none_is_left_out(picture):
    noise = RicianNoise(1.0, noise=0.2)
    for effects, changes in (({"noise": noise}, True), ({"noise": None}, False), ({}, False), (None, False)):
        augment = Augmentation(warp_probability=0, intensity_probability=0, effects=effects)
        assert np.array_equal(augment(*picture, _rng())[0], picture[0]) != changes


def test_effects_see_the_warped_mask(picture):
    """With flat classes every label has one grey value only if the mask that was painted is the one returned."""
    contrast = ContrastRandomisation(1.0, spread=0, blur=0, bias=0, real=0)
    augment = Augmentation(warp_probability=1, intensity_probability=0, effects={"contrast": contrast})
    image, mask = augment(*picture, _rng(2))
    for label in (3, 9):
        assert np.ptp(image[..., 0][mask == label]) < 1e-4


def test_intensity_and_warp_as_often_as_asked(picture):
    augment = Augmentation(warp_probability=0.8, intensity_probability=0.2)
    results = [augment(*picture, _rng(seed)) for seed in range(300)]
    moved = np.mean([not np.array_equal(mask, picture[1]) for _, mask in results])
    untouched = np.mean([np.array_equal(image, picture[0]) for image, _ in results])
    assert moved == pytest.approx(0.8, abs=0.07)
    assert untouched == pytest.approx(0.2 * 0.8**3, abs=0.05)


def test_albumentations_pipeline_moves_image_and_mask_by_the_generator_alone(picture):
    augment = AlbumentationsTransform({"HorizontalFlip": {"p": 1}, "GaussNoise": {"std_range": [0.1, 0.1], "p": 1}})
    image, mask = augment(*picture, _rng(1))
    np.testing.assert_array_equal(mask, picture[1][:, ::-1])
    assert 0.05 < (image - picture[0][:, ::-1]).std() / np.ptp(picture[0][..., 0]) < 0.15
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(augment(*picture, _rng(1))[0], image)
    assert not np.array_equal(augment(*picture, _rng(2))[0], image)


def test_albumentations_identity_and_errors(picture):
    augment = AlbumentationsTransform({"Affine": {"rotate": [-90, 90], "p": 0}, "HorizontalFlip": None})
    np.testing.assert_array_equal(augment(*picture, _rng())[0], picture[0])
    for name in ("NoSuchTransform", "Compose", "np"):
        with pytest.raises(ValueError, match="no transform"):
            AlbumentationsTransform({name: {}})


def _mri():
    return _load(CONF / "mri.yaml")


def _epochs(dataset, epochs, workers=0):
    """(volume, slice, epoch) -> image and mask."""
    sampler = SliceSampler(len(dataset), shuffle=True, seed=3)
    loader = DataLoader(dataset, batch_size=3, sampler=sampler, num_workers=workers, collate_fn=collate)
    seen = {}
    for epoch in epochs:
        sampler.set_epoch(epoch)
        for batch in loader:
            for n, (height, width) in enumerate(batch["size"].tolist()):
                name = int(batch["volume"][n]), int(batch["slice"][n]), epoch
                seen[name] = batch["image"][n, :, :height, :width].clone(), batch["mask"][n, :height, :width].clone()
    return seen


def _same(one, two):
    assert one.keys() == two.keys()
    return all(torch.equal(a, b) for name in one for a, b in zip(one[name], two[name], strict=True))


def test_a_resumed_run_sees_the_same_samples(cache):
    through = _epochs(SliceDataset(cache, [0, 1, 2, 3], _mri(), seed=5), [0, 1, 2])
    resumed = _epochs(SliceDataset(cache, [0, 1, 2, 3], _mri(), seed=5), [2])
    assert _same({name: value for name, value in through.items() if name[2] == 2}, resumed)
    assert not torch.equal(through[0, 0, 1][0], through[0, 0, 2][0])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_no_difference(cache, workers):
    dataset = SliceDataset(cache, [0, 1, 2, 3], _mri(), seed=5)
    assert _same(_epochs(dataset, [1]), _epochs(dataset, [1], workers))


def test_two_ranks_see_the_same_samples_as_one(cache, monkeypatch):
    dataset = SliceDataset(cache, [0, 1, 2, 3], _mri(), seed=5)
    alone, shared = _epochs(dataset, [4]), {}
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        seen = _epochs(dataset, [4])
        assert not seen.keys() & shared.keys()
        shared |= seen
    assert _same(alone, shared)
