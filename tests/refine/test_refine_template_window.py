"""The window that a template finds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from omegaconf import DictConfig

from spinelab import build
from spinelab.config import compose_config
from spinelab.data.slices.dataset import SliceDataset
from spinelab.refine.refiner import Example
from spinelab.refine.template_window import TemplateWindow, box_of, contained, divide, template_of, window


def cross(seed: int, person: str = "", size: tuple[int, int] = (48, 60)) -> Example:
    """A bright cross on noise, at another place, brightness and contrast in every slice; a decoy disc elsewhere."""
    rng = np.random.default_rng(seed)
    row, column = (int(rng.integers(8, length - 8)) for length in size)
    mask = np.zeros(size, np.uint8)
    mask[row - 5 : row + 6, column - 1 : column + 2] = 1
    mask[row - 1 : row + 2, column - 4 : column + 5] = 2
    image = rng.normal(0, 0.15, size) + (mask > 0)
    likely = np.full((3, *size), 0.05)
    np.put_along_axis(likely, mask[None].astype(np.intp), 0.9, 0)
    far = (row + size[0] // 2) % size[0], (column + size[1] // 2) % size[1]
    likely[:, far[0], far[1]] = 0.1, 0.8, 0.1  # what the network found elsewhere
    scaled = rng.uniform(1, 9) * image + rng.uniform(-5, 5)
    return Example(scaled.astype(np.float32), likely.astype(np.float32), mask, person or str(seed % 4))


def by_hand(image: np.ndarray, template: np.ndarray) -> tuple[int, int]:
    """Upper left corner of the window within the slice whose correlation is largest, pixel by pixel."""
    height, width = template.shape
    best, place = -2.0, (0, 0)
    for row in range(image.shape[0] - height + 1):
        for column in range(image.shape[1] - width + 1):
            part = image[row : row + height, column : column + width]
            correlation = float(np.corrcoef(part.ravel(), template.ravel())[0, 1])
            if correlation > best:
                best, place = correlation, (row, column)
    return place


def test_the_window_holds_the_foreground_and_what_lies_elsewhere_becomes_background():
    refiner = TemplateWindow().fit([cross(seed) for seed in range(12)], classes=3)
    assert refiner.state["contained"] == 1
    for seed in range(20, 40):
        one = cross(seed)
        raw, labels = one.likely.argmax(axis=0), refiner.labels(one.image, one.likely)
        assert (raw > 0).sum() == (one.mask > 0).sum() + 1
        np.testing.assert_array_equal(labels, one.mask)


def test_the_place_is_that_of_the_largest_correlation():
    template = template_of([cross(seed) for seed in range(6)], 0.5)
    checked = 0
    for seed in range(10, 20):
        one = cross(seed, size=(30, 34))
        top, bottom, left, right = box_of(window(one.image, template))
        assert (bottom - top, right - left) == template.shape
        if not one.mask[:9].any() and not one.mask[-9:].any() and not one.mask[:, :8].any() and checked < 3:
            checked += 1
            assert (top, left) == by_hand(one.image.astype(np.float64), template)
    assert checked


def test_the_template_is_the_mean_of_normalised_windows():
    mask = np.zeros((9, 11), np.uint8)
    mask[3:6, 4:9] = 1
    rng = np.random.default_rng(0)
    likely = np.zeros((2, 9, 11), np.float32)
    one, other = (Example(rng.random((9, 11)).astype(np.float32), likely, mask, name) for name in "ab")
    parts = [example.image[3:6, 4:9].astype(np.float64) for example in (one, other)]
    expected = np.mean([(part - part.mean()) / part.std() for part in parts], axis=0)
    np.testing.assert_allclose(template_of([one, other], 0.0), expected, atol=1e-12)
    assert template_of([one, other], 1.0).shape == (6, 10)


@pytest.mark.parametrize("corner", [(0, 0), (0, 51), (41, 0), (41, 51)])
def test_a_foreground_at_the_edge_is_found_and_odd_and_even_windows_too(corner):
    examples = [cross(seed) for seed in range(6)]
    for margin in (0.0, 0.3, 0.4, 0.5):
        template, inside = template_of(examples, margin), np.zeros((48, 60), bool)
        image, (row, column) = np.random.default_rng(1).normal(0, 0.05, (48, 60)), corner
        image[row : row + 7, column + 3 : column + 6] += 1
        image[row + 2 : row + 5, column : column + 9] += 1
        inside[row : row + 7, column : column + 9] = True
        found = window(image.astype(np.float32), template)
        assert (found & inside).sum() > 0.8 * inside.sum(), margin


def test_a_slice_smaller_than_the_window_or_without_contrast_is_left_to_the_network():
    template = template_of([cross(seed) for seed in range(6)], 2.0)
    assert window(np.random.default_rng(0).random((5, 7)).astype(np.float32), template).shape == (5, 7)
    assert window(np.random.default_rng(0).random((5, 7)).astype(np.float32), template).all()
    assert window(np.full((20, 20), 3.0, np.float32), template).all()


def test_the_margin_is_chosen_on_persons_that_the_template_does_not_show():
    examples = [cross(seed, person=f"p{seed % 6}") for seed in range(18)]
    learnt, held = divide(examples, np.random.default_rng(0))
    assert {one.person for one in learnt}.isdisjoint({one.person for one in held})
    assert len({one.person for one in held}) == 2
    state = TemplateWindow(margins=[1.0, 0.0]).fit(examples, classes=3, seed=0).state
    assert [trial["margin"] for trial in state["tried"]] == [0.0, 1.0]
    assert state["tried"][0]["contained"] == contained(template_of(learnt, 0.0), held)
    assert state["contained"] == max(trial["contained"] for trial in state["tried"])
    alone = [cross(seed, person="only") for seed in range(3)]
    assert divide(alone, np.random.default_rng(0)) == (alone, alone)


def test_kept_as_json_and_the_same_again():
    fitted = TemplateWindow().fit([cross(seed) for seed in range(8)], classes=3)
    again = TemplateWindow().restore(json.loads(json.dumps(fitted.state)))
    one = cross(30)
    np.testing.assert_array_equal(fitted.refine(one.image, one.likely), again.refine(one.image, one.likely))


@pytest.mark.parametrize(
    "wrong", [{}, {"template": [[1, "a"]]}, {"template": []}, {"template": [1, 2]}, {"template": {}}]
)
def test_a_state_of_another_kind_is_refused(wrong):
    with pytest.raises(ValueError, match="TemplateWindow"):
        TemplateWindow().restore({"classes": 2, **wrong})


def test_nothing_to_fit_on_is_refused():
    one = cross(0)
    with pytest.raises(ValueError, match="no training slice shows any foreground"):
        TemplateWindow().fit([one._replace(mask=np.zeros_like(one.mask))], classes=3)
    with pytest.raises(ValueError, match="margins"):
        TemplateWindow(margins=[])
    with pytest.raises(ValueError, match="margins"):
        TemplateWindow(margins=[-0.5])


def share_contained(config: DictConfig, wanted: tuple[int, ...], tested: int) -> float:
    """Share of slices with classes `wanted` whose window holds them all, over persons that were not fitted on."""
    cache = build.cache(config, build.cases(config))
    slices, examples = SliceDataset(cache, range(len(cache.volumes))), []
    for index in range(len(slices)):
        sample = slices[index]
        mask = np.isin(sample["mask"].numpy(), wanted).astype(np.uint8)
        person = slices.volumes[int(sample["volume"])].person
        likely = np.stack([1 - mask, mask]).astype(np.float32)
        examples += [Example(sample["image"][0].numpy(), likely, mask, person)] if mask.any() else []
    names = sorted({example.person for example in examples})
    learnt = [example for example in examples if example.person in names[:-tested]]
    held = [example for example in examples if example.person in names[-tested:]]
    fitted = TemplateWindow(slices=48).fit(learnt[:: max(len(learnt) // 48, 1)], classes=2)
    return contained(fitted.template, held[:60])


def test_on_axial_slices_of_the_phantom_the_window_holds_cord_and_canal(tmp_path):
    own = ["data=phantom", "data.generate.persons=3", "data.preprocessing.plane=axial", "processes=1"]
    config = compose_config([*own, f"paths.data={tmp_path}"])
    labels = build.labels(config)
    assert share_contained(config, (labels.index("canal"), labels.index("cord")), tested=1) > 0.9


def test_on_real_axial_slices_the_window_holds_the_cord(shared, tmp_path):
    root = shared / "gm_challenge"
    if not root.is_dir():
        pytest.skip("gm_challenge is not among the real data")
    config = compose_config(["data=gm_challenge", f"data.root={root}", f"paths.data={tmp_path}", "processes=1"])
    assert share_contained(config, (1, 2), tested=1) > 0.9
