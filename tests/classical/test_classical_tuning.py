from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from spinelab.classical.grey import prepare, unit
from spinelab.classical.technique import Technique
from spinelab.classical.tuning import (
    best_weight,
    candidates,
    confusion,
    divide,
    evenly,
    keywords,
    summed_dice,
    weigh,
    within,
)


class Threshold(Technique):
    """Class 1 above a fixed value; remembers what it was shown."""

    def __init__(self, values: list[float], **limits: Any) -> None:
        super().__init__({"value": values}, ("value", "nap"), **limits)
        self.learnt: list[int] = []

    def learn(self, greys: Any, masks: Any, classes: int, seed: int, **parameters: Any) -> dict[str, Any]:
        self.learnt.append(len(greys))
        time.sleep(parameters.get("nap", 0))
        return {}

    def score(self, grey: Any, model: Any, classes: int, seed: int, **parameters: Any) -> np.ndarray:
        above = grey > parameters["value"]
        return np.stack([~above, above]).astype(np.float64)


def ramps(count: int) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    images = [np.random.default_rng(n).random((20, 20)) for n in range(count)]
    return images, [(unit(image) > 0.6).astype(np.uint8) for image in images], [f"p{n}" for n in range(count)]


def test_the_best_value_is_chosen_and_all_are_told() -> None:
    technique = Threshold([0.2, 0.4, 0.6, 0.8]).fit(*ramps(6), classes=2)
    assert technique.state["parameters"] == {"value": 0.6}
    assert technique.state["dice"] == 1.0
    assert [trial["parameters"]["value"] for trial in technique.state["tried"]] == [0.2, 0.4, 0.6, 0.8]
    assert technique.learnt == [4, 4, 4, 4, 6]  # two of six persons were held back, then all were learnt from


def test_dice_of_a_trial_is_that_of_the_held_persons() -> None:
    images, masks, persons = ramps(6)
    technique = Threshold([0.4])
    technique.fit(images, masks, persons, classes=2, seed=2)
    rng = np.random.default_rng(2)
    chosen = evenly(persons, 48, rng)
    held = divide([persons[i] for i in chosen], rng)[1]
    truth, found = (
        np.concatenate([part[i].ravel() for i in held]) for part in (masks, [unit(i) > 0.4 for i in images])
    )
    assert technique.state["dice"] == pytest.approx(f1_score(truth, found))


def test_time_over_stops_the_search_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    technique = Threshold([0.2, 0.6, 0.8], limit_s=0.05)
    technique.search["nap"] = [0.1]
    with caplog.at_level(logging.INFO):
        technique.fit(*ramps(3), classes=2)
    assert len(technique.state["tried"]) == 1
    assert "3 combinations: about" in caplog.text
    assert "1 of 3 combinations were tried" in caplog.text


def test_the_first_combination_is_given_however_short_the_time() -> None:
    assert list(within(1e-9, [{"a": 1}, {"a": 2}])) == [{"a": 1}]


def test_candidates_are_all_or_different_ones() -> None:
    search = {"a": [1, 2, 3], "b": ["x", "y"]}
    assert len(candidates(search, 6, np.random.default_rng(0))) == 6
    drawn = [tuple(c.values()) for c in candidates(search, 4, np.random.default_rng(0))]
    assert len(set(drawn)) == 4
    assert candidates({}, 3, np.random.default_rng(0)) == [{}]
    with pytest.raises(ValueError, match="'a'"):
        candidates({"a": []}, 3, np.random.default_rng(0))


def test_no_person_is_on_both_sides() -> None:
    persons = [f"p{n % 7}" for n in range(40)]
    for seed in range(20):
        learnt, held = divide(persons, np.random.default_rng(seed))
        assert sorted(learnt + held) == list(range(40))
        assert {persons[i] for i in learnt}.isdisjoint(persons[i] for i in held)
        assert len({persons[i] for i in held}) == 2
    assert divide(["a", "a"], np.random.default_rng(0)) == ([0, 1], [0, 1])


def test_slices_are_drawn_evenly() -> None:
    persons = ["a"] * 50 + ["b"] * 3 + ["c"] * 10
    counts = dict.fromkeys("abc", 0)
    for i in evenly(persons, 12, np.random.default_rng(0)):
        counts[persons[i]] += 1
    assert counts["b"] == 3
    assert abs(counts["a"] - counts["c"]) <= 1
    assert sum(counts.values()) == 12
    assert evenly(persons, 1000, np.random.default_rng(0)) == list(range(63))


def test_dice_is_of_summed_counts() -> None:
    rng = np.random.default_rng(0)
    truths, founds = (rng.integers(0, 3, (4, 8, 8)).astype(np.uint8) for _ in range(2))
    total = sum(confusion(t, f, 4) for t, f in zip(truths, founds, strict=True))
    expected = f1_score(truths.ravel(), founds.ravel(), labels=[1, 2], average=None)
    assert summed_dice(total) == pytest.approx(dict(zip((1, 2), expected, strict=True)))  # type: ignore[arg-type]


def test_weighing_favours_the_foreground() -> None:
    scores = np.array([0.6, 0.3, 0.1])[:, None, None]
    np.testing.assert_allclose(weigh(scores, 3.0)[:, 0, 0], [0.6 / 1.8, 0.9 / 1.8, 0.3 / 1.8])
    truth = np.ones((1, 1), np.uint8)
    assert best_weight([scores], [truth], 3) == (3.0, 1.0)


def test_keyword_only_arguments_are_the_parameters() -> None:
    assert keywords(lambda grey, rng, *, a=1, b=2: None) == ("a", "b")


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        Threshold([1.0]).predict(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="go together"):
        Threshold([1.0]).fit([np.zeros((3, 3))], [], ["a"], classes=2)
    with pytest.raises(ValueError, match="classes up to 5"):
        Threshold([1.0]).fit([np.zeros((3, 3))], [np.full((3, 3), 5)], ["a"], classes=2)
    with pytest.raises(ValueError, match="trials"):
        Threshold([1.0], trials=0)


@pytest.mark.parametrize("equalise", ["none", "histogram", "local", "flat"])
def test_prepared_greys_lie_in_the_unit_interval(equalise: Any) -> None:
    image = np.random.default_rng(0).gamma(2, 500, (40, 50))
    grey = prepare(image, smooth=1.0, equalise=equalise)
    assert grey.dtype == np.float32
    assert grey.min() >= 0
    assert grey.max() <= 1
    assert np.ptp(grey) > 0.2


def test_flattening_takes_a_slow_fall_off() -> None:
    pattern = np.indices((128, 128)).sum(axis=0) // 4 % 2
    fall = np.linspace(0.2, 1.0, 128)[:, None]
    grey = prepare((0.3 + 0.7 * pattern) * fall, equalise="flat")
    top, bottom = grey[20:50][pattern[20:50] == 1].mean(), grey[80:110][pattern[80:110] == 1].mean()
    assert abs(top - bottom) < 0.15
    plain = prepare((0.3 + 0.7 * pattern) * fall)
    assert plain[80:110][pattern[80:110] == 1].mean() - plain[20:50][pattern[20:50] == 1].mean() > 0.3


def test_bad_slices() -> None:
    for image in (np.zeros((2, 3, 3)), np.array([[np.nan, 1.0]])):
        with pytest.raises(ValueError, match="slice"):
            prepare(image)
    with pytest.raises(ValueError, match="equalise"):
        prepare(np.zeros((3, 3)), equalise="clahe")  # type: ignore[arg-type]
