"""Contrasts meet in world coordinates: against SimpleITK, and against a field whose value is known everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.affines import apply_affine, from_matvec
from nibabel.eulerangles import euler2mat

from spinelab.data.volumes.grid import onto_grid
from spinelab.data.volumes.io import RawVolume
from spinelab.errors import DataError

NAME = Path("t1.nii")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def world(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return apply_affine(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1))


def field(at: np.ndarray) -> np.ndarray:
    """A smooth field in mm, so that every grid's true values are known."""
    return 100 + 2 * at[..., 0] - at[..., 1] + 20 * np.sin(at[..., 1] / 15) * np.cos(at[..., 2] / 20)


def itk(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array.astype(np.float32).transpose(2, 1, 0))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((RAS_TO_LPS @ affine[:3, 3]).tolist())
    image.SetDirection((RAS_TO_LPS @ (affine[:3, :3] / spacing)).ravel().tolist())
    return image


FIRST = from_matvec(euler2mat(0.2, -0.1, 0.3) * [3.0, 0.8, 0.8], [-20, -25, -30])
OTHERS = {
    "shifted": from_matvec(euler2mat(0.2, -0.1, 0.3) * [3.0, 0.8, 0.8], [-18, -22, -27]),
    "turned, other axes and flips": from_matvec(
        euler2mat(-0.1, 0.2, 0.1)[:, [2, 0, 1]] * [-1.2, 2.0, 1.1], [0, -45, 40]
    ),
    "coarser": from_matvec(np.eye(3) * [4.0, 1.5, 1.5], [-25, -30, -35]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_values_are_those_at_the_same_place_in_the_world(name):
    affine, shape, wanted = OTHERS[name], (40, 41, 42), (10, 50, 60)
    array = field(world(affine, shape)).astype(np.float32)
    out = onto_grid(RawVolume(array, affine), RawVolume(np.zeros(wanted), FIRST), NAME)
    np.testing.assert_array_equal(out.affine, FIRST)
    places = world(FIRST, wanted)
    index = apply_affine(np.linalg.inv(affine), places)
    inside = ((index > 2) & (index < np.array(shape) - 3)).all(-1)
    outside = ((index < -0.51) | (index > np.array(shape) - 0.49)).any(-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(out.array[inside], field(places)[inside], atol=0.5)
    assert (out.array[outside] == array.min()).all()


def test_equals_simpleitk():
    """The channel has the larger voxels, so nothing is smoothed; SimpleITK's spline differs at the border only."""
    shape, wanted, turn = (30, 31, 32), (10, 50, 60), euler2mat(0.1, 0.2, -0.3) * 4.0
    middle = apply_affine(FIRST, np.array(wanted) / 2)
    affine = from_matvec(turn, middle - turn @ (np.array(shape) / 2))
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    out = onto_grid(RawVolume(array, affine), RawVolume(np.zeros(wanted), FIRST), NAME).array
    theirs = sitk.Resample(itk(array, affine), itk(np.zeros(wanted), FIRST), sitk.Transform(), sitk.sitkBSpline, -1.0)
    index = apply_affine(np.linalg.inv(affine), world(FIRST, wanted))
    inside = ((index > 8) & (index < np.array(shape) - 9)).all(-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(out[inside], sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)[inside], atol=1e-3)


def test_the_same_grid_is_left_alone():
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    channel = RawVolume(array, np.eye(4))
    assert onto_grid(channel, RawVolume(array, np.eye(4)), NAME) is channel


def test_fine_stripes_are_averaged_on_a_coarse_grid():
    stripes = np.tile([0.0, 100.0], 40)[:, None, None].repeat(8, 1).repeat(8, 2)
    first = RawVolume(np.zeros((20, 8, 8)), np.diag([4.0, 1, 1, 1]))
    out = onto_grid(RawVolume(stripes, np.eye(4)), first, NAME).array
    assert out[2:-2].std() < 5


def test_channels_apart_are_refused_with_millimetres():
    far = RawVolume(np.ones((4, 5, 6)), from_matvec(np.eye(3), [300, 0, 0]))
    with pytest.raises(DataError, match=re.escape("t1.nii: its field of view does not overlap")) as caught:
        onto_grid(far, RawVolume(np.zeros((4, 5, 6)), np.eye(4)), NAME)
    assert "300 mm apart" in caught.value.found


def test_pictures_have_no_world():
    with pytest.raises(DataError, match="shape"):
        onto_grid(RawVolume(np.ones((2, 5, 6)), None), RawVolume(np.ones((2, 5, 7)), None), NAME)
    with pytest.raises(DataError, match="shape"):
        onto_grid(RawVolume(np.ones((2, 5, 6)), None), RawVolume(np.ones((2, 5, 7)), np.eye(4)), NAME)
