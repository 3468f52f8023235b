"""Labels, grey values, thumbnails, outliers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from spinelab.data.doctor.dataset import robust_z
from spinelab.data.doctor.intensity import check_values as check_grey
from spinelab.data.doctor.intensity import digest, thumbnail
from spinelab.data.doctor.labels import Values, check_names, check_values, class_voxels, mended, scale_of
from spinelab.types import Case, LabelMap, MaskFiles

HERE = Path("mask.nii.gz")


def checks(values: list[float], known: tuple[int, ...]) -> list[str]:
    return [finding.check for finding in check_values(Values.of(np.array(values)), known, HERE)]


@pytest.mark.parametrize(
    ("values", "known", "expected"),
    [
        ([0, 1, 2], (1, 2), []),
        ([0, 0, 0], (1, 2), ["empty-mask"]),
        ([0, 255], (1,), ["scaled-labels"]),
        ([0, 1000, 2000], (1, 2), ["scaled-labels"]),
        ([0, 85, 170, 255], (1, 2, 3), ["scaled-labels"]),
        ([0, 0.0039215689], (1,), ["scaled-labels"]),
        ([0, 100], (1, 2), ["unknown-labels"]),  # SPIDER's canal is 100: no factor
        ([0, 1, 255], (1, 2), ["unknown-labels"]),
        ([0, 0.5], (1,), ["fractional-labels"]),
        ([0, 0.5, 7], (1,), ["fractional-labels", "unknown-labels"]),
        ([0, np.nan, 1], (1,), ["label-nan"]),
    ],
)
def test_what_is_said_of_raw_values(values, known, expected):
    assert checks(values, known) == expected


def test_a_single_bright_value_of_several_labels_is_not_guessed():
    assert scale_of(np.array([0.0, 170.0]), (1, 2, 3)) is None


@pytest.mark.parametrize(
    ("factor", "dtype"), [(255, "int16"), (1000, "int32"), (1 / 255, "float32"), (1.002, "float32")]
)
def test_mended_labels_are_those_that_were_meant(factor, dtype):
    meant = np.random.default_rng(0).integers(0, 3, (5, 6, 7))
    found = mended((meant * factor).astype(dtype), (1, 2))
    np.testing.assert_array_equal(found, meant)
    assert found.dtype == np.uint8


def test_voxels_are_counted_by_class():
    content = Values.of(np.array([0, 1, 1, 5, 6, 6, 6], np.uint8))
    assert class_voxels(content, {1: "vertebra", 5: "lesion", 6: "lesion"}) == {"vertebra": 2, "lesion": 4}


def test_classes_that_source_and_label_map_do_not_share():
    case = Case("a", "a", ((HERE,),), (MaskFiles((HERE,), {1: "cord", 2: "background"}),))
    found = list(check_names([case], LabelMap(("disc",))))
    assert [finding.check for finding in found] == ["unknown-class"]
    assert "cord" in found[0].found


def test_grey_values():
    rng = np.random.default_rng(0)
    fine = rng.normal(size=(4, 5, 6)).astype(np.float32)
    assert list(check_grey(fine, (HERE,))) == []
    broken = fine.copy()
    broken[1, 2, 3], broken[3, 4, 5] = np.nan, np.inf
    (finding,) = check_grey(broken, (HERE,))
    assert "2 voxels" in finding.found
    assert "(1, 2, 3)" in finding.found
    assert [finding.check for finding in check_grey(np.zeros((2, 2, 2)), (HERE,))] == ["constant"]
    few = rng.integers(0, 4, (9, 9, 9))
    assert [finding.check for finding in check_grey(few, (HERE,))] == ["image-like-mask"]


def test_thumbnails_correlate_as_their_scans_do():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(16, 64, 64))
    assert thumbnail(one) @ thumbnail(one * 3 + 100) == pytest.approx(1, abs=1e-5)
    assert abs(thumbnail(one) @ thumbnail(rng.normal(size=(16, 64, 64)))) < 0.1
    means = one.reshape(8, 2, 32, 2, 32, 2).mean((1, 3, 5)).ravel()
    assert thumbnail(one) @ (means - means.mean()) == pytest.approx(np.linalg.norm(means - means.mean()), rel=1e-4)
    assert thumbnail(np.ones((3, 4, 5), np.int16)).shape == thumbnail(one).shape


def test_digests_do_not_depend_on_memory_order():
    one = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    assert digest(one) == digest(np.asfortranarray(one)) != digest(one + 1)
    assert digest(one) != digest(one.reshape(4, 3, 2))


def test_robust_z_is_the_textbook_one_above_its_floor():
    values = np.random.default_rng(0).normal(size=31)
    expected = (values - np.median(values)) / median_abs_deviation(values, scale="normal")
    np.testing.assert_allclose(robust_z(values, 0.01), expected, rtol=1e-4)
    np.testing.assert_allclose(robust_z(np.array([1.0, 1, 1, 2]), 0.5), [0, 0, 0, 2])
