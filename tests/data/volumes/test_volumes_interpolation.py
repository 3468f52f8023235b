"""Matrix products do what SciPy does, and waves come out where and as large as they went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform, gaussian_filter1d

from spinelab.data.volumes.interpolation import resample


def scipy_way(image: np.ndarray, shape: tuple[int, int], step: tuple[float, float], order: int) -> np.ndarray:
    """One slice, both axes at once."""
    if order:
        image = image.astype(np.float64)
        for axis, s in enumerate(step):
            if s > 1:
                image = gaussian_filter1d(image, (s - 1) / 2, axis=axis, mode="nearest")
    offset = [((old - 1) - (new - 1) * s) / 2 for old, new, s in zip(image.shape, shape, step, strict=True)]
    return affine_transform(image, step, offset, shape, order=order, mode="nearest")


@settings(max_examples=60, deadline=None)
@given(
    old=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    factor=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
    order=st.sampled_from([0, 1, 3]),
    dtype=st.sampled_from(["uint8", "int16", "float32"]),
    layout=st.sampled_from(["C", "F"]),
)
def test_equals_scipy(old, factor, order, dtype, layout):
    shape = tuple(max(1, round(n * f)) for n, f in zip(old, factor, strict=True))
    step = tuple(1 / f for f in factor)
    slices = np.asarray(np.random.default_rng(0).integers(0, 200, (2, *old)), dtype, order=layout)
    slices = np.flip(slices, axis=1)
    out = resample(slices, shape, step, order)
    assert out.shape == (2, *shape)
    assert out.dtype == (dtype if order == 0 else np.float32)
    for mine, image in zip(out, slices, strict=True):
        np.testing.assert_allclose(mine, scipy_way(image, shape, step, order), atol=0 if order == 0 else 1e-3)


@pytest.mark.parametrize(("period", "worst"), [(4, 2e-2), (8, 1e-3), (16, 1e-4)])
def test_a_wave_keeps_its_place_and_height(period, worst):
    size, step = 128, 0.5
    wave = np.sin(2 * np.pi * np.arange(size) / period)
    truth = np.sin(2 * np.pi * ((np.arange(2 * size) + 0.5) * step - 0.5) / period)
    out = resample(np.broadcast_to(wave, (1, size, size)), (2 * size, 2 * size), (step, step), 3)[0]
    assert np.abs(out - truth)[16:-16, 16:-16].max() < worst


def test_a_constant_stays_constant():
    flat = np.full((1, 50, 60), 700, np.int16)
    for shape, step in (((123, 81), (50 / 123, 60 / 81)), ((17, 23), (50 / 17, 60 / 23))):
        np.testing.assert_allclose(resample(flat, shape, step, 3), 700, rtol=1e-5)
