from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinelab.reporting.statistics import (
    Comparison,
    Difference,
    bootstrap_interval,
    compare_pairs,
    holm,
    persons_needed,
    rank_biserial,
    signed_rank_p,
)
from spinelab.reporting.statistics.paired import standardised


def rows(**columns):
    return pd.DataFrame(columns, index=[f"p{i}" for i in range(len(next(iter(columns.values()))))])


def test_every_pair_is_compared_once_and_in_order():
    rng = np.random.default_rng(0)
    base = rng.normal(0.8, 0.05, 30)
    values = rows(A=base + rng.normal(0.03, 0.02, 30), B=base, C=base + rng.normal(0, 0.02, 30))
    found = compare_pairs([values])
    assert [(pair.first, pair.second) for pair in found] == [("A", "B"), ("A", "C"), ("B", "C")]
    for pair in found:
        difference = (values[pair.first] - values[pair.second]).to_numpy()
        assert pair.difference.mean == pytest.approx(difference.mean())
        assert pair.p == pytest.approx(stats.wilcoxon(difference).pvalue)
        assert pair.d_z == pytest.approx(difference.mean() / difference.std(ddof=1))
        assert pair.needed == persons_needed(pair.d_z)
    assert [pair.real for pair in found] == [True, True, False]


def test_pairs_of_separate_sets_are_not_made_but_are_adjusted_together():
    rng = np.random.default_rng(0)
    sets = [rows(A=rng.random(8), B=rng.random(8)), rows(C=rng.random(9), D=rng.random(9))]
    found = compare_pairs(sets)
    assert [(pair.first, pair.second) for pair in found] == [("A", "B"), ("C", "D")]
    assert [pair.adjusted for pair in found] == pytest.approx(list(holm([pair.p for pair in found])))
    assert max(pair.adjusted / pair.p for pair in found) == pytest.approx(2)


def test_only_persons_that_both_rows_scored_count():
    (pair,) = compare_pairs([rows(A=[1.0, 2.0, math.nan, 3.0], B=[0.5, math.nan, 1.0, 2.0])])
    assert (pair.difference.n, pair.difference.mean) == (2, pytest.approx(0.75))
    assert math.isnan(pair.p)
    assert math.isnan(pair.adjusted)
    assert pair.needed is None
    assert not pair.real


def test_intervals_of_pairs_are_those_of_their_differences():
    rng = np.random.default_rng(9)
    values = rows(A=rng.random(40), B=rng.random(40), C=np.where(rng.random(40) < 0.2, np.nan, rng.random(40)))
    for pair in compare_pairs([values]):
        difference = (values[pair.first] - values[pair.second]).to_numpy()
        assert (pair.difference.low, pair.difference.high) == pytest.approx(bootstrap_interval(difference), abs=1e-12)


def test_no_pair_of_nothing():
    assert compare_pairs([]) == ()
    assert compare_pairs([rows(A=[1.0, 2.0])]) == ()


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 gives 0.04, 0.06, 0.06, 0.04, and steps never go down.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)  # a family of two
    assert holm([]).tolist() == []


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    for seed in range(20):
        p = np.random.default_rng(seed).beta(0.5, 3, 12).round(3)  # with ties
        assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize("n", [6, 12, 30, 51, 300])
def test_signed_rank_test_is_scipys_whatever_stands_beside_it(n):
    rng = np.random.default_rng(n)
    values = rng.normal(0.2, 1, (n, 3))
    values[: n // 3, 1] = 0  # persons for whom two models are equal
    values[0, 2] = np.nan
    expected = [stats.wilcoxon(column[~np.isnan(column)], zero_method="pratt").pvalue for column in values.T]
    expected[2] = np.nan if n == 6 else expected[2]  # five persons are left
    assert signed_rank_p(values) == pytest.approx(expected, nan_ok=True)


def test_equal_models_and_rounding_are_no_difference():
    same = np.full((8, 1), 0.1 + 0.2 - 0.3)  # 5.6e-17
    assert signed_rank_p(same) == pytest.approx([1])
    assert rank_biserial(same[:, 0]) == 0
    assert standardised(same[:, 0]) == 0
    assert signed_rank_p(np.full((5, 1), 1.0)) == pytest.approx([np.nan], nan_ok=True)


def test_pratt_by_hand():
    # |d| 0 1 2 3 4 5 6: ranks 1..7, the zero's rank is dropped: 2..7 all positive; 2 * 0.5**6 of the sign patterns.
    assert signed_rank_p(np.arange(7.0)[:, None]) == pytest.approx([2 / 64])


def test_rank_biserial_by_hand():
    # |d| 1 2 3 4 have the ranks 1 2 3 4; positive 1 + 3 + 4, negative 2: (8 - 2) / 10.
    assert rank_biserial(np.array([1.0, -2.0, 3.0, 4.0])) == pytest.approx(0.6)
    assert rank_biserial(np.array([1.0, 2.0])) == 1
    # A zero takes rank 1 of 3 and brings the correlation from 1 to 5/6.
    assert rank_biserial(np.array([0.0, 2.0, 5.0])) == pytest.approx(5 / 6)
    assert rank_biserial(np.array([2.0, -2.0])) == 0
    assert math.isnan(rank_biserial(np.array([])))


def test_standardised_difference_of_no_spread():
    assert standardised(np.full(4, -0.1)) == -math.inf
    assert math.isnan(standardised(np.array([1.0])))


@pytest.mark.parametrize(
    ("low", "adjusted", "n", "real"),
    [(0.01, 0.01, 9, True), (-0.01, 0.01, 9, False), (0.01, 0.06, 9, False), (0.01, 0.01, 5, False)],
)
def test_real_needs_interval_test_and_persons(low, adjusted, n, real):
    assert Comparison("A", "B", Difference(0.1, low, 0.2, n), 0.01, adjusted, 0.5, 0.8, 9).real is real


def test_a_difference_seen_from_the_other_side():
    assert -Difference(0.1, -0.05, 0.3, 7) == Difference(-0.1, -0.3, 0.05, 7)


def test_false_alarms_of_equal_models_stay_below_five_percent():
    """Four models that differ by chance only: at least one of six pairs is called in at most 5 % of data sets."""
    rng, data_sets, n = np.random.default_rng(5), 1000, 60
    values = rng.gamma(2, 1, (n, 1, 1)) + rng.normal(0, 1, (n, data_sets, 4))
    pairs = np.stack([values[..., i] - values[..., j] for i in range(4) for j in range(i)], axis=2)
    p = signed_rank_p(pairs.reshape(n, -1)).reshape(data_sets, 6)
    alarms = float(np.mean([holm(family).min() < 0.05 for family in p]))
    error = math.sqrt(0.05 * 0.95 / data_sets)
    assert 0.01 < alarms <= 0.05 + 2 * error
    assert float(np.mean(p.min(axis=1) < 0.05)) > 0.1  # without the correction


@pytest.mark.parametrize("d_z", [0.3, 0.5, 0.8, 1.2])
def test_needed_persons_give_eighty_percent_power(d_z):
    n = persons_needed(d_z)
    values = np.random.default_rng(7).normal(d_z, 1, (n, 1500))
    power = float((signed_rank_p(values) < 0.05).mean())
    # Monte-Carlo error 0.01 (one sigma). Of 8 persons (1.2) the exact test has coarse levels: 0.77.
    assert (0.75 if n < 10 else 0.78) < power < 0.84


def test_needed_persons_against_the_t_test_of_statsmodels():
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is not installed").TTestPower()
    for d_z in (0.2, 0.5, 1.0):
        exact = power.solve_power(effect_size=d_z, alpha=0.05, power=0.8) / (3 / math.pi)
        assert persons_needed(-d_z) == pytest.approx(exact, abs=1.5)


def test_needed_persons_at_the_ends():
    assert persons_needed(0) is None
    assert persons_needed(math.nan) is None
    assert persons_needed(math.inf) == persons_needed(5) == 6
    assert persons_needed(0.5) == 35  # (2.802 / 0.5)**2 + 1.921 = 33.3; over 0.955: 34.9
    with pytest.raises(ValueError, match="alpha and power"):
        persons_needed(0.5, power=1)
