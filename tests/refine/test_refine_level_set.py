"""A contour on a network's probability map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.ndimage import distance_transform_edt

from spinelab.classical.curvature import smoothed
from spinelab.metrics.distances import distance_scores
from spinelab.refine.contours import contour
from spinelab.refine.level_set import LevelSet, contours, mean_dice
from spinelab.refine.refiner import Example

SEARCH = {"method": ["chan_vese", "geodesic"], "picture": ["probability", "image"], "steps": [5], "smoothing": [1, 2]}
USUAL = {"method": "chan_vese", "picture": "probability", "steps": 5, "smoothing": 2}


def disc(size: int = 64, radius: float = 16.0, centre: tuple[float, float] = (32, 30)) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows - centre[0], columns - centre[1]) < radius


def example(seed: int, noise: float = 2.5, person: str = "a", classes: int = 2) -> Example:
    """Discs whose probability falls with the distance from their border, disturbed by noise in the logits."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 64), np.uint8)
    for k in range(1, classes):
        mask[disc(radius=18 - 7 * (k - 1), centre=(32 + seed % 3, 30 + seed % 5))] = k
    logits = []
    for k in range(classes):
        inside = mask == k
        logits.append(np.clip(distance_transform_edt(inside) - distance_transform_edt(~inside), -4, 4) / 2)
    power = np.exp(np.stack(logits) + rng.normal(0, noise, (classes, 64, 64)))
    image = (mask > 0) + rng.normal(0, 0.3, mask.shape)
    return Example(image.astype(np.float32), (power / power.sum(axis=0)).astype(np.float32), mask, person)


def average_distance(truth: np.ndarray, found: np.ndarray) -> float:
    distance = distance_scores(truth, found, (1.0, 1.0))["assd"]
    assert distance is not None
    return distance


@pytest.mark.parametrize("method", ["chan_vese", "geodesic"])
@pytest.mark.parametrize("seed", range(3))
def test_the_refined_boundary_is_nearer_to_the_truth_than_the_networks(method, seed):
    one = example(seed)
    raw = one.likely.argmax(axis=0) == 1
    refined = contours(one.image, one.likely, **{**USUAL, "method": method}) == 1
    assert average_distance(one.mask == 1, refined) <= average_distance(one.mask == 1, raw)


def test_on_a_clean_map_the_contour_stays_within_a_pixel():
    truth = disc()
    smooth = 1 / (1 + np.exp(-(distance_transform_edt(truth) - distance_transform_edt(~truth))))
    moved = contour(smooth, truth, method="chan_vese", steps=10, smoothing=1)
    assert average_distance(truth, moved) < 0.5


def test_on_the_image_a_mask_that_is_too_small_grows_to_the_edge():
    truth, start = disc(radius=16), disc(radius=12)
    likely = np.stack([~start, start]).astype(np.float32) * 0.8 + 0.1
    picture = truth.astype(np.float32)
    grown = contours(picture, likely, method="chan_vese", picture="image", steps=12, smoothing=1) == 1
    kept = contours(picture, likely, method="chan_vese", picture="probability", steps=12, smoothing=1) == 1
    assert average_distance(truth, grown) < 0.5
    assert average_distance(start, kept) < 0.5


def test_no_step_is_the_networks_mask_and_an_empty_one_stays_empty():
    one = example(0, classes=3)
    still = contours(one.image, one.likely, **{**USUAL, "steps": 0})
    np.testing.assert_array_equal(still, one.likely.argmax(axis=0))
    empty = np.stack([np.full((20, 20), 0.9), np.full((20, 20), 0.1)]).astype(np.float32)
    assert not contours(np.zeros((20, 20), np.float32), empty, **USUAL).any()


def test_the_contour_stays_in_its_box_wherever_the_mask_lies():
    corner = np.zeros((30, 30), bool)
    corner[:2, :2] = True
    picture = np.ones((30, 30))
    picture[0, 0] = 0.5
    moved = contour(picture, corner, method="chan_vese", steps=3, smoothing=0)
    assert moved.shape == (30, 30)
    assert not moved[10:].any()
    assert not moved[:, 10:].any()


def test_tuned_to_the_best_of_all_combinations():
    examples = [example(seed, person=str(seed)) for seed in range(3)]
    state = LevelSet(SEARCH).fit(examples, classes=2).state
    assert len(state["tried"]) == 8
    assert state["dice"] == max(trial["dice"] for trial in state["tried"])
    assert state["raw"] < state["dice"]
    found = [contours(one.image, one.likely, **state["parameters"]) for one in examples]
    pairs = [(one.mask == 1, labels == 1) for one, labels in zip(examples, found, strict=True)]
    by_hand = 2 * sum((t & f).sum() for t, f in pairs) / sum(t.sum() + f.sum() for t, f in pairs)
    assert state["dice"] == pytest.approx(by_hand, abs=1e-12)


def test_dice_is_the_mean_of_the_classes_that_occur():
    mask = np.array([[1, 1, 0, 0]], np.uint8)
    one = Example(mask.astype(np.float32), np.zeros((3, 1, 4), np.float32), mask, "a")
    assert mean_dice([one], [np.array([[1, 0, 0, 0]], np.uint8)]) == pytest.approx(2 / 3)
    assert mean_dice([one], [np.array([[1, 0, 2, 0]], np.uint8)]) == pytest.approx((2 / 3 + 0) / 2)


def test_kept_as_json_and_the_same_again():
    examples = [example(seed, classes=3) for seed in range(2)]
    fitted = LevelSet(SEARCH).fit(examples, classes=3)
    again = LevelSet(SEARCH).restore(json.loads(json.dumps(fitted.state)))
    one = example(5, classes=3)
    np.testing.assert_array_equal(fitted.refine(one.image, one.likely), again.refine(one.image, one.likely))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"classes": 2},
        {"classes": 2, "parameters": {**USUAL, "method": "magic"}},
        {"classes": 2, "parameters": {**USUAL, "steps": "5"}},
        {"classes": 2, "parameters": {**USUAL, "smoothing": -1}},
        {"classes": "2", "parameters": USUAL},
        {"classes": 2, "parameters": {"method": "chan_vese"}},
    ],
)
def test_a_state_of_another_kind_is_refused(wrong):
    with pytest.raises(ValueError, match="LevelSet"):
        LevelSet(SEARCH).restore(wrong)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({**SEARCH, "colour": [1]}, "colour"),
        ({key: value for key, value in SEARCH.items() if key != "steps"}, "steps"),
        ({**SEARCH, "steps": []}, "search gives values"),
        ({**SEARCH, "method": ["snake"]}, "snake"),
        ({**SEARCH, "steps": [0.5]}, "whole numbers"),
    ],
)
def test_a_search_that_cannot_be_is_refused(search, message):
    with pytest.raises(ValueError, match=message):
        LevelSet(search)


def test_the_choice_of_the_configuration_can_be_made():
    choice = OmegaConf.to_container(OmegaConf.load(Path(__file__).parents[2] / "conf/refine/level_set.yaml"))
    assert choice.pop("_target_").endswith(LevelSet.__name__)
    assert len(LevelSet(**choice).tried) == 16


def test_the_same_call_gives_the_same_contour_however_often_others_were_made():
    one = example(3)
    first = contours(one.image, one.likely, method="chan_vese", picture="image", steps=3, smoothing=1)
    for _ in range(3):
        again = contours(one.image, one.likely, method="chan_vese", picture="image", steps=3, smoothing=1)
        np.testing.assert_array_equal(first, again)


def test_smoothing_is_that_of_scikit_image():
    from skimage.segmentation import morphsnakes

    rough = np.random.default_rng(0).random((30, 40)) < 0.5
    narrow_first = morphsnakes.inf_sup(morphsnakes.sup_inf(rough))
    wide_first = morphsnakes.sup_inf(morphsnakes.inf_sup(rough))
    np.testing.assert_array_equal(smoothed(rough, opening_first=True), narrow_first)
    np.testing.assert_array_equal(smoothed(rough, opening_first=False), wide_first)
