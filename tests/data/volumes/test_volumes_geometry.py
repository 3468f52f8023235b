"""Slices lie as their names say, and the way back is exact."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine, from_matvec
from nibabel.eulerangles import euler2mat

from spinelab.data.volumes.geometry import Geometry, from_slices, make_geometry, to_slices
from spinelab.data.volumes.io import RawVolume

PLANES = ("sagittal", "axial", "coronal")
# world direction (RAS+) of slices, rows and columns
DIRECTIONS = {
    "sagittal": [(1, 0, 0), (0, 0, -1), (0, -1, 0)],
    "axial": [(0, 0, 1), (0, -1, 0), (-1, 0, 0)],
    "coronal": [(0, 1, 0), (0, 0, -1), (-1, 0, 0)],
}
ORIENTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.sum(a & b) / (np.sum(a) + np.sum(b))


def world_grid(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """World coordinates of every voxel, (X, Y, Z, 3)."""
    return apply_affine(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1))


@pytest.mark.parametrize("plane", PLANES)
def test_all_48_orientations_lie_right_and_come_back(plane):
    shape, spacing = (4, 5, 6), np.array([1.0, 2.0, 3.0])
    array = np.arange(120).reshape(shape)
    assert len({turn.tobytes() for turn in ORIENTATIONS}) == 48
    for turn in ORIENTATIONS:
        affine = from_matvec(turn * spacing, [7, -3, 11])
        geometry = make_geometry(RawVolume(array, affine), plane)
        for axis, direction in enumerate(DIRECTIONS[plane]):
            # walking along an axis of the slices moves through the world as the plane's name says
            world = np.stack([to_slices(w, geometry, 0) for w in np.moveaxis(world_grid(affine, shape), -1, 0)], -1)
            step = np.diff(world, axis=axis).reshape(-1, 3)
            np.testing.assert_allclose(step, np.tile(np.array(direction) * geometry.spacing[axis], (len(step), 1)))
        slices = to_slices(array, geometry, 0)
        assert slices.dtype == array.dtype
        assert slices.shape == (*geometry.oriented_shape[:1], *geometry.slice_shape)
        np.testing.assert_array_equal(from_slices(slices, geometry), array)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    turn=st.sampled_from(ORIENTATIONS),
    plane=st.sampled_from(PLANES),
    crop=st.none() | st.tuples(st.integers(1, 14), st.integers(1, 14)),
    angles=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
)
def test_cropping_keeps_what_lies_inside(shape, turn, plane, crop, angles):
    array = 1 + np.arange(np.prod(shape)).reshape(shape)
    volume = RawVolume(array, from_matvec(euler2mat(*angles) @ turn, [1, 2, 3]))
    geometry = make_geometry(volume, plane, crop=crop)
    slices = to_slices(array, geometry, 0, fill=-1)
    rows, columns = geometry.content
    inside = np.zeros(slices.shape, bool)
    inside[:, rows, columns] = True
    assert ((slices == -1) == ~inside).all()
    back = from_slices(slices, geometry)
    assert back.shape == shape
    kept = back != 0
    np.testing.assert_array_equal(back[kept], array[kept])
    assert kept.sum() == inside.sum()


def test_the_crop_is_central():
    volume = RawVolume(np.zeros((3, 10, 13)), np.diag([-1.0, -1, -1, 1]))
    geometry = make_geometry(volume, "sagittal", crop=(7, 4))
    # rows run down along z, columns backwards along y
    assert geometry.resampled == (13, 10)
    assert geometry.corner == (3, 3)
    assert geometry.slice_shape == (7, 4)


def test_resampled_pixels_lie_where_the_millimetres_say():
    """A linear ramp in world coordinates is the same ramp on the new grid: centres are aligned, not corners."""
    affine, shape = np.diag([3.0, 0.7, 0.9, 1.0]), (4, 40, 50)
    ramp = world_grid(affine, shape)[..., 1]  # mm from back to front
    geometry = make_geometry(RawVolume(ramp, affine), "sagittal", (0.5, 0.5))
    slices = to_slices(ramp, geometry, order=1)
    assert geometry.slice_shape == (90, 56)
    assert geometry.spacing == pytest.approx((3, 0.5, 0.5))
    middle = slices[:, 5:-5, 5:-5]
    np.testing.assert_allclose(np.diff(middle, axis=2), -0.5, atol=1e-4)
    centre = (ramp[0, 0] + ramp[0, -1]).mean() / 2
    np.testing.assert_allclose((slices[0, 0, 27] + slices[0, 0, 28]) / 2, centre, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(0.7, 0.5), (0.5, 0.7), (0.4, 1.0), (1.0, 1.0)])
def test_a_smooth_label_field_comes_back(old, new):
    affine = np.diag([3.0, old, old, 1.0])
    x, y, z = np.moveaxis(world_grid(affine, (5, 80, 90)) - apply_affine(affine, (2, 39.5, 44.5)), -1, 0)
    labels = ((x / 9) ** 2 + (y / 13) ** 2 + (z / 10) ** 2 < 1).astype(np.uint8)
    labels[(x / 9) ** 2 + (y / 6) ** 2 + (z / 5) ** 2 < 1] = 2
    geometry = make_geometry(RawVolume(labels, affine), "sagittal", (new, new))
    slices = to_slices(labels, geometry, 0)
    assert slices.dtype == np.uint8
    for back in (from_slices(slices, geometry), from_slices(np.eye(3)[slices], geometry).argmax(-1)):
        for label in (1, 2):
            assert dice(back == label, labels == label) > (0.98 if new <= old else 0.93)


def test_probabilities_stay_probabilities():
    rng = np.random.default_rng(0)
    volume = RawVolume(np.zeros((3, 30, 40)), np.diag([2.0, 0.8, 0.8, 1.0]))
    geometry = make_geometry(volume, "sagittal", (0.5, 0.5), (24, 20))
    slices = rng.dirichlet(np.ones(4), (3, 24, 20)).astype(np.float32)
    back = from_slices(slices, geometry)
    assert back.shape == (3, 30, 40, 4)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back.sum(-1), 1, atol=1e-5)
    assert (back[:, 0, 0] == [1, 0, 0, 0]).all()  # outside the crop: background


def test_finer_details_than_the_new_pixels_are_averaged_not_picked():
    stripes = np.tile(np.array([0.0, 100.0]), 40)[None, None].repeat(80, 1)
    geometry = make_geometry(RawVolume(stripes, np.diag([1.0, -0.5, -0.5, 1.0])), "sagittal", (2.0, 2.0))
    slices = to_slices(stripes, geometry, order=1)
    assert slices[:, 2:-2, 2:-2].std() < 5  # picking every fourth stripe would give all 0 or all 100
    assert slices.mean() == pytest.approx(50, abs=3)


def test_rounding_in_the_header_is_no_reason_to_resample():
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    geometry = make_geometry(RawVolume(array, np.diag([3.0, 0.49999998, 0.5, 1])), "sagittal", (0.5, 0.5))
    assert not geometry.is_resampled
    assert to_slices(array, geometry, 3).dtype == np.int16


def test_pictures_are_taken_as_they_are():
    array = np.arange(24).reshape(2, 3, 4)
    geometry = make_geometry(RawVolume(array, None), "sagittal")
    np.testing.assert_array_equal(to_slices(array, geometry, 3), array)
    assert np.isnan(geometry.spacing).all()
    assert not geometry.is_resampled
    with pytest.raises(ValueError, match="no spacing"):
        make_geometry(RawVolume(array, None), "sagittal", (1.0, 1.0))


def test_json_and_back():
    volume = RawVolume(np.zeros((3, 4, 5)), np.diag([-1.0, 0.7, 0.7, 1]))
    geometry = make_geometry(volume, "axial", (0.5, 0.5), (8, 8))
    assert Geometry.from_dict(json.loads(json.dumps(asdict(geometry)))) == geometry


def test_bad_arguments():
    volume = RawVolume(np.zeros((3, 4, 5)), np.eye(4))
    with pytest.raises(ValueError, match="plane is one of"):
        make_geometry(volume, "oblique")
    geometry = make_geometry(volume, "axial")
    with pytest.raises(ValueError, match=r"\(5, 4, 3\).*is for \(5, 4, 3\)|slices of shape"):
        from_slices(np.zeros((5, 4, 4)), geometry)
