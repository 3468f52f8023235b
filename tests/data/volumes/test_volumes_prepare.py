from __future__ import annotations

import itertools
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine, from_matvec
from nibabel.eulerangles import euler2mat
from omegaconf import OmegaConf

from spinelab.data.volumes.geometry import from_slices
from spinelab.data.volumes.prepare import Preprocessing, native_truth, prepare_case
from spinelab.errors import DataError
from spinelab.tasks.inference import segment
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("white", "grey"))
ORIENTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
FINE = from_matvec(np.diag([2.0, 0.25, 0.75]), [2, 0, 0])
SHIFT = np.outer([0, 400, 0, 0], [0, 0, 0, 1])


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


def test_a_channel_on_another_grid_is_brought_onto_the_first_and_the_mask_stays(case, write, grey):
    ramp = np.linspace(0, 1000, grey.shape[1])[None, :, None] * np.ones(grey.shape)
    fine = np.linspace(0, 1000, 2 * grey.shape[1] - 1)[None, :, None] * np.ones((5, 23, 9))
    two = Case("a", "a", (*case.images, (write("b.nii", fine[1:], FINE),)), case.masks)
    volume, plain = (prepare_case(c, LABELS, Preprocessing()) for c in (two, case))
    np.testing.assert_array_equal(volume.image[..., 0], plain.image[..., 0])
    np.testing.assert_array_equal(volume.mask, plain.mask)
    assert volume.geometry == plain.geometry
    second = volume.geometry.restore(volume.image[..., 1])
    np.testing.assert_allclose(second[1:, 2:-2], ramp[1:, 2:-2], atol=12)
    assert (second[0] == 0).all()  # beyond its field of view
    far = Case("a", "a", (*case.images, (write("c.nii", grey, np.diag([2, 0.5, 0.75, 1.0]) + SHIFT),)), case.masks)
    with pytest.raises(DataError, match=r"c\.nii: its field of view does not overlap.* 400 mm apart"):
        prepare_case(far, LABELS, Preprocessing())


def test_neighbours_become_channels_and_the_way_back_is_the_same(case, write, grey):
    two = Case("a", "a", (*case.images, (write("b.nii", grey * 3 + 5),)), case.masks)
    for scan, contrasts in ((case, 1), (two, 2)):
        plain = prepare_case(scan, LABELS, Preprocessing(slices="complete"))
        volume = prepare_case(scan, LABELS, Preprocessing(slices="complete", neighbours=1))
        assert volume.image.shape == (5, 9, 12, 3 * contrasts)
        assert volume.image.dtype == plain.image.dtype
        np.testing.assert_array_equal(volume.image[..., 1::3], plain.image)
        np.testing.assert_array_equal(volume.image[1:, ..., 0::3], plain.image[:-1])
        np.testing.assert_array_equal(volume.image[:-1, ..., 2::3], plain.image[1:])
        assert volume.intensity == tuple(i for i in plain.intensity for _ in range(3))
        assert volume.geometry == plain.geometry
        np.testing.assert_array_equal(volume.mask, plain.mask)
        np.testing.assert_array_equal(volume.usable, plain.usable)


@settings(max_examples=25, deadline=None)
@given(
    turn=st.sampled_from(ORIENTATIONS),
    plane=st.sampled_from(["sagittal", "axial", "coronal"]),
    everything=st.booleans(),
)
def test_a_marked_place_is_found_again_however_the_file_lies(turn, plane, everything, tmp_path_factory):
    """A bright ball at a known place in the world, in every axis order and flip, oblique, through all steps."""
    folder, spacing, shape = tmp_path_factory.mktemp("scan"), np.array([3.0, 0.8, 1.1]), np.array([24, 40, 36])
    matrix = euler2mat(0.15, -0.1, 0.2) @ turn * spacing
    affine = from_matvec(matrix, np.array([12.0, -7.0, 30.0]) - matrix @ (shape / 2))
    places = apply_affine(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1))
    apart = np.linalg.norm(places - [12.0, -7.0, 30.0], axis=-1)
    ball = (apart < 9).astype(np.uint8)
    grey = (100 + 900 * np.exp(-((apart / 12) ** 4)) + np.random.default_rng(0).normal(0, 5, shape)).astype(np.int16)
    for name, array in (("a.nii", grey), ("m.nii", ball)):
        nib.save(nib.Nifti1Image(array, affine), folder / name)
    case = Case("a", "a", ((folder / "a.nii",),), (MaskFiles((folder / "m.nii",), {1: "white"}),))
    more = {"spacing_mm": (0.7, 0.7), "body": True, "crop": (64, 64), "neighbours": 1, "filters": ("edges",)}
    volume = prepare_case(case, LABELS, Preprocessing(plane=plane, **(more if everything else {})))
    back = from_slices(volume.mask, volume.geometry)
    if not everything:
        np.testing.assert_array_equal(back, ball)
    assert 2 * np.sum((back > 0) & (ball > 0)) / (np.sum(back > 0) + np.sum(ball > 0)) > 0.93
    np.testing.assert_allclose(apply_affine(affine, np.argwhere(back)).mean(0), [12.0, -7.0, 30.0], atol=0.5)
    own = volume.image[..., 1 if everything else 0]
    inside = own[volume.mask > 0]
    assert inside.min() > 400 > own.min()


class Centre(torch.nn.Module):
    """Bright, in the slice itself, is class 1; its neighbours and the other contrast do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        bright = image[:, 1:2] * 50
        return torch.cat([torch.zeros_like(bright), bright, torch.full_like(bright, -99)], dim=1)


@pytest.mark.parametrize("plane", ["sagittal", "axial", "coronal"])
def test_a_prediction_comes_back_into_the_scans_grid_through_all_steps(plane, write):
    places = np.stack(np.meshgrid(*map(np.arange, (14, 40, 36)), indexing="ij"), -1)
    apart = np.linalg.norm((places - [6, 22, 15]) * [3, 0.8, 0.9], axis=-1)
    noise = np.random.default_rng(0).normal(0, 5, apart.shape)
    grey = (300 * (apart < 14) + 700 * (apart < 8) + noise + 50).astype(np.int16)
    affine = np.diag([3.0, 0.8, 0.9, 1.0])
    case = Case("a", "a", ((write("a.nii.gz", grey, affine),), (write("b.nii.gz", grey[:, ::-1], affine),)))
    how = Preprocessing(plane=plane, spacing_mm=(0.6, 0.6), body=True, neighbours=1, normalisation=None)
    volume = prepare_case(case, LABELS, how)
    assert volume.image.shape[-1] == 6
    middle = tuple(replace(i, shift=700.0) for i in volume.intensity)
    back = segment(Centre(), replace(volume, intensity=middle))
    assert (back.shape, back.dtype) == (grey.shape, np.uint8)
    truth = grey > 700
    assert 2 * np.sum((back == 1) & truth) / (np.sum(back == 1) + np.sum(truth)) > 0.95


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
        {"neighbours": -1},
        {"filters": ("sharp",)},
        {"normalisation": "nyul"},
    ],
)
def test_bad_preprocessing(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Preprocessing(**wrong)
