"""What holds for every refiner, and a network that is refined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spinelab.refine.level_set import LevelSet
from spinelab.refine.network import Refined
from spinelab.refine.refiner import Example, decide
from spinelab.refine.template_window import TemplateWindow
from spinelab.tasks.ensemble import Ensemble, softmax

SEARCH = {"method": ["chan_vese"], "picture": ["probability"], "steps": [3], "smoothing": [1]}
CLASSES = 4


def make(name: str):
    return LevelSet(SEARCH) if name == "level_set" else TemplateWindow(margins=[0.5])


def example(seed: int) -> Example:
    rng = np.random.default_rng(seed)
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 10:26], mask[12:20, 14:22], mask[14:18, 16:20] = 1, 2, 3
    likely = rng.dirichlet(np.ones(CLASSES), (32, 40)).transpose(2, 0, 1) + np.eye(CLASSES)[mask].transpose(2, 0, 1)
    image = mask + rng.normal(0, 0.1, mask.shape)
    return Example(image.astype(np.float32), (likely / likely.sum(axis=0)).astype(np.float32), mask, str(seed))


class Fixed(nn.Module):
    """A network that gives the logarithm of known probabilities, whatever it sees, and does not say otherwise."""

    def __init__(self, likely: np.ndarray) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.from_numpy(np.log(likely)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(image), -1, -1, -1)


@pytest.mark.parametrize("name", ["level_set", "template_window"])
def test_probabilities_stay_probabilities_and_classes_those_that_there_are(name):
    refiner = make(name).fit([example(seed) for seed in range(4)], CLASSES)
    one = example(9)
    refined = refiner.refine(one.image, one.likely)
    assert refined.shape == one.likely.shape
    assert (refined >= 0).all()
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_array_equal(refined.argmax(axis=0), refiner.labels(one.image, one.likely))
    assert set(np.unique(refined.argmax(axis=0))) <= set(range(CLASSES))
    again = make(name).fit([example(seed) for seed in range(4)], CLASSES)
    assert again.state == refiner.state


@pytest.mark.parametrize("name", ["level_set", "template_window"])
def test_logits_of_a_batch_are_those_of_its_slices(name):
    refiner = make(name).fit([example(seed) for seed in range(4)], CLASSES)
    one = example(9)
    network = Refined(Fixed(one.likely), refiner, channel=1)
    image = torch.from_numpy(np.stack([np.zeros_like(one.image), one.image]))[None].repeat(2, 1, 1, 1)
    logits = network(image)
    assert logits.shape == (2, CLASSES, 32, 40)
    assert logits.dtype == torch.float32
    refined = logits.softmax(dim=1)
    np.testing.assert_allclose(refined.sum(dim=1).numpy(), 1, atol=1e-5)
    np.testing.assert_allclose(refined[1].numpy(), refiner.refine(one.image, one.likely), atol=1e-5)
    np.testing.assert_array_equal(refined.argmax(dim=1)[0].numpy(), refiner.labels(one.image, one.likely))


def test_in_an_ensemble_refined_probabilities_are_averaged():
    refiner = make("template_window").fit([example(seed) for seed in range(4)], CLASSES)
    one, other = example(9), example(10)
    members = [Refined(Fixed(part.likely), refiner) for part in (one, other)]
    image = torch.from_numpy(one.image)[None, None]
    expected = (refiner.refine(one.image, one.likely) + refiner.refine(one.image, other.likely)) / 2
    np.testing.assert_allclose(softmax(Ensemble(members), image)[0].detach().numpy(), expected, atol=1e-5)


def test_what_is_not_changed_keeps_its_probabilities_and_the_others_change_places():
    likely = np.array([[[0.6, 0.2, 0.5]], [[0.3, 0.7, 0.5]], [[0.1, 0.1, 0.0]]], np.float32)
    decided = decide(likely, np.array([[0, 2, 1]], np.uint8))
    np.testing.assert_allclose(decided[:, 0, 0], likely[:, 0, 0], atol=2e-6)
    np.testing.assert_allclose(decided[:, 0, 1], [0.2, 0.1, 0.7], atol=2e-6)
    assert decided[:, 0, 2].argmax() == 1  # of two equals it is the decided one
    np.testing.assert_allclose(decided.sum(axis=0), 1, atol=1e-12)


def test_used_before_it_is_fitted_or_with_other_classes_it_refuses():
    one = example(0)
    with pytest.raises(ValueError, match="not fitted"):
        make("level_set").refine(one.image, one.likely)
    fitted = make("level_set").fit([one], CLASSES)
    with pytest.raises(ValueError, match="fitted for 4"):
        fitted.refine(one.image, one.likely[:2])


def test_slices_that_do_not_go_together_are_refused():
    one = example(0)
    with pytest.raises(ValueError, match="no slice"):
        make("level_set").fit([], CLASSES)
    with pytest.raises(ValueError, match="slice 1"):
        make("level_set").fit([one, one._replace(mask=one.mask[:-1])], CLASSES)
    with pytest.raises(ValueError, match="slice 0"):
        make("level_set").fit([one], 3)
    with pytest.raises(ValueError, match="class 7"):
        make("level_set").fit([one._replace(mask=np.where(one.mask, 7, 0).astype(np.uint8))], CLASSES)
    with pytest.raises(ValueError, match="slices is positive"):
        TemplateWindow(slices=0)
