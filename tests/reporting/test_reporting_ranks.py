from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinelab.reporting.statistics import rank_rows
from spinelab.reporting.statistics.ranks import kendall_tau


def test_by_hand_over_every_resample_drawn():
    values = pd.DataFrame({"A": [0.9, 0.5, 0.8], "B": [0.7, 0.6, 0.9], "C": [0.1, 0.2, 0.3]})
    found = rank_rows(values, resamples=400)
    drawn = np.random.default_rng(0).integers(0, 3, (400, 3))
    ranks = np.array([stats.rankdata((-values.iloc[rows].mean()).round(9), method="min") for rows in drawn])
    assert {place.label: place.observed for place in found.ranks} == {"A": 1, "B": 1, "C": 3}
    for place in found.ranks:
        ours = ranks[:, "ABC".index(place.label)]
        assert place.mean == pytest.approx(ours.mean())
        assert place.first == pytest.approx((ours == 1).mean())
        assert (place.low, place.high) == tuple(np.quantile(ours, [0.025, 0.975], method="inverted_cdf"))
    observed = stats.rankdata(-values.mean().round(9), method="min")
    taus = [stats.kendalltau(row, observed).statistic for row in ranks]
    assert found.tau == pytest.approx(np.nan_to_num(taus).mean())
    assert found.n == 3


def test_persons_are_drawn_jointly():
    """Persons differ much more than models do; a steady difference still gives a steady ranking."""
    base = np.random.default_rng(1).normal(0.7, 0.2, 20)
    found = rank_rows(pd.DataFrame({"A": base, "B": base + 0.01, "C": base - 0.01}))
    assert [place.label for place in found.ranks] == ["B", "A", "C"]
    assert [place.first for place in found.ranks] == [1, 0, 0]
    assert found.tau == 1


def test_equal_models_are_first_by_chance():
    values = np.random.default_rng(3).normal(0.8, 0.05, (40, 2))
    values[:, 1] += values[:, 0].mean() - values[:, 1].mean()
    found = rank_rows(pd.DataFrame(values, columns=["A", "B"]))
    assert [place.observed for place in found.ranks] == [1, 1]
    assert all(0.45 < place.first < 0.55 for place in found.ranks)
    assert [(place.low, place.high) for place in found.ranks] == [(1, 2), (1, 2)]


def test_lower_is_better_and_missing_values_count_for_nothing():
    values = pd.DataFrame({"A": [9.0, 8.0, 9.0, 9.5], "B": [2.0, np.nan, 1.0, 3.0]})
    assert [place.label for place in rank_rows(values, lower_is_better=True).ranks] == ["B", "A"]
    with pytest.raises(ValueError, match=r"without any value.*'B'"):
        rank_rows(values.assign(B=np.nan))


def test_kendalls_tau_is_scipys_ties_included():
    rng = np.random.default_rng(2)
    drawn, observed = rng.integers(1, 5, (60, 6)).astype(float), np.array([1.0, 2, 2, 4, 5, 6])
    assert kendall_tau(drawn, observed) == pytest.approx([stats.kendalltau(row, observed).statistic for row in drawn])


def test_ten_rows_of_a_thousand_persons_take_about_a_second():
    values = pd.DataFrame(np.random.default_rng(0).normal(0.8, 0.1, (1000, 10)))
    started = time.process_time()
    rank_rows(values)
    assert time.process_time() - started < 5  # measured: about 0.5 s; the machine of a test may be slow
