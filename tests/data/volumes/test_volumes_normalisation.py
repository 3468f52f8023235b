from __future__ import annotations

import numpy as np
import pytest

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


def test_unknown_kind(image):
    with pytest.raises(ValueError, match="zscore, minmax, percentile or null, not 'z'"):
        fit(image, "z")
