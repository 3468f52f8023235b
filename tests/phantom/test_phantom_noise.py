from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from spinelab.phantom.noise import _interpolate, smooth_field


def test_interpolation_is_scipys_cubic_b_spline() -> None:
    knots = np.random.default_rng(0).standard_normal(12).astype(np.float32)
    spline = BSpline(np.arange(-3, 13), knots, 3)
    ours = _interpolate(knots[:, None], 40, 4.5, axis=0)[:, 0]
    np.testing.assert_allclose(ours, spline(np.arange(40) / 4.5), atol=1e-5)


@pytest.mark.parametrize("knot", [4, 7.5, 16])
def test_field_has_the_wanted_spread_and_no_jumps(knot: float) -> None:
    field = smooth_field(np.random.default_rng(0), (40, 50, 60), 2.0, knot)
    assert field.shape == (40, 50, 60)
    assert field.dtype == np.float32
    assert field.std() == pytest.approx(2, rel=1e-4)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 12 / knot


def test_field_repeats_with_the_seed_only() -> None:
    first, again, other = (smooth_field(np.random.default_rng(s), (9, 8, 7), 1, 3) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
