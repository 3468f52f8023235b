from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

from spinelab.data.slices.transforms import Augmentation

CONF = Path(__file__).resolve().parents[3] / "conf/augmentation"


@pytest.fixture
def picture():
    """A bright disc, labelled 7, above the middle of a background of -3."""
    rows, columns = np.mgrid[:80, :100]
    mask = (7 * ((rows - 30) ** 2 + (columns - 50) ** 2 < 15**2)).astype(np.uint8)
    return (mask[..., None] - 3.0).astype(np.float32), mask


def _rng(seed=0):
    return np.random.default_rng((seed, 1, 2))


def test_same_generator_same_result_whatever_came_before(picture):
    augment = Augmentation(warp_probability=0.5, intensity_probability=0.5)
    first = [augment(*picture, _rng(seed)) for seed in range(6)]
    again = [augment(*picture, _rng(seed)) for seed in reversed(range(6))][::-1]
    copied = [pickle.loads(pickle.dumps(augment))(*picture, _rng(seed)) for seed in range(6)]
    for one, two, three in zip(first, again, copied, strict=True):
        for part in (0, 1):
            np.testing.assert_array_equal(one[part], two[part])
            np.testing.assert_array_equal(one[part], three[part])
    assert len({image.tobytes() for image, _ in first}) > 3


def test_global_random_state_plays_no_part(picture):
    import random

    augment = Augmentation(warp_probability=1, intensity_probability=1)
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        results.append(augment(*picture, _rng())[0])
    np.testing.assert_array_equal(*results)


def test_identity_at_probability_zero(picture):
    image, mask = Augmentation(warp_probability=0, intensity_probability=0)(*picture, _rng())
    np.testing.assert_array_equal(image, picture[0])
    np.testing.assert_array_equal(mask, picture[1])


def test_shapes_types_labels_and_border(picture):
    augment = Augmentation(warp_probability=1, intensity_probability=0, scale=(0.5, 0.6), shift=0.2, rotate_deg=40)
    for seed in range(20):
        image, mask = augment(*picture, _rng(seed))
        assert image.shape == (80, 100, 1)
        assert (image.dtype, mask.dtype) == (np.float32, np.uint8)
        assert set(np.unique(mask)) == {0, 7}
        np.testing.assert_allclose(image[[0, 0, -1, -1], [0, -1, 0, -1]], -3, atol=1e-5)
        assert image.min() >= -3 - 1e-4
        assert image.max() <= 4 + 1e-4


def test_image_and_mask_move_together(picture):
    augment = Augmentation(warp_probability=1, intensity_probability=0, scale=(0.7, 1.3), shift=0.1, rotate_deg=30)
    for seed in range(20):
        image, mask = augment(*picture, _rng(seed))
        assert ((image[..., 0] > 0.5) != (mask > 0)).mean() < 0.01


@pytest.mark.parametrize(("scale", "smaller"), [((0.5, 0.5), True), ((1.3, 1.3), False)])
def test_scale_is_the_factor_of_size(picture, scale, smaller):
    augment = Augmentation(warp_probability=1, intensity_probability=0, rotate_deg=0, shift=0, scale=scale)
    _, mask = augment(*picture, _rng())
    assert (mask > 0).sum() / (picture[1] > 0).sum() == pytest.approx(scale[0] ** 2, rel=0.05)


def test_rotation_reaches_both_ways_and_no_further(picture):
    augment = Augmentation(warp_probability=1, intensity_probability=0, shift=0, scale=(1, 1))

    def bearing(mask):
        row, column = (axis.mean() for axis in np.nonzero(mask))
        return np.degrees(np.arctan2(column - 49.5, 39.5 - row))

    angles = [bearing(augment(*picture, _rng(seed))[1]) - bearing(picture[1]) for seed in range(60)]
    assert -16 < min(angles) < -10
    assert 10 < max(angles) < 16


def test_intensity_changes_leave_the_mask_and_the_range(picture):
    augment = Augmentation(warp_probability=0, intensity_probability=1)
    image, mask = augment(*picture, _rng())
    np.testing.assert_array_equal(mask, picture[1])
    assert not np.allclose(image, picture[0], atol=1e-3)
    assert image.min() >= -3 - 1e-4
    assert image.max() <= 4 + 1e-4


def test_channels_keep_their_own_ranges(picture):
    image = np.concatenate([picture[0], 1000 + 10 * picture[0]], axis=-1)
    changed, _ = Augmentation(warp_probability=1, intensity_probability=1)(image, picture[1], _rng())
    assert changed.shape == (80, 100, 2)
    assert changed[..., 0].max() <= 4.001
    assert changed[..., 1].min() >= 969.9


def test_a_constant_image_stays_finite():
    image, _ = Augmentation(warp_probability=1, intensity_probability=1)(
        np.full((32, 32, 1), 5, np.float32), np.zeros((32, 32), np.uint8), _rng()
    )
    assert np.isfinite(image).all()


def test_bad_probability_is_an_error():
    with pytest.raises(ValueError, match="probability"):
        Augmentation(warp_probability=1.2)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_build(path, picture):
    from hydra.utils import instantiate

    augment = instantiate(yaml.safe_load(path.read_text()), _execution_whitelist_=["spinelab.*"])
    image, mask = augment(*picture, _rng(3))
    changed = not np.array_equal(image, picture[0])
    assert changed == (path.stem != "none")
    assert set(np.unique(mask)) == {0, 7}
