from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spinelab.reporting.statistics import Spread, seed_limit, spread
from spinelab.reporting.statistics.variance import seed_noise, variance_components


def lines(values, fold=0, first=0):
    """Scores of one fold, (persons, seeds), as lines."""
    persons, seeds = np.shape(values)
    person, seed = np.meshgrid(np.arange(persons) + first, np.arange(seeds), indexing="ij")
    frame = {"person": person.ravel(), "seed": seed.ravel(), "fold": fold, "value": np.ravel(values)}
    return pd.DataFrame(frame).assign(run=lambda frame: 100 * fold + frame["seed"])


def simulate(rng, folds=4, persons=50, seeds=3, sd=(0.10, 0.06, 0.04, 0.05)):
    """Persons, folds, trainings and the rest have these standard deviations."""
    parts = []
    for fold in range(folds):
        person, training = rng.normal(0, sd[0], (persons, 1)), rng.normal(0, sd[2], (1, seeds))
        values = 0.8 + rng.normal(0, sd[1]) + person + training + rng.normal(0, sd[3], (persons, seeds))
        parts.append(lines(values, fold, fold * persons))
    return pd.concat(parts, ignore_index=True)


def test_two_persons_two_seeds_by_hand():
    # Means of persons 2 and 7, of seeds 3 and 6: mean squares 25, 9 and 1; (25 - 1) / 2, (9 - 1) / 2, 1.
    persons, folds, seeds, rest = variance_components(lines([[1.0, 3.0], [5.0, 9.0]]))
    assert (persons, seeds, rest) == pytest.approx((12, 4, 1))
    assert folds is None


def test_balanced_data_give_the_analysis_of_variance():
    values = np.random.default_rng(1).normal(0, 1, (12, 4)) + np.arange(12)[:, None] / 3 + np.arange(4) / 2
    grand, of_persons, of_seeds = values.mean(), values.mean(axis=1), values.mean(axis=0)
    ms_persons = 4 * ((of_persons - grand) ** 2).sum() / 11
    ms_seeds = 12 * ((of_seeds - grand) ** 2).sum() / 3
    ms_rest = ((values - of_persons[:, None] - of_seeds + grand) ** 2).sum() / 33
    expected = (ms_persons - ms_rest) / 4, None, (ms_seeds - ms_rest) / 12, ms_rest
    assert variance_components(lines(values)) == pytest.approx(expected)


def test_restricted_maximum_likelihood_agrees_on_balanced_data():
    mixed = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is not installed").mixedlm
    frame = simulate(np.random.default_rng(3), folds=1, persons=40, seeds=5)
    parts = {"person": "0 + C(person)", "seed": "0 + C(seed)"}
    fit = mixed("value ~ 1", frame, groups=np.ones(len(frame)), vc_formula=parts).fit(reml=True)
    persons, _, seeds, rest = variance_components(frame)
    found = dict(zip(fit.model.exog_vc.names, fit.vcomp, strict=True))
    assert (persons, seeds, rest) == pytest.approx((found["person"], found["seed"], fit.scale), rel=0.02)


def test_unbalanced_data_are_not_biased():
    rng = np.random.default_rng(5)
    found = []
    for _ in range(150):
        frame = simulate(rng, persons=15)
        frame.loc[rng.random(len(frame)) < 0.3, "value"] = np.nan
        spread_ = spread(frame)
        found.append((spread_.persons, spread_.folds, spread_.seeds, spread_.rest))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(150)
    # Folds are few (4): estimates below 0 are cut off, so their mean is a little above the truth.
    assert mean == pytest.approx(np.array([0.10, 0.06, 0.04, 0.05]) ** 2, abs=4 * error.max())


def test_one_seed_tells_nothing_about_seeds():
    frame = simulate(np.random.default_rng(6), seeds=1)
    found = spread(frame)
    assert (found.seeds, found.rest, found.noise, found.seed_count) == (None, None, None, 1)
    assert found.persons == pytest.approx(0.10**2 + 0.05**2, rel=0.3)
    assert found.folds is not None


def test_one_fold_tells_nothing_about_folds():
    assert spread(simulate(np.random.default_rng(6), folds=1)).folds is None


def test_every_person_a_fold():
    parts = [lines([[0.5 + i / 10, 0.6 + i / 10]], fold=i, first=i) for i in range(3)]
    found = spread(pd.concat(parts))
    assert (found.folds, found.seeds) == (None, None)
    assert found.rest == pytest.approx(0.005)  # 0.1**2 / 2
    assert found.persons == pytest.approx((0.02 - 0.005) / 2)  # mean square of persons: twice the variance 0.01


def test_networks_of_all_folds_on_the_same_other_persons_are_trainings():
    values = np.random.default_rng(8).normal(0.8, 0.1, (9, 3))
    crossed = pd.concat([lines(values[:, [i]], fold=i) for i in range(3)])
    persons, _, seeds, rest = variance_components(lines(values))
    found = spread(crossed)
    assert (found.persons, found.seeds, found.rest) == pytest.approx((persons, seeds, rest))
    assert found.folds is None


def test_nothing_to_split():
    nothing = pd.DataFrame({"person": [], "seed": [], "fold": [], "run": [], "value": []})
    assert spread(nothing) == Spread(seed_count=0)
    assert spread(lines([[0.5]])) == Spread(seed_count=1)


def test_seed_noise_is_the_deviation_of_the_means_over_common_persons():
    frame = lines([[0.5, 0.7], [0.7, 0.8], [0.1, np.nan]]).dropna()  # the third was scored by one seed
    assert seed_noise(frame) == (pytest.approx(np.std([0.60, 0.75], ddof=1)), 2)
    folds = pd.concat([lines([[0.5, 0.7]], 0, 0), lines([[0.7, 0.8]], 1, 1)])  # a seed is all its folds
    assert seed_noise(folds)[0] == pytest.approx(np.std([0.60, 0.75], ddof=1))


def test_seed_limit_by_hand_and_by_simulation():
    a, b = Spread(noise=0.03, seed_count=3), Spread(noise=0.03, seed_count=3)
    assert seed_limit(a, b) == pytest.approx(stats.t.ppf(0.975, 4) * 0.03 * np.sqrt(2 / 3))
    assert seed_limit(a, Spread(seed_count=1)) is None
    assert seed_limit(Spread(noise=0.0, seed_count=2), Spread(noise=0.0, seed_count=2)) == 0
    rng, beyond = np.random.default_rng(2), 0
    for _ in range(1000):
        ours, theirs = rng.normal(0, 0.02, 3), rng.normal(0, 0.02, 3)
        limit = seed_limit(Spread(noise=ours.std(ddof=1), seed_count=3), Spread(noise=theirs.std(ddof=1), seed_count=3))
        beyond += abs(ours.mean() - theirs.mean()) > limit
    assert 0.02 < beyond / 1000 < 0.07
