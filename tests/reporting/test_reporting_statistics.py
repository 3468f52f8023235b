from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinelab.reporting.statistics import (
    Difference,
    bootstrap_interval,
    compare_pairs,
    person_values,
    summarise,
)


def table(*rows):
    """Rows (run, person, class, value, state)."""
    columns = ["run", "person", "class", "value", "state"]
    return pd.DataFrame(rows, columns=columns).assign(metric="dice", case=range(len(rows)))


def frame(values):
    index = [f"p{i}" for i in range(len(values))]
    return pd.DataFrame({"value": values, "absent": 0, "missed": 0, "false_alarm": 0}, index=index)


def test_volumes_then_seeds_then_persons():
    cases = table(
        ("s0", "p1", "cord", 0.2, "present"),
        ("s0", "p1", "cord", 0.4, "present"),
        ("s1", "p1", "cord", 0.9, "present"),
        ("s0", "p2", "cord", 1.0, "present"),
    )
    values = person_values(cases, "dice", "cord")["value"]
    assert values.to_dict() == pytest.approx({"p1": (0.3 + 0.9) / 2, "p2": 1.0})
    assert summarise(person_values(cases, "dice", "cord")).mean == pytest.approx(0.8)  # not the 0.625 of all volumes


def test_values_that_are_none_do_not_count_and_are_told():
    cases = table(
        ("r", "p1", "lesion", None, "absent"),
        ("r", "p1", "lesion", None, "absent"),
        ("r", "p2", "lesion", None, "absent"),
        ("r", "p2", "lesion", 0.5, "present"),
        ("r", "p3", "lesion", 0.0, "missed"),
        ("r", "p4", "lesion", 0.0, "false_alarm"),
    )
    persons = person_values(cases.astype({"value": object}), "dice", "lesion")
    assert math.isnan(persons.loc["p1", "value"])
    summary = summarise(persons)
    assert (summary.n, summary.absent, summary.missed, summary.false_alarm) == (3, 3, 1, 1)
    assert summary.mean == pytest.approx(0.5 / 3)


def test_mean_over_classes_is_taken_within_a_person_first():
    cases = table(
        ("r", "p1", "cord", 0.8, "present"),
        ("r", "p1", "lesion", 0.2, "present"),
        ("r", "p2", "cord", 0.9, "present"),
        ("r", "p2", "lesion", None, "absent"),
    )
    assert person_values(cases, "dice", None)["value"].to_dict() == pytest.approx({"p1": 0.5, "p2": 0.9})


def test_every_seed_weighs_the_same_even_if_one_has_a_false_alarm():
    cases = table(
        ("s0", "p1", "cord", 0.8, "present"),
        ("s0", "p1", "lesion", 0.0, "false_alarm"),
        ("s1", "p1", "cord", 0.9, "present"),
        ("s1", "p1", "lesion", None, "absent"),
    )
    assert person_values(cases, "dice", None)["value"].to_dict() == pytest.approx({"p1": (0.4 + 0.9) / 2})


def test_summary_against_numpy_and_scipy():
    values = np.random.default_rng(3).beta(9, 1, 17)
    summary = summarise(frame(values))
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", random_state=np.random.default_rng(0)
    )
    assert (summary.low, summary.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)
    assert (summary.mean, summary.median, summary.sd, summary.n) == pytest.approx(
        (np.mean(values), np.median(values), np.std(values, ddof=1), 17)
    )


def test_interval_of_many_persons_is_near_the_normal_one():
    values = np.random.default_rng(5).normal(0.8, 0.05, 400)
    half = 1.96 * values.std(ddof=1) / 20
    assert bootstrap_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.0006)


def test_interval_is_the_same_every_time():
    values = np.array([0.7, 0.8, 0.95, 0.6])
    assert bootstrap_interval(values) == bootstrap_interval(values)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.7], 1), ([math.nan, 0.7], 1)])
def test_no_interval_for_fewer_than_two_persons(values, n):
    summary = summarise(frame(values))
    assert summary.n == n
    assert math.isnan(summary.low)
    assert math.isnan(summary.sd)
    assert math.isnan(summary.mean) == (n == 0)


@pytest.mark.filterwarnings("error")
def test_equal_values_fall_back_to_percentiles_without_a_warning():
    assert bootstrap_interval(np.full(4, 0.5)) == (0.5, 0.5)


def test_pairing_sees_a_small_steady_difference_that_the_spread_between_persons_hides():
    reference = frame(np.linspace(0.2, 0.95, 12))
    ours = reference.assign(value=reference["value"] - 0.02 + np.tile([0.004, -0.004], 6))
    (pair,) = compare_pairs([pd.DataFrame({"ours": ours["value"], "reference": reference["value"]})])
    assert pair.real
    a, b = summarise(ours), summarise(reference)
    assert a.high > b.low  # the intervals of the two means overlap all the same


@pytest.mark.parametrize(
    ("difference", "told_apart"),
    [
        (Difference(-0.1, -0.2, -0.05, 6), True),
        (Difference(-0.1, -0.2, -0.05, 5), False),
        (Difference(-0.1, -0.2, 0.01, 50), False),
        (Difference(math.nan, math.nan, math.nan, 0), False),
    ],
)
def test_few_persons_never_tell_models_apart(difference, told_apart):
    assert difference.distinguishable is told_apart


def test_five_persons_cannot_be_significant_but_six_can():
    assert stats.wilcoxon(np.arange(1, 6)).pvalue > 0.05 > stats.wilcoxon(np.arange(1, 7)).pvalue
