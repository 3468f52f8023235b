"""The rules behind the choices, against what they should give on made-up data sets."""

from __future__ import annotations

import numpy as np
import pytest

from spinelab.data.adopt.fingerprint import Fingerprint, grid
from spinelab.data.adopt.persons import guess
from spinelab.data.adopt.suggest import choose_batch, choose_plane, suggest
from spinelab.data.adopt.tree import common_end, common_start, is_mask_word
from spinelab.data.volumes.formats import Header


def header(shape, spacing, axes=(0, 1, 2)):
    """A scan whose file axes run along the world axes `axes`, with spacing along right, front, up."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for file_axis, world in enumerate(axes):
        affine[world, file_axis] = spacing[world] * (-1) ** file_axis
    shape = tuple(shape[world] for world in axes)
    return Header("NIfTI", shape, np.dtype(np.int16), affine, 0, 0)


def facts(headers, present=None, grey=((0.0, 100.0, 900.0),)):
    named = {f"case{i}": one for i, one in enumerate(headers)}
    return Fingerprint(named, [], present or {}, list(grey), True, {}, 1)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize(("thick", "plane"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_the_plane_lies_across_the_thick_slices_in_any_axis_order(axes, thick, plane):
    spacing = [0.7, 0.7, 0.7]
    spacing[thick] = 4.4
    choice = choose_plane([header((15, 300, 400), spacing, axes)])
    assert choice.value == plane
    assert "4.4 mm" in choice.reason


def test_the_majority_of_thick_scans_decides_and_the_others_are_told():
    scans = [header((15, 300, 400), (4, 0.7, 0.7))] * 3 + [header((300, 300, 20), (0.5, 0.5, 5))]
    choice = choose_plane(scans)
    assert choice.value == "sagittal"
    assert "3 of 4" in choice.reason
    assert "1 axial" in choice.reason


def test_isotropic_scans_are_read_sagittally():
    assert choose_plane([header((100, 100, 100), (1, 1, 1.1))]).value == "sagittal"


def test_equal_spacing_is_left_as_it_is():
    assert suggest(facts([header((15, 300, 400), (4, 0.7, 0.7))] * 3)).spacing_mm.value is None


def test_spacing_is_the_median_of_rows_and_columns():
    """Sagittal: rows run down (third world axis), columns backwards (second)."""
    scans = [header((15, 300, 400), (4, front, up)) for front, up in ((0.5, 0.6), (0.6, 0.9), (0.9, 1.2))]
    choice = suggest(facts(scans)).spacing_mm
    assert choice.value == [0.9, 0.6]
    assert "0.6 to 1.2" in choice.reason
    assert "10th percentile, 4 mm" in choice.reason  # 4 mm is more than three times 0.9


def test_a_crop_holds_all_foreground():
    scan = header((10, 400, 400), (4, 0.5, 0.5))
    there = np.zeros(400, bool)
    there[150:230] = True  # 50 pixels in front of the centre: with 20 mm more, 90 pixels to each side
    present = [(np.ones(10, bool), there, there)]
    choice = suggest(facts([scan], {"case0": present})).crop
    assert choice.value == [192, 192]
    there[5] = True
    assert suggest(facts([scan], {"case0": present})).crop.value is None


def test_the_crop_is_in_pixels_of_the_target_spacing():
    scans = [header((10, 400, 400), (4, 0.5, 0.5)), header((10, 200, 200), (4, 1, 1))]
    there = np.zeros(400, bool)
    there[180:220] = True  # 10 mm to each side and 20 mm more: 60 mm, 80 pixels of 0.75 mm
    choice = suggest(facts(scans, {"case0": [(np.ones(10, bool), there, there)]}))
    assert choice.spacing_mm.value == [0.75, 0.75]
    assert choice.crop.value == [96, 96]


@pytest.mark.parametrize(
    ("size", "slices", "batch"),
    [
        ((512, 512), 10_000, 12),
        ((500, 490), 10_000, 12),
        ((128, 128), 10_000, 64),
        ((512, 512), 100, 5),
        ((64, 64), 9, 2),
    ],
)
def test_batch_size(size, slices, batch):
    assert choose_batch(size, slices).value == batch


def test_values_as_in_ct_are_told():
    assert "as in CT" in suggest(facts([header((9, 99, 99), (4, 1, 1))], grey=[(-1000, 0, 1500)])).normalisation.reason


def test_a_grid_takes_no_memory():
    assert grid(header((10_000, 10_000, 10_000), (1, 1, 1))).array.base.nbytes == 1


@pytest.mark.parametrize(
    ("paths", "persons"),
    [
        (["sub-01/anat/sub-01_T2w.nii.gz", "sub-02/anat/sub-02_T2w.nii.gz"], ["sub-01", "sub-02"]),
        (["sub-1Ses1_T2w.nii", "sub-1Ses2_T2w.nii", "sub-2Ses1_T2w.nii"], ["sub-1", "sub-1", "sub-2"]),
        (["scans/Patient_7_t2.nii", "scans/Patient_8_t2.nii"], ["Patient_7", "Patient_8"]),
        (["anna/T2.nii.gz", "bert/T2.nii.gz"], ["anna", "bert"]),
        (["images/12_t1.mha", "images/12_t2.mha", "images/3_t1.mha"], ["12", "12", "3"]),
        (["t1/a.nii.gz", "t2/b.nii.gz"], ["a", "b"]),  # folders of contrasts are no persons
    ],
)
def test_persons_from_paths(paths, persons):
    assert list(guess(paths, r"([^/]+?)\.[a-z.]+$").found) == persons


@pytest.mark.parametrize("word", ["seg", "gmseg", "dseg", "mask", "Masks", "labelsTr", "gt", "segmentation"])
def test_words_of_masks(word):
    assert is_mask_word(word)


@pytest.mark.parametrize("word", ["t2", "sagittal", "image", "lesion", "gtx", "T2w", "message"])
def test_words_of_images(word):
    assert not is_mask_word(word)


def test_what_names_share():
    assert common_start(["sub-1_t2", "sub-12_t2", "sub-1_t1"]) == "sub-1"
    assert common_end(["a_t2", "b_t2"]) == "_t2"
    assert common_start(["same", "same"]) == "same"
