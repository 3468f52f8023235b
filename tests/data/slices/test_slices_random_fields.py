from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from spinelab.data.slices.random_fields import lattice_for, normal, smooth_field


def _rng(seed=0):
    return np.random.default_rng(seed)


def test_normal_numbers_are_normal():
    numbers = normal((50, 61, 3), _rng())
    assert numbers.shape == (50, 61, 3)
    assert numbers.dtype == np.float32
    assert kstest(numbers.ravel(), "norm").pvalue > 0.01
    for lag in (1, 3, 4, 61):
        assert abs(np.corrcoef(numbers.ravel()[:-lag], numbers.ravel()[lag:])[0, 1]) < 0.04


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_any_number_of_normal_numbers(count):
    assert normal((count,), _rng()).shape == (count,)


@pytest.mark.parametrize("sigma", [1.0, 2.5, 6.0, 13.3])
def test_field_is_as_smooth_as_filtered_noise(sigma):
    """Standard deviation and correlation at a distance, beside white noise through scipy's Gaussian filter."""
    size = int(60 * sigma) + 7
    lag = round(2 * sigma)
    reference = gaussian_filter(_rng(1).standard_normal((size, size)), sigma, mode="wrap")
    fields = np.stack([smooth_field((size, size), sigma, _rng(seed))[..., 0] for seed in range(3)])
    assert fields.std() == pytest.approx(1, abs=0.08)
    for axis in (0, 1):
        expected = _correlation(reference[None], lag, axis + 1)
        assert _correlation(fields, lag, axis + 1) == pytest.approx(expected, abs=0.1)


def _correlation(fields, lag, axis):
    moved = np.roll(fields, lag, axis)
    inside = [slice(None)] * 3
    inside[axis] = slice(lag, None)
    return np.corrcoef(fields[tuple(inside)].ravel(), moved[tuple(inside)].ravel())[0, 1]


def test_field_has_the_same_strength_up_to_the_border():
    fields = np.stack([smooth_field((40, 50), 12.0, _rng(seed))[..., 0] for seed in range(400)])
    spread = fields.std(0)
    assert spread.min() > 0.85
    assert spread.max() < 1.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2), (64, 48)])
@pytest.mark.parametrize("sigma", [1.0, 3.0, 20.0])
def test_interpolation_leaves_an_affine_function_as_it_is(shape, sigma):
    lattice = lattice_for(shape, sigma)
    pixels = lattice.interpolate(lattice.pixels())
    rows, columns = np.indices(shape)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], -1), atol=1e-4)
    assert smooth_field(shape, sigma, _rng()).shape == (*shape, 1)
