"""Each filter does to a histogram, or to an edge, what its name says."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy.stats import kstest, norm, rankdata

from spinelab.data.volumes.filters import Filter, apply
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.types import Case, LabelMap


@pytest.fixture
def slices() -> np.ndarray:
    return np.random.default_rng(0).gamma(2, 100, (4, 48, 56)).astype(np.float32)


@pytest.mark.parametrize("name", get_args(Filter))
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_shape_type_and_numbers(slices, name, dtype):
    out = apply((slices / 4).clip(0, 250).astype(dtype), (name,))
    assert (out.shape, out.dtype) == (slices.shape, np.float32)
    assert np.isfinite(out).all()
    assert out.std() > 0


def test_equalised_grey_values_are_uniform(slices):
    out = apply(slices, ("equalise",))
    assert kstest(out.ravel(), "uniform").statistic < 0.01


def test_matched_grey_values_are_a_bell(slices):
    out = apply(slices, ("match",))
    assert kstest(out.ravel(), norm(0.5, 1 / 6).cdf).statistic < 0.01
    log = apply(slices, ("log_match",))
    assert kstest(np.log1p(log.ravel() * np.expm1(1)), norm(0.5, 1 / 6).cdf).statistic < 0.01
    for matched in (out, log):  # only the histogram changes, not the order
        assert np.all(np.diff(matched.ravel()[np.argsort(slices.ravel())]) >= 0)


def test_matching_forgets_the_scanner(slices):
    other = np.exp(slices / 300) * 70 + 3  # another, monotone, response
    np.testing.assert_allclose(apply(slices, ("match",)), apply(other, ("match",)), atol=1e-3)


def test_clahe_brings_out_a_step_in_the_dark():
    slices = np.random.default_rng(0).normal(200, 60, (1, 256, 256)).clip(0)
    slices[:, :, 128:] *= 10
    slices[:, 80:160, 32:96] += 120

    def step(image: np.ndarray) -> float:
        return float((image[80:160, 32:96].mean() - image[176:, 32:96].mean()) / np.ptp(image))

    assert step(slices[0]) < 0.03
    assert step(apply(slices, ("clahe",))[0]) > 1.3 * step(slices[0])


def test_slices_do_not_mix_where_the_method_is_for_pictures(slices):
    changed = slices.copy()
    changed[0] *= 3
    for name in ("clahe", "edges"):
        np.testing.assert_array_equal(apply(slices, (name,))[1:], apply(changed, (name,))[1:])


def test_edges_get_steeper_and_flat_stays_flat():
    slices = np.zeros((1, 20, 20), np.float32)
    slices[:, :, 10:] = 100
    out = apply(slices, ("edges",))
    assert out[0, 10, 10] - out[0, 10, 9] > 130
    np.testing.assert_allclose(out[0, :, [0, 19]], slices[0, :, [0, 19]], atol=1e-3)


def test_order_counts_and_none_changes_nothing(slices):
    assert apply(slices, ()) is slices
    one, other = apply(slices, ("edges", "equalise")), apply(slices, ("equalise", "edges"))
    assert np.abs(rankdata(one) - rankdata(other)).max() > 0
    assert one.max() <= 1 < other.max()


def test_unknown_names():
    with pytest.raises(ValueError, match="equalise, clahe, match, log_match, edges, not 'sharpen'"):
        Preprocessing(filters=("edges", "sharpen"))
    with pytest.raises(ValueError, match="not 'sharpen'"):
        apply(np.zeros((1, 2, 3)), ("sharpen",))


def test_prepare_applies_them_to_slices_of_the_plane(write, grey):
    case = Case("a", "a", ((write("a.nii", grey),),))
    for plane in ("sagittal", "axial", "coronal"):
        plain = prepare_case(case, LabelMap(("x",)), Preprocessing(plane=plane))
        volume = prepare_case(case, LabelMap(("x",)), Preprocessing(plane=plane, filters=["clahe"]))
        np.testing.assert_array_equal(volume.image[..., 0], apply(plain.image[..., 0], ("clahe",)))
