"""Scans of different brightness and contrast come out alike, and standard landmarks never follow the scan."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from spinelab.data.volumes.normalisation import Intensity, fit
from spinelab.data.volumes.nyul import PERCENTILES, learn_landmarks
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap

MEANS = np.array([20, 150, 300, 450, 700])


def person(seed: int, air: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Five tissues in noise: grey values, and which tissue."""
    rng = np.random.default_rng(seed)
    tissue = rng.choice(5, (6, 60, 70), p=[air, *[(1 - air) / 4] * 4])
    return rng.normal(MEANS[tissue], 15).clip(0), tissue


def scanner(grey: np.ndarray, gain: float, gamma: float) -> np.ndarray:
    return gain * (grey / 800) ** gamma


@pytest.fixture(scope="module")
def standard() -> tuple[float, ...]:
    return learn_landmarks(scanner(person(seed)[0], gain, 1.0) for seed, gain in ((0, 100), (1, 400), (2, 2000)))


def test_landmarks_are_few_ascending_readable_numbers(standard):
    assert len(standard) == len(PERCENTILES) == 11
    assert list(standard) == sorted(standard)
    assert standard[-1] == 1
    assert all(len(repr(mark)) <= 6 for mark in standard)
    single = learn_landmarks([np.arange(1001.0)])  # bright: 501 .. 1000; dark end 5
    np.testing.assert_allclose(single, (np.percentile(np.arange(501, 1001), PERCENTILES) - 5) / (995.01 - 5), atol=1e-4)


def test_a_scans_own_landmarks_become_the_standard_ones(standard):
    grey = scanner(person(7)[0], 777, 0.7)
    out = fit(grey, "nyul", landmarks=standard).apply(grey)
    bright = grey > grey.mean()
    np.testing.assert_allclose(np.percentile(out[bright], PERCENTILES), standard, atol=2e-3)
    assert (out.min(), out.max()) == (0, 1)
    assert np.all(np.diff(out.ravel()[np.argsort(grey.ravel())]) >= 0)


@pytest.mark.parametrize("air", [(0.4, 0.4), (0.3, 0.6)])
def test_tissues_of_different_scanners_meet_where_zscores_do_not(standard, air):
    scans = [
        (scanner(grey, gain, gamma), tissue)
        for gain, gamma, (grey, tissue) in ((50, 0.9, person(11, air[0])), (3000, 1.1, person(12, air[1])))
    ]

    def apart(kind: str) -> float:
        """Largest difference of a tissue's mean between the scans, as a share of the range of the means."""
        outs = [fit(grey, kind, landmarks=standard).apply(grey) for grey, _ in scans]
        means = [[out[tissue == t].mean() for t in range(1, 5)] for out, (_, tissue) in zip(outs, scans, strict=True)]
        return float(np.abs(np.subtract(*means)).max() / np.ptp(means[0]))

    assert apart("nyul") < 0.05
    assert apart("zscore") > 1.5 * apart("nyul")
    assert apart("percentile") > 1.5 * apart("nyul")


def test_plain_values_survive_json(standard):
    intensity = fit(person(3)[0], "nyul", landmarks=standard)
    assert Intensity(**json.loads(json.dumps(asdict(intensity)))) == intensity
    assert Intensity(low=0.0, high=1.0, shift=0.0, scale=1.0).knots is None


def test_a_picture_of_few_values_stays_finite(standard):
    image = np.zeros((3, 30, 30), np.int16)
    image[1, 5:9, 5:9] = 7
    out = fit(image, "nyul", landmarks=standard).apply(image)
    assert np.isfinite(out).all()
    assert out[1, 6, 6] > out[0, 0, 0]
    assert np.isfinite(fit(np.full((2, 3, 4), 5), "nyul", landmarks=standard).apply(np.arange(4))).all()


def test_prepare_takes_one_list_or_one_a_contrast(write, grey, standard):
    case = Case("a", "a", ((write("a.nii", grey),), (write("b.nii", grey * 2),)))
    steep = tuple(float(mark) ** 2 for mark in standard)
    flat = prepare_case(case, LabelMap(("x",)), Preprocessing(normalisation="nyul", landmarks=list(standard)))
    both = prepare_case(case, LabelMap(("x",)), Preprocessing(normalisation="nyul", landmarks=[standard, steep]))
    assert flat.intensity[0] == both.intensity[0]
    assert [y for _, y in both.intensity[1].knots][1:] == pytest.approx(steep)
    with pytest.raises(DataError, match="2 contrasts, there are landmarks for 3"):
        prepare_case(case, LabelMap(("x",)), Preprocessing(normalisation="nyul", landmarks=[standard] * 3))


def test_bad_landmarks():
    with pytest.raises(ValueError, match="needs landmarks"):
        Preprocessing(normalisation="nyul")
    with pytest.raises(ValueError, match="needs landmarks"):
        fit(np.arange(9), "nyul")
    with pytest.raises(ValueError, match="11 ascending numbers"):
        Preprocessing(normalisation="nyul", landmarks=[0.1, 0.2])
    with pytest.raises(ValueError, match="11 ascending numbers"):
        Preprocessing(normalisation="nyul", landmarks=[1.0 - i / 20 for i in range(11)])
    with pytest.raises(ValueError, match="at least one"):
        learn_landmarks([])
    with pytest.raises(ValueError, match="constant"):
        learn_landmarks([np.ones(8)])
