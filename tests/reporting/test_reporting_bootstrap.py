from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spinelab.reporting.statistics import bootstrap_interval, intervals, resampled_means
from spinelab.reporting.statistics.bootstrap import resample_counts


def by_scipy(values, method="BCa"):
    rng = np.random.default_rng(0)
    return tuple(stats.bootstrap((values,), np.mean, n_resamples=9999, method=method, rng=rng).confidence_interval)


@pytest.mark.parametrize("n", [2, 5, 8, 17, 200])
def test_intervals_of_many_columns_are_those_of_scipy(n):
    # Multiples of 1/1024 add up exactly: else scipy's own rounding decides which resampled means equal the observed
    # one, and with few persons many do.
    values = np.round(1024 * np.random.default_rng(n).beta(9, 1, (n, 3))) / 1024
    expected = [by_scipy(column) for column in values.T]
    assert intervals(values) == pytest.approx(np.array(expected), abs=1e-12)


def test_skewed_scores_get_a_skewed_interval():
    values = np.array([0.95, 0.94, 0.96, 0.93, 0.95, 0.94, 0.92, 0.1])
    low, high = bootstrap_interval(values)
    assert values.mean() - low > 2 * (high - values.mean())


def test_an_interval_turns_round_with_the_sign():
    values = np.random.default_rng(1).gamma(1, 1, (11, 2))
    assert intervals(-values) == pytest.approx(-intervals(values)[:, ::-1], abs=1e-12)


def test_counts_are_resamples_and_the_same_for_any_block_size():
    counts = resample_counts(2500, 900)
    assert (counts.sum(axis=1) == 2500).all()
    drawn = np.random.default_rng(0).integers(0, 2500, (900, 2500))
    assert (counts[899] == np.bincount(drawn[899], minlength=2500)).all()
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 1


def test_a_person_without_a_value_counts_for_nothing_where_he_is_drawn():
    values = np.array([[1.0, 1.0], [2.0, np.nan], [6.0, 3.0]])
    means = resampled_means(values, resamples=50)
    drawn = np.random.default_rng(0).integers(0, 3, (50, 3))
    by_hand = [[np.mean(values[rows, 0]) for rows in drawn]]
    by_hand += [[np.mean(known) if len(known := values[rows, 1][rows != 1]) else np.nan for rows in drawn]]
    assert means == pytest.approx(np.array(by_hand), nan_ok=True)
    assert np.isnan(means[1]).any()  # person 1 three times
    low, high = intervals(values)[1]
    assert 1 <= low < high <= 3


def test_missing_values_change_an_interval_of_many_persons_little():
    values = np.random.default_rng(4).normal(0.8, 0.1, 400)
    padded = np.concatenate([values, np.full(100, np.nan)])
    assert bootstrap_interval(padded) == pytest.approx(bootstrap_interval(values), abs=0.001)


def test_too_few_values_and_equal_values():
    values = np.array([[np.nan, 0.1, 0.1], [0.3, 0.1, np.nan], [np.nan, 0.1, 0.1]])
    ends = intervals(values)
    assert np.isnan(ends[0]).all()
    assert ends[1:] == pytest.approx(0.1, abs=0)  # not beyond, whatever the order of summation
    assert intervals(np.empty((0, 2))).shape == (2, 2)


def coverage(draw, truth, n, data_sets, resamples=999):
    """Share of data sets whose interval holds the truth: many columns at once, each a data set."""
    ends = intervals(draw(np.random.default_rng(11), (n, data_sets)), resamples)
    return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def test_coverage_of_normal_scores_is_what_theory_says():
    """A bootstrap of the mean knows no t: for normal values it covers as mean +- 1.96 sd (n denominator) / sqrt(n)."""
    n, data_sets = 20, 4000
    expected = 2 * stats.t.cdf(1.96 * np.sqrt((n - 1) / n), n - 1) - 1  # 0.929
    found = coverage(lambda rng, size: rng.normal(0.8, 0.05, size), 0.8, n, data_sets)
    error = np.sqrt(expected * (1 - expected) / data_sets)
    assert found == pytest.approx(expected, abs=3 * error + 0.004)  # 0.004: 999 resamples, BCa is not quite percentile


def test_coverage_of_skewed_scores_is_some_points_below_the_nominal():
    found = coverage(lambda rng, size: rng.beta(8, 1, size), 8 / 9, 20, 4000)
    assert 0.90 < found < 0.95  # BCa for a mean of 20 skewed values: some points below 0.95, as known (Efron 1987)
