"""Scores of a case, on the scan's own grid, against counting by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spinelab.data.volumes.prepare import Preprocessing
from spinelab.tasks.evaluation import best_slice, case_rows, evaluate_case, slice_rows
from spinelab.tasks.scoring import Scoring
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


def test_distances_skip_slices_that_nobody_drew_on_but_keep_their_place(tmp_path):
    """Slice 3 is not scored; slices 2 and 4 stay 8 mm apart."""
    case, _, _ = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal", slices="annotated"))
    truth, found = np.zeros_like(scored.truth), np.zeros_like(scored.prediction)
    truth[2, 4, 4] = found[4, 4, 4] = found[3, 4, 4] = 2
    rows = case_rows(replace(scored, truth=truth, prediction=found), LABELS)
    values = {row["metric"]: (row["value"], row["unit"]) for row in rows if row["class"] == "high"}
    assert values["hd95"] == values["assd"] == (8.0, "mm")
    assert values["nsd_2mm"] == (0.0, "1")
    assert values["dice"] == (0.0, "1")
    assert values["truth_volume"] == (8.0, "mm3")


def test_without_a_spacing_distances_are_in_pixels(tmp_path):
    case, _, _ = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal"))
    rows = case_rows(replace(scored, spacing=None), LABELS, Scoring(tolerance_mm=1.5, roi_margin_mm=3))
    units = {row["metric"]: row["unit"] for row in rows}
    assert units["hd95"] == units["assd"] == "px"
    assert units["nsd_1.5px"] == "1"
    assert units["truth_volume"] == "voxel"
    assert all(row["value"] is None or np.isfinite(row["value"]) for row in rows)


def test_another_hd95_and_a_region_of_interest_have_names_of_their_own(tmp_path):
    case, _, _ = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal"))
    rows = {(r["class"], r["metric"]): r["value"] for r in case_rows(scored, LABELS, Scoring(hd95="maximum"))}
    assert ("any", "hd95_maximum") in rows
    assert ("any", "hd95") not in rows
    assert 0 <= rows["high", "specificity_roi"] <= 1
    assert 0 < rows["high", "foreground_roi"] < 1
    with pytest.raises(ValueError, match="pooled, maximum, weighted"):
        Scoring(hd95="median")


def test_lesions_are_counted_one_by_one_where_the_labels_say_so(tmp_path):
    case, _, _ = make_case(tmp_path)
    labels = replace(LABELS, lesions=("high",))
    scored = evaluate_case(Threshold(), case, labels, Preprocessing(plane="sagittal"))
    truth, found = np.zeros_like(scored.truth), np.zeros_like(scored.prediction)
    truth[0, 2:4, 2:4] = truth[4, 8:10, 8:10] = found[0, 3, 3] = found[2, 5, 9] = 2
    rows = case_rows(replace(scored, truth=truth, prediction=found), labels)
    values = {row["metric"]: row["value"] for row in rows if row["class"] == "high"}
    assert (values["lesion_sensitivity"], values["lesion_precision"], values["lesion_f1"]) == (0.5, 0.5, 0.5)
    assert "lesion_f1" not in {row["metric"] for row in rows if row["class"] == "any"}
    with pytest.raises(ValueError, match="scored are"):
        LabelMap(("low",), lesions=("high",))


def test_calibration_is_that_of_the_probabilities(tmp_path):
    """The network is sure of every pixel: its Brier score is twice the part that is wrong, its ECE that part."""
    case, image, truth = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal"))
    wrong = (prediction_by_hand(image) != truth).mean()
    assert scored.calibration["ece"] == pytest.approx(wrong, abs=1e-6)
    assert scored.calibration["brier"] == pytest.approx(2 * wrong, abs=1e-6)


def test_slices_on_request(tmp_path):
    case, _, _ = make_case(tmp_path)
    scored = evaluate_case(Threshold(), case, LABELS, Preprocessing(plane="sagittal", slices="annotated"))
    rows = {(r["slice"], r["class"], r["metric"]): r["value"] for r in slice_rows(scored, LABELS)}
    assert {key[0] for key in rows} == {0, 1, 2, 4}
    for i in (0, 4):
        t, p = scored.truth[i] == 2, scored.prediction[i] == 2
        assert rows[i, "high", "dice"] == pytest.approx(2 * (t & p).sum() / (t.sum() + p.sum()))
