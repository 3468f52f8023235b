from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinelab.data.volumes.normalisation import fit


@pytest.fixture
def image() -> np.ndarray:
    values = np.random.default_rng(0).gamma(2, 100, (4, 50, 60)).astype(np.int16)
    values[0, 0, 0] = 30000  # a vessel's flash must not set the scale
    return values


def test_zscore(image):
    out = fit(image, "zscore").apply(image)
    assert out.dtype == np.float32
    assert out.mean() == pytest.approx(0, abs=1e-3)
    assert out.std() == pytest.approx(1, abs=1e-3)
    assert out[0, 0, 0] == out.max()
    assert (out == out.max()).mean() == pytest.approx(0.005, abs=1e-3)


def test_percentile(image):
    out = fit(image, "percentile", (10, 90)).apply(image)
    assert (out == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (out == 1).mean() == pytest.approx(0.1, abs=0.01)


def test_minmax_and_none(image):
    out = fit(image, "minmax").apply(image)
    assert (out.min(), out.max()) == (0, 1)
    np.testing.assert_array_equal(fit(image, None).apply(image), image.astype(np.float32))


def test_a_picture_that_is_nearly_all_air_survives():
    image = np.zeros((10, 100, 100), np.int16)
    image[5, 50, 50:60] = 7
    out = fit(image, "zscore").apply(image)
    assert np.isfinite(out).all()
    assert out[5, 50, 50] > out[0, 0, 0]


def test_a_constant_crop_stays_finite():
    for kind in ("zscore", "minmax", "percentile", None):
        assert np.isfinite(fit(np.full((2, 3, 4), 5), kind).apply(np.arange(5))).all()


@given(
    values=st.lists(st.integers(-3, 3) | st.integers(-1000, 30000), min_size=1, max_size=60),
    repeat=st.sampled_from([1, 7, 900]),
    dtype=st.sampled_from(["int16", "float32"]),
    low=st.floats(0, 50),
    high=st.floats(50, 100),
)
def test_statistics_are_numpys(values, repeat, dtype, low, high):
    """Percentiles are found without sorting everything, moments piece by piece: both must still be exact."""
    array = np.random.default_rng(0).permutation(np.array(values, dtype).repeat(repeat))
    floor, ceiling = np.percentile(array.astype(np.float64), (low, high))
    if floor >= ceiling:
        floor, ceiling = array.min(), array.max()
    fitted = fit(array, "zscore", (low, high))
    clipped = np.clip(array.astype(np.float64), floor, ceiling)
    assert (fitted.low, fitted.high) == pytest.approx((floor, ceiling), rel=1e-6, abs=1e-6)
    assert fitted.shift == pytest.approx(clipped.mean(), rel=1e-6, abs=1e-4)
    assert fitted.scale == pytest.approx(clipped.std() or 1.0, rel=1e-5, abs=2e-3)


def test_statistics_of_a_large_volume_are_numpys():
    array = np.random.default_rng(1).gamma(2, 100, (40, 100, 110)).astype(np.float32)
    fitted = fit(array, "zscore")
    low, high = np.percentile(array.astype(np.float64), (0.5, 99.5))
    assert (fitted.low, fitted.high) == (low, high)
    clipped = np.clip(array.astype(np.float64), low, high)
    assert (fitted.shift, fitted.scale) == pytest.approx((clipped.mean(), clipped.std()), rel=1e-6)


def test_unknown_kind(image):
    with pytest.raises(ValueError, match="zscore, minmax, percentile, nyul or null, not 'z'"):
        fit(image, "z")
