from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from spinelab.data.slices.warp import Warp

STILL = {"rotate_deg": 0, "scale": (1, 1), "shift": 0}


@pytest.fixture
def picture():
    """Smooth grey values, and labels 0, 3 and 9."""
    rows, columns = np.indices((60, 45))
    grey = np.sin(rows / 7) + np.cos(columns / 5)
    mask = np.where(grey > 1, 9, np.where(grey > 0, 3, 0)).astype(np.uint8)
    return grey[..., None].astype(np.float32), mask


def _rng(seed=0):
    return np.random.default_rng(seed)


def _warp(warp, picture, seed=0):
    return warp.apply(*picture, warp.draw(picture[1].shape, _rng(seed)))


@pytest.mark.parametrize("elastic", [0, 3])
def test_pixels_come_from_where_the_map_says(picture, elastic):
    """Beside scipy's interpolation of order 1 and 0."""
    image, mask = picture
    warp = Warp(1, 0.5, elastic=elastic, smoothness=6)
    for seed in range(5):
        where = warp.draw(mask.shape, _rng(seed))
        moved, labels = warp.apply(image, mask, where)
        source = where[..., ::-1].transpose(2, 0, 1)
        grey = map_coordinates(image[..., 0], source, order=1, mode="grid-constant", cval=image.min())
        np.testing.assert_allclose(moved[..., 0], grey, atol=0.02)  # OpenCV may place pixels to 1/32
        near = map_coordinates(mask, source, order=0, mode="constant")
        assert (labels != near).mean() < 0.02
        assert set(np.unique(labels)) <= {0, 3, 9}


@pytest.mark.parametrize("warp", [Warp(0, 1), Warp(1, 1, **STILL)], ids=["alone", "with a warp"])
def test_flip_is_an_exact_mirror_of_columns(picture, warp):
    image, mask = _warp(warp, picture)
    np.testing.assert_array_equal(image, picture[0][:, ::-1])
    np.testing.assert_array_equal(mask, picture[1][:, ::-1])


def test_half_of_the_slices_are_flipped(picture):
    flipped = [Warp(0, 0.5).draw(picture[1].shape, _rng(seed)) is not None for seed in range(400)]
    assert 0.42 < np.mean(flipped) < 0.58


def test_no_flip_by_default(picture):
    for seed in range(30):
        assert Warp(1).draw(picture[1].shape, _rng(seed))[0, -1, 0] > 0


def test_nothing_moves_at_probability_zero(picture):
    image, mask = _warp(Warp(0, elastic=5), picture)
    assert image is picture[0]
    assert mask is picture[1]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 1), (50, 80)])
def test_affine_part_is_the_same_with_deformation(shape):
    """What is drawn first is equal, and a displacement of nearly nothing must not move the rest."""
    plain = Warp(1, 1).draw(shape, _rng(4))
    np.testing.assert_allclose(Warp(1, 1, elastic=1e-9).draw(shape, _rng(4)), plain, atol=1e-3)


def test_displacement_has_the_stated_strength():
    warp = Warp(1, elastic=4, smoothness=5, **STILL)
    columns, rows = np.meshgrid(np.arange(90), np.arange(70))
    moved = [warp.draw((70, 90), _rng(seed)) - np.stack([columns, rows], -1) for seed in range(200)]
    spreads = np.array([field.std((0, 1)) for field in moved])
    assert spreads.max() < 5.5
    assert spreads.mean() == pytest.approx(2, rel=0.1)  # uniform from 0 to 4
    across = np.corrcoef(np.stack(moved)[..., 0].ravel(), np.stack(moved)[..., 1].ravel())[0, 1]
    assert abs(across) < 0.1


def test_moderate_deformation_does_not_fold():
    warp = Warp(1, elastic=3, smoothness=12, **STILL)
    for seed in range(20):
        dy, dx = (np.stack(np.gradient(warp.draw((128, 128), _rng(seed))[..., i])) for i in (1, 0))
        assert (dy[0] * dx[1] - dy[1] * dx[0]).min() > 0


def test_channels_move_alike_and_are_filled_with_their_own_minimum(picture):
    image = np.concatenate([picture[0] + 10 * n for n in range(6)], axis=-1)  # more than a picture of OpenCV has
    warp = Warp(1, elastic=2, scale=(0.5, 0.6))
    moved, _ = _warp(warp, (image, picture[1]))
    assert moved.shape == image.shape
    for n in range(6):
        np.testing.assert_allclose(moved[..., n], moved[..., 0] + 10 * n, atol=1e-4)
    assert moved[0, 0].tolist() == image.min((0, 1)).tolist()


@pytest.mark.parametrize("options", [{"probability": 1.1}, {"flip_left_right": -0.1}, {"smoothness": 0.5}])
def test_bad_arguments_are_an_error(options):
    with pytest.raises(ValueError, match=r"probability|smoothness"):
        Warp(**options)
