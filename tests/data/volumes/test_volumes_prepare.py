from __future__ import annotations

import numpy as np
import pytest
from omegaconf import OmegaConf

from spinelab.data.volumes.geometry import from_slices
from spinelab.data.volumes.prepare import Preprocessing, native_truth, prepare_case
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("white", "grey"))


@pytest.fixture
def case(write, grey) -> Case:
    """Cord on sagittal slices 1 to 3, grey matter on 2 to 4, beyond the cord too."""
    cord, inner = np.zeros(grey.shape, np.uint8), np.zeros(grey.shape, np.float64)
    cord[1:4, 2:9, 2:7], inner[2:5, 4:6, 3:5] = 1, 7
    masks = (
        MaskFiles((write("cord.nii", cord),), {1: "white"}),
        MaskFiles((write("grey.nii", inner),), {7: "grey"}),
    )
    return Case("a", "a", ((write("a.nii", grey),),), masks)


def test_slices_hold_the_scan_as_it_is(case, grey):
    volume = prepare_case(case, LABELS, Preprocessing())
    assert volume.image.shape == (5, 9, 12, 1)  # left to right, head to foot, front to back
    assert volume.image.dtype == np.int16
    np.testing.assert_array_equal(volume.image[..., 0], grey.transpose(0, 2, 1)[:, ::-1, ::-1])
    assert volume.geometry.spacing == pytest.approx((2, 0.75, 0.5))


def test_later_masks_lie_over_earlier_ones(case):
    truth, raw = native_truth(case, LABELS)
    assert raw.array.shape == truth.shape
    assert np.unique(truth[2, 4:6, 3:5]).tolist() == [2]
    assert (truth == 1).sum() == 3 * 7 * 5 - 2 * 4
    assert (truth == 2).sum() == 3 * 4
    volume = prepare_case(case, LABELS, Preprocessing())
    np.testing.assert_array_equal(from_slices(volume.mask, volume.geometry), truth)


@pytest.mark.parametrize(
    ("policy", "wanted"), [("all", [0, 1, 2, 3, 4]), ("annotated", [1, 2, 3, 4]), ("complete", [2, 3])]
)
def test_slice_policies(case, policy, wanted):
    for crop in (None, (1, 1)):  # a crop that cuts the grey matter off does not change what is annotated
        volume = prepare_case(case, LABELS, Preprocessing(slices=policy, crop=crop))
        assert np.flatnonzero(volume.usable).tolist() == wanted


def test_without_mask(case):
    for volume in (
        prepare_case(case, LABELS, Preprocessing(slices="complete"), with_mask=False),
        prepare_case(Case("a", "a", case.images), LABELS, Preprocessing(slices="complete")),
    ):
        assert volume.mask is None
        assert volume.usable.all()
    with pytest.raises(DataError, match="no mask"):
        native_truth(Case("a", "a", case.images), LABELS)


def test_padding_is_dark_and_does_not_count(case, grey):
    plain = prepare_case(case, LABELS, Preprocessing())
    padded = prepare_case(case, LABELS, Preprocessing(crop=(40, 50)))
    assert padded.image.shape == (5, 40, 50, 1)
    assert padded.image[0, 0, 0, 0] == grey.min()
    assert padded.intensity == plain.intensity


def test_resampling_makes_float_images_and_whole_masks(case):
    volume = prepare_case(case, LABELS, Preprocessing(spacing_mm=(0.25, 0.25), crop=(16, 16)))
    assert volume.image.dtype == np.float32
    assert volume.mask.dtype == np.uint8
    assert volume.image.shape == (5, 16, 16, 1)
    assert volume.geometry.resampled == (27, 24)
    assert set(np.unique(volume.mask)) <= {0, 1, 2}


def test_channels_are_normalised_one_by_one(case, write, grey):
    two = Case("a", "a", (*case.images, (write("b.nii", grey * 3 + 5),)), case.masks)
    volume = prepare_case(two, LABELS, Preprocessing())
    assert volume.image.shape[-1] == 2
    first, second = (i.apply(volume.image[..., c]) for c, i in enumerate(volume.intensity))
    np.testing.assert_allclose(first, second, atol=1e-5)
    other = Case("a", "a", (*case.images, (write("c.nii", grey[1:]),)), case.masks)
    with pytest.raises(DataError, match=r"c\.nii: its shape is"):
        prepare_case(other, LABELS, Preprocessing())


def test_yaml_lists_are_taken():
    given = OmegaConf.create({"spacing_mm": [0.5, 1], "crop": [8, 9]})
    preprocessing = Preprocessing(spacing_mm=given.spacing_mm, crop=given.crop)
    assert (preprocessing.spacing_mm, preprocessing.crop) == ((0.5, 1.0), (8, 9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"plane": "x"},
        {"slices": "some"},
        {"normalisation": "z"},
        {"crop": (1,)},
        {"crop": (0, 5)},
        {"spacing_mm": (0, 1)},
    ],
)
def test_bad_preprocessing(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Preprocessing(**wrong)
