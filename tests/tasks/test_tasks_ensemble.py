"""The mean of several networks against numpy's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.tasks.ensemble import Ensemble
from spinelab.tasks.evaluation import evaluate_case
from spinelab.tasks.inference import probabilities
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("low", "high"))
PLAIN = Preprocessing(plane="sagittal", normalisation=None)


def network(seed: int) -> nn.Module:
    """A random network that normalises by batch and drops out, both of which evaluation must not do."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 3, 1))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    rng = np.random.default_rng(0)
    image, truth = rng.normal(0, 2, (11, 12, 14)).astype(np.float32), rng.integers(0, 3, (11, 12, 14)).astype(np.uint8)
    for name, array in (("image", image), ("mask", truth)):
        nib.save(nib.Nifti1Image(array, np.diag([4.0, 1, 1, 1])), tmp_path / f"{name}.nii.gz")
    mask = MaskFiles((tmp_path / "mask.nii.gz",), {1: "low", 2: "high"})
    return Case("c", "p", ((tmp_path / "image.nii.gz",),), (mask,))


def softmax_by_hand(member: nn.Module, slices: np.ndarray) -> np.ndarray:
    """(S, H, W, K) in double precision, from logits of slices (S, H, W, 1)."""
    with torch.no_grad():
        logits = member.eval()(torch.from_numpy(np.moveaxis(slices, -1, 1).astype(np.float32)))
    power = np.exp(np.moveaxis(logits.numpy().astype(np.float64), 1, -1))
    return power / power.sum(axis=-1, keepdims=True)


def test_probabilities_are_the_mean_of_the_members(case):
    members = [network(seed) for seed in range(3)]
    volume = prepare_case(case, LABELS, PLAIN)
    expected = np.mean([softmax_by_hand(member, volume.image) for member in members], axis=0)
    np.testing.assert_allclose(probabilities(Ensemble(members), volume, batch_size=4), expected, atol=1e-6)
    found = evaluate_case(Ensemble(members), case, LABELS, PLAIN).prediction
    assert (found == expected.argmax(axis=-1)).mean() == 1


def test_the_mean_is_no_vote_and_no_mean_of_logits():
    """One member that is sure of class 1 outweighs two that are not quite sure of class 0."""

    class Constant(nn.Module):
        def __init__(self, *likely: float) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor(likely).log().view(1, 2, 1, 1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(image), 2, *image.shape[2:])

    together = Ensemble([Constant(0.6, 0.4), Constant(0.6, 0.4), Constant(0.001, 0.999)])
    likely = together.probabilities(torch.zeros(2, 1, 3, 3))
    torch.testing.assert_close(likely[1, :, 0, 0], torch.tensor([1.201 / 3, 1.799 / 3]))
    torch.testing.assert_close(together(torch.zeros(2, 1, 3, 3)).softmax(dim=1), likely)


@pytest.mark.parametrize("preprocessing", [PLAIN, replace(PLAIN, spacing_mm=(0.7, 0.7), crop=(10, 16))])
def test_a_network_with_itself_predicts_the_same_to_the_last_bit(case, preprocessing):
    member = network(0)
    alone, together = (evaluate_case(net, case, LABELS, preprocessing) for net in (member, Ensemble([member, member])))
    assert np.array_equal(alone.native, together.native)
    assert alone.calibration == together.calibration


def test_nobody_is_no_ensemble():
    with pytest.raises(ValueError, match="at least one member"):
        Ensemble([])
