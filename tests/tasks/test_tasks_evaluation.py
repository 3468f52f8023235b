"""Scores of a case, on the scan's own grid, against counting by hand."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spinelab.data.volumes.prepare import Preprocessing
from spinelab.tasks.evaluation import best_slice, case_rows, evaluate_case
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("low", "high"), {"any": ("low", "high"), "high": ("high",)})


class Threshold(nn.Module):
    """Class 1 above the mean, class 2 one standard deviation above: what a z-scored image allows to say exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        index = (x[:, 0] > 0).long() + (x[:, 0] > 1).long()
        return nn.functional.one_hot(index, 3).permute(0, 3, 1, 2).float() * 20


def make_case(folder: Path, axes: str = "RAS") -> tuple[Case, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 200, (5, 12, 14)).astype(np.int16)
    truth = rng.integers(0, 3, image.shape).astype(np.uint8)
    truth[3] = 0  # a slice that nobody drew on
    change = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    for name, array in (("image", image), ("mask", truth)):
        nib.save(nib.Nifti1Image(array, np.diag([4.0, 1, 2, 1])).as_reoriented(change), folder / f"{name}.nii.gz")
    mask = MaskFiles((folder / "mask.nii.gz",), {1: "low", 2: "high"})
    return Case("c", "p", ((folder / "image.nii.gz",),), (mask,), site="A"), image, truth


def prediction_by_hand(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, (0.5, 99.5))
    clipped = np.clip(image.astype(float), low, high)
    z = (clipped - clipped.mean()) / clipped.std()
    return (z > 0).astype(int) + (z > 1)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "ASL"])
@pytest.mark.parametrize("policy", ["all", "annotated"])
def test_rows_equal_counting_by_hand(tmp_path, axes, policy):
    case, image, truth = make_case(tmp_path, axes)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal", slices=policy))
    rows = {(row["class"], row["metric"]): row for row in case_rows(scored, LABELS)}
    found = prediction_by_hand(image)
    used = [0, 1, 2, 4] if policy == "annotated" else [0, 1, 2, 3, 4]
    t, p = truth[used] > 0, found[used] > 0
    assert rows["any", "dice"]["value"] == pytest.approx(2 * (t & p).sum() / (t.sum() + p.sum()), abs=1e-12)
    t, p = truth[used] == 2, found[used] == 2
    assert rows["high", "jaccard"]["value"] == pytest.approx((t & p).sum() / (t | p).sum(), abs=1e-12)
    assert rows["high", "false_positive_volume"]["value"] == (p & ~t).sum() * 8
    assert rows["high", "truth_volume"]["unit"] == "mm3"
    assert rows["all", "miou"]["value"] == pytest.approx(
        np.mean(
            [
                ((truth[used] == k) & (found[used] == k)).sum() / ((truth[used] == k) | (found[used] == k)).sum()
                for k in (1, 2)
            ]
        )
    )
    assert {row["site"] for row in rows.values()} == {"A"}


def test_resampled_slices_are_scored_on_the_scans_grid(tmp_path):
    case, image, truth = make_case(tmp_path)
    preprocessing = Preprocessing(plane="sagittal", spacing_mm=(0.5, 0.5), crop=(20, 40))
    scored = evaluate_case(Threshold(), case, LABELS, preprocessing)
    assert scored.native.shape == image.shape
    assert sorted(scored.truth.flatten()) == sorted(truth.flatten())
    assert scored.truth.shape == scored.prediction.shape == scored.image.shape


def test_the_pictured_slice_has_most_foreground(tmp_path):
    case, _, truth = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal", slices="annotated"))
    assert best_slice(scored) == (truth > 0).sum(axis=(1, 2)).argmax()
