"""What every technique must do, for every file in conf/classical."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from spinelab.classical.technique import Technique
from spinelab.classical.tuning import confusion, summed_dice

CONF = Path(__file__).resolve().parents[2] / "conf" / "classical"
NAMES = sorted(file.stem for file in CONF.glob("*.yaml"))
every = pytest.mark.parametrize("name", NAMES)


def build(name: str) -> Technique:
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), {"trials": 2, "slices": 9})
    technique: Technique = instantiate(config, _convert_="all", _execution_whitelist_=["spinelab.*"])
    return technique


def planted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc (class 1) above a half-bright bar (class 2) in noise."""
    rows, columns = np.mgrid[:56, :64]
    row, column = rng.uniform(14, 18), rng.uniform(28, 36)
    mask = np.zeros(rows.shape, np.uint8)
    mask[(rows - row) ** 2 + (columns - column) ** 2 < 90] = 1
    mask[(abs(rows - row - 24) < 5) & (abs(columns - column) < 18)] = 2
    return np.array([40.0, 200, 120])[mask] + rng.normal(0, 8, mask.shape), mask


def many(count: int = 9) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    pairs = [planted(np.random.default_rng(number)) for number in range(count)]
    return [image for image, _ in pairs], [mask for _, mask in pairs], [f"sub-{n // 2}" for n in range(count)]


FITTED: dict[str, Technique] = {}


def fitted(name: str) -> Technique:
    if name not in FITTED:
        FITTED[name] = build(name).fit(*many(), classes=3, seed=1)
    return FITTED[name]


@every
def test_better_than_background_on_an_easy_picture(name: str) -> None:
    technique, counts = fitted(name), np.zeros((3, 3), np.int64)
    for number in range(100, 104):
        image, mask = planted(np.random.default_rng(number))
        counts += confusion(mask, technique.predict(image), 3)
    dice = summed_dice(counts)
    # one threshold cannot part three levels, and does not have to: the shapes differ
    assert min(dice.values()) > 0.5, dice


@every
def test_scores_are_scores(name: str) -> None:
    scores = fitted(name).scores(planted(np.random.default_rng(5))[0])
    assert scores.shape == (3, 56, 64)
    assert scores.min() >= 0
    np.testing.assert_allclose(scores.sum(axis=0), 1)


@every
def test_json_round_trip(name: str) -> None:
    technique = fitted(name)
    again = build(name).restore(json.loads(json.dumps(technique.state)))
    image = planted(np.random.default_rng(7))[0]
    assert np.array_equal(technique.scores(image), again.scores(image))


@every
def test_deterministic_by_seed(name: str) -> None:
    images, masks, persons = (part[:4] for part in many())
    states = []
    for _ in range(2):
        technique = build(name)
        technique.search = {key: values[:1] for key, values in technique.search.items()}
        states.append(json.dumps(technique.fit(images, masks, persons, classes=3, seed=3).state))
        np.random.random(17)  # noqa: NPY002  # nobody may depend on the global generator
    assert states[0] == states[1]


@every
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((33, 47)),
        np.full((40, 40), 7.5),
        np.eye(5),
        np.ones((1, 1)),
        np.arange(12.0)[None],
        np.eye(200)[:, :31],
    ],
    ids=["empty", "constant", "tiny", "pixel", "row", "thin"],
)
def test_survives_odd_pictures(name: str, image: np.ndarray) -> None:
    labels = fitted(name).predict(image)
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    assert labels.max() < 3


@every
def test_grey_scale_does_not_matter(name: str) -> None:
    image = planted(np.random.default_rng(9))[0]
    same = fitted(name).predict(image) == fitted(name).predict(3 * image - 1000)
    assert same.mean() > 0.99  # rounding may move a grey value into the next bin


@every
@pytest.mark.parametrize("present", [0, 1], ids=["background", "one class"])
def test_training_slices_without_some_class(name: str, present: int) -> None:
    images, masks, persons = (part[:4] for part in many())
    technique = build(name)
    technique.search = {key: values[:1] for key, values in technique.search.items()}
    only: list[Any] = [np.where(mask == present, mask, 0) for mask in masks]
    found = technique.fit(images, only, persons, classes=3).predict(images[0])
    assert set(np.unique(found)) <= {0, present}


@every
def test_volume_is_its_slices(name: str) -> None:
    volume = np.stack([planted(np.random.default_rng(number))[0] for number in (20, 21)])
    assert np.array_equal(fitted(name).predict(volume)[1], fitted(name).predict(volume[1]))
