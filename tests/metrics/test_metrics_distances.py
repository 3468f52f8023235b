"""Surface distances against all pairs of boundary points, hand-worked cases, MedPy, MONAI and published figures."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medpy.metric import binary as medpy
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from monai.metrics.utils import get_code_to_measure_table
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter
from torchmetrics.functional.segmentation import hausdorff_distance

from spinelab.metrics import nearest
from spinelab.metrics.distances import assd, distance_scores, hd95, nsd
from spinelab.metrics.surface import crop, element_areas, element_distances, voxel_distances

Mask = NDArray[np.bool_]


def masks(shape: tuple[int, ...], seed: int, kind: str = "noise") -> tuple[Mask, Mask]:
    """Truth and prediction that both hold something."""
    rng = np.random.default_rng(seed)
    if kind == "blobs":
        fields = [gaussian_filter(rng.normal(size=shape), 1.0) for _ in range(2)]
        both = [field > np.quantile(field, 0.6) for field in fields]
    else:
        density = {"noise": 0.5, "sparse": 0.01, "full": 0.98}[kind]
        both = [rng.random(shape) < density for _ in range(2)]
    for mask in both:
        mask.flat[rng.integers(mask.size)] = True
    return both[0], both[1]


def spot(shape: tuple[int, ...], *cells: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, bool)
    for cell in cells:
        mask[cell] = True
    return mask


# The reference: loops over voxels, all pairs of points, nothing shared with the code.


def boundary(mask: Mask, spacing: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Voxels of the mask with a neighbour across a side outside the mask or outside the image, in mm."""
    points = []
    for cell in map(tuple, np.argwhere(mask).tolist()):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            other = (*cell[:axis], cell[axis] + step, *cell[axis + 1 :])
            if not (0 <= other[axis] < mask.shape[axis] and mask[other]):
                points.append(tuple(at * mm for at, mm in zip(cell, spacing, strict=True)))
                break
    return points


def corners(mask: Mask, spacing: tuple[float, ...]) -> tuple[list[tuple[float, ...]], list[float]]:
    """Places between 2 x 2 (x 2) voxels not all alike, and the size of the surface there from MONAI's table."""
    table, _ = get_code_to_measure_table(spacing)
    points, sizes = [], []
    for cell in itertools.product(*[range(-1, cells) for cells in mask.shape]):
        code = 0
        for step in itertools.product((0, 1), repeat=mask.ndim):
            at = tuple(np.add(cell, step).tolist())
            inside = all(0 <= i < cells for i, cells in zip(at, mask.shape, strict=True)) and bool(mask[at])
            code = 2 * code + inside
        if 0 < code < 2**2**mask.ndim - 1:
            points.append(tuple(at * mm for at, mm in zip(cell, spacing, strict=True)))
            sizes.append(float(table[code]))
    return points, sizes


def ways(start: list[tuple[float, ...]], end: list[tuple[float, ...]]) -> list[float]:
    """Sorted distances from each point to the nearest of the others, over all pairs."""
    pairs = np.array(start)[:, None] - np.array(end)[None]
    return sorted(np.sqrt((pairs**2).sum(axis=2)).min(axis=1).tolist())


def percentile95(values: list[float]) -> float:
    position = 0.95 * (len(values) - 1)
    low = math.floor(position)
    high = min(low + 1, len(values) - 1)
    return sorted(values)[low] + (position - low) * (sorted(values)[high] - sorted(values)[low])


def reference(truth: Mask, prediction: Mask, spacing: tuple[float, ...]) -> dict[str, float]:
    a, b = boundary(prediction, spacing), boundary(truth, spacing)
    there, back = ways(a, b), ways(b, a)
    pooled = there + back
    return {
        "hd": max(pooled),
        "hd95": percentile95(pooled),
        "asd": sum(there) / len(there),
        "assd": sum(pooled) / len(pooled),
        "maximum": max(percentile95(there), percentile95(back)),
    }


def reference_elements(
    truth: Mask, prediction: Mask, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """NSD, and the weighted HD95."""
    (a, sizes_a), (b, sizes_b) = corners(prediction, spacing), corners(truth, spacing)
    within, largest = 0.0, 0.0
    for start, end, sizes in ((a, b, sizes_a), (b, a, sizes_b)):
        ordered = sorted((ways([point], end)[0], size) for point, size in zip(start, sizes, strict=True))
        within += sum(size for way, size in ordered if way <= tolerance)
        share = 0.0
        for way, size in ordered:
            share += size / sum(sizes)
            if share >= 0.95 - 1e-6:  # the table is of single precision
                largest = max(largest, way)
                break
    return within / (sum(sizes_a) + sum(sizes_b)), largest


SHAPES = [((9, 14), (1.0, 1.0)), ((7, 12), (0.7, 2.3)), ((1, 9), (1.0, 3.0)), ((5, 7, 6), (1.0, 1.0, 1.0))]
SHAPES += [((4, 9, 8), (3.3, 0.7, 0.6)), ((3, 12, 5), (0.5, 0.9, 7.5)), ((1, 6, 7), (4.0, 1.0, 1.0))]


@pytest.mark.parametrize("kind", ["noise", "blobs", "sparse", "full"])
@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
def test_distances_are_brute_force(shape: tuple[int, ...], spacing: tuple[float, ...], kind: str) -> None:
    truth, prediction = masks(shape, seed=len(kind), kind=kind)
    expected = reference(truth, prediction, spacing)
    scores = distance_scores(truth, prediction, spacing)
    for name in ("hd", "hd95", "asd", "assd"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-9)
    maximum = distance_scores(truth, prediction, spacing, hd95_definition="maximum")["hd95"]
    assert maximum == pytest.approx(expected["maximum"], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 8), min_size=2, max_size=3).map(tuple),
    steps=st.tuples(*[st.floats(0.1, 10)] * 3),
    kind=st.sampled_from(["noise", "blobs", "sparse", "full"]),
    seed=st.integers(0, 10**6),
)
def test_distances_are_brute_force_anywhere(
    shape: tuple[int, ...], steps: tuple[float, ...], kind: str, seed: int
) -> None:
    spacing = steps[: len(shape)]
    truth, prediction = masks(shape, seed, kind)
    scores, expected = distance_scores(truth, prediction, spacing), reference(truth, prediction, spacing)
    for name in ("hd", "hd95", "asd", "assd"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-9)


@pytest.mark.parametrize("way", ["around", "tree", "transform"])
@pytest.mark.parametrize(("shape", "spacing"), [((40, 50), (0.8, 1.1)), ((12, 40, 30), (3.0, 0.6, 0.7))])
def test_every_way_to_the_nearest_is_brute_force(
    shape: tuple[int, ...], spacing: tuple[float, ...], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs decide which way is taken, so that setting them takes each in turn."""
    if way != "around":
        monkeypatch.setattr(nearest, "LOOK", 1e12)
        monkeypatch.setattr(nearest, "CELL" if way == "tree" else "BUILD", 1e9)
    else:
        monkeypatch.setattr(nearest, "LOOK", 0.0)
        monkeypatch.setattr(nearest, "SHELL", 0.0)
    rng = np.random.default_rng(3)
    truth, prediction = (spot(shape, *map(tuple, (rng.random((9, len(shape))) * shape).astype(int))) for _ in range(2))
    prediction[tuple(slice(2, 6) for _ in shape)] = True
    scores, expected = distance_scores(truth, prediction, spacing), reference(truth, prediction, spacing)
    for name in ("hd", "hd95", "asd", "assd"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-9)


# Corner cases worked out by hand.


@pytest.mark.parametrize("apart", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_voxels_apart(axis: int, apart: int) -> None:
    spacing = (4.0, 0.5, 0.7)
    place = [2, 2, 2]
    truth = spot((9, 8, 7), (2, 2, 2))
    place[axis] += apart
    scores = distance_scores(truth, spot((9, 8, 7), tuple(place)), spacing)
    for name in ("hd", "hd95", "asd", "assd"):
        assert scores[name] == pytest.approx(apart * spacing[axis], abs=1e-12)
    # Eight corners each. Apart by one, four are shared; else the nearer four lie one voxel closer than the others.
    near, far = (apart - 1) * spacing[axis], apart * spacing[axis]
    assert scores["nsd"] == pytest.approx(((near <= 2) + (far <= 2)) / 2, abs=1e-12)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (3, 5, 9)])
@pytest.mark.parametrize("kind", ["noise", "blobs", "full"])
def test_equal_masks(shape: tuple[int, ...], kind: str) -> None:
    truth, _ = masks(shape, seed=5, kind=kind)
    scores = distance_scores(truth, truth.copy(), (1.5,) * len(shape), tolerance_mm=0)
    assert scores == {"hd": 0.0, "hd95": 0.0, "asd": 0.0, "assd": 0.0, "nsd": 1.0}


@pytest.mark.parametrize("definition", ["pooled", "maximum", "weighted"])
def test_absent_missed_and_false_alarm(definition: str) -> None:
    """A 3-4-12 box has a diagonal of 13."""
    empty, some = np.zeros((3, 8, 24), bool), spot((3, 8, 24), (1, 2, 3))
    spacing = (1.0, 0.5, 0.5)
    lost = {"hd": 13.0, "hd95": 13.0, "asd": 13.0, "assd": 13.0, "nsd": 0.0}
    assert distance_scores(empty, empty, spacing, hd95_definition=definition) == dict.fromkeys(lost)
    assert distance_scores(some, empty, spacing, hd95_definition=definition) == lost
    assert distance_scores(empty, some, spacing, hd95_definition=definition) == lost


def test_nothing_is_worse_than_a_miss() -> None:
    """Voxels in opposite corners, also of an image of one slice."""
    for shape in ((2, 3, 4), (1, 3, 4)):
        truth, prediction = spot(shape, (0, 0, 0)), spot(shape, tuple(size - 1 for size in shape))
        found = distance_scores(truth, prediction, (3, 1, 1))
        missed = distance_scores(truth, np.zeros(shape, bool), (3, 1, 1))
        assert found["hd"] < missed["hd"]


def test_the_border_of_the_image_is_a_surface() -> None:
    """A mask that fills the image has its outer ring as surface; the centre voxel is then two columns from it."""
    full, centre = np.ones((5, 9), bool), spot((5, 9), (2, 4))
    scores = distance_scores(centre, full, (1.0, 1.0))
    assert distance_scores(full, full, (1.0, 1.0))["hd"] == 0
    assert scores["hd"] == pytest.approx(math.hypot(2, 4))  # from the corner of the ring to the centre
    assert distance_scores(full, centre, (1.0, 1.0))["asd"] == 2.0  # from the centre to the ring
    # The same masks further inside a larger image score the same: its border is no different from any other surface.
    wide = [np.pad(mask, ((1, 0), (3, 4))) for mask in (centre, full)]
    assert distance_scores(*wide, (1.0, 1.0)) == pytest.approx(scores, abs=1e-12)


def test_a_volume_of_one_slice_is_all_surface() -> None:
    """Above and below it is outside, so that what fills the hole is surface in 3D, and in the slice it is not."""
    disc = np.hypot(*(np.indices((11, 11)) - 5)) < 4
    ring = disc & ~spot((11, 11), (5, 5))
    assert distance_scores(ring[None], disc[None], (4.0, 1.0, 1.0))["asd"] == pytest.approx(1 / disc.sum())
    assert distance_scores(ring, disc, (1.0, 1.0))["asd"] == 0  # the outline alone is surface, and equal


def test_not_square() -> None:
    truth, prediction = spot((4, 40), (1, 2)), spot((4, 40), (1, 37))
    assert distance_scores(truth, prediction, (1.0, 2.0))["hd"] == 70
    assert distance_scores(truth.T, prediction.T, (1.0, 2.0))["hd"] == 35


def test_directions() -> None:
    """A prediction that misses a far part has an asd of 0; that is why it is named a direction."""
    truth, prediction = spot((5, 20), (2, 2), (2, 12)), spot((5, 20), (2, 2))
    scores = distance_scores(truth, prediction, (1.0, 1.0))
    assert (scores["asd"], scores["hd"]) == (0, 10)
    assert scores["assd"] == pytest.approx(10 / 3)
    assert distance_scores(prediction, truth, (1.0, 1.0))["asd"] == 5
    assert scores["hd95"] == pytest.approx(9)  # of 0, 0, 10: nine tenths of the way from the second to the third
    maximum = distance_scores(truth, prediction, (1.0, 1.0), hd95_definition="maximum")
    assert maximum["hd95"] == pytest.approx(9.5)  # of 0, 10


def test_pixels_where_no_spacing_is_known() -> None:
    truth, prediction = masks((9, 12), seed=0, kind="blobs")
    assert distance_scores(truth, prediction, None) == distance_scores(truth, prediction, (1, 1))
    with pytest.raises(ValueError, match="slice by slice"):
        distance_scores(truth[None], prediction[None], None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10), flips=st.tuples(*[st.booleans()] * 3))
def test_invariances(seed: int, factor: float, flips: tuple[bool, ...]) -> None:
    """Mirroring, turning and widening change nothing; larger voxels lengthen all; swapping leaves what is symmetric."""
    truth, prediction = masks((5, 9, 8), seed, "blobs")
    spacing = (3.0, 0.8, 0.9)
    scores = distance_scores(truth, prediction, spacing)
    axes = tuple(axis for axis, flip in enumerate(flips) if flip)
    flipped = distance_scores(np.flip(truth, axes), np.flip(prediction, axes), spacing)
    turned = distance_scores(truth.T, prediction.T, spacing[::-1])
    padded = distance_scores(np.pad(truth, 2), np.pad(prediction, 2), spacing)
    assert flipped == pytest.approx(scores, abs=1e-9)
    assert turned == pytest.approx(scores, abs=1e-9)
    assert padded == pytest.approx(scores, abs=1e-9)
    larger = distance_scores(truth, prediction, [factor * step for step in spacing], tolerance_mm=2 * factor)
    assert larger["nsd"] == pytest.approx(scores["nsd"], abs=1e-9)
    assert larger["hd95"] == pytest.approx(factor * scores["hd95"])
    swapped = distance_scores(prediction, truth, spacing)
    for name in ("hd", "hd95", "assd", "nsd"):
        assert swapped[name] == pytest.approx(scores[name], abs=1e-9)


@pytest.mark.parametrize(
    ("truth", "prediction", "spacing", "more", "words"),
    [
        (np.zeros((3, 4)), np.zeros((3, 4)), (1, 1), {}, "bool"),
        (np.zeros((3, 4), bool), np.zeros((4, 3), bool), (1, 1), {}, r"\(3, 4\) and \(4, 3\)"),
        (np.zeros(3, bool), np.zeros(3, bool), (1,), {}, r"\(S, H, W\) or \(H, W\)"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 1, 1), {}, "each of 2 axes"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, math.nan), {}, "positive"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 0), {}, "positive"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 1), {"tolerance_mm": -1}, "tolerance"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 1), {"tolerance_mm": math.inf}, "tolerance"),
        (np.zeros((3, 4), bool), np.zeros((3, 4), bool), (1, 1), {"hd95_definition": "mean"}, "pooled"),
    ],
)
def test_bad_arguments(truth: Mask, prediction: Mask, spacing: tuple[float, ...], more: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        distance_scores(truth, prediction, spacing, **more)


def test_an_empty_mask_has_no_surface() -> None:
    with pytest.raises(ValueError, match="empty"):
        crop(np.zeros((3, 4), bool), np.ones((3, 4), bool), (1, 1))


def test_arguments_stay_as_they_are_and_views_will_do() -> None:
    truth, prediction = masks((6, 14, 12), seed=2, kind="blobs")
    before = truth.copy(), prediction.copy()
    views = truth[::2, ::-1].transpose(1, 0, 2), prediction[::2, ::-1].transpose(1, 0, 2)
    scores = distance_scores(*views, (1, 2, 3))
    assert scores == distance_scores(*(np.ascontiguousarray(view) for view in views), (1, 2, 3))
    assert np.array_equal(before, (truth, prediction))


def test_no_torch_is_needed() -> None:
    code = "import sys, spinelab.metrics.distances; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Surface elements.


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 2.5), (1.0, 1.0, 1.0), (3.3, 0.7, 0.6)])
def test_element_areas_are_those_of_surface_distance(spacing: tuple[float, ...]) -> None:
    """MONAI carries DeepMind's table of all 256 corners, in single precision."""
    table, _ = get_code_to_measure_table(spacing)
    np.testing.assert_allclose(element_areas(spacing), table.numpy(), rtol=1e-6)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.0, 30.0])
@pytest.mark.parametrize("kind", ["noise", "blobs", "sparse", "full"])
@pytest.mark.parametrize(
    ("shape", "spacing"), [((9, 11), (0.7, 2.3)), ((5, 6, 6), (1.0, 1.0, 1.0)), ((3, 7, 6), (3.3, 0.7, 0.6))]
)
def test_elements_are_brute_force(
    shape: tuple[int, ...], spacing: tuple[float, ...], kind: str, tolerance: float
) -> None:
    truth, prediction = masks(shape, seed=11, kind=kind)
    overlap, distance = reference_elements(truth, prediction, spacing, tolerance + 1e-9)
    scores = distance_scores(truth, prediction, spacing, tolerance, hd95_definition="weighted")
    assert scores["nsd"] == pytest.approx(overlap, abs=1e-6)  # the reference's table is of single precision
    assert scores["hd95"] == pytest.approx(distance, abs=1e-9)
    assert distance_scores(truth, prediction, spacing, tolerance)["nsd"] == pytest.approx(scores["nsd"], abs=1e-12)


def test_published_figures_of_two_blocks() -> None:
    """From the tests of DeepMind's surface-distance: half a cube of 100 voxels, and one layer of 2 mm more."""
    truth, prediction = np.zeros((2, 100, 100, 100), bool)
    truth[:50] = prediction[:51] = True
    elements = element_distances(crop(truth, prediction, (2, 1, 1)))
    there = np.average(elements.from_truth, weights=elements.truth_areas)
    back = np.average(elements.from_prediction, weights=elements.prediction_areas)
    assert (there, back) == (pytest.approx(0.322, abs=5e-4), pytest.approx(0.339, abs=5e-4))
    assert nsd(elements, 1.0) == pytest.approx(0.836, abs=5e-4)
    assert hd95(elements, "weighted") == 2.0


def test_published_figures_of_two_pixels() -> None:
    """From the same tests: four corners each, half of them 1 mm and half 2 mm from the other pixel."""
    for shape, spacing in (((128, 128), (2, 1)), ((128, 128, 128), (3, 2, 1))):
        place = (50, 60, 70)[-len(shape) :]
        pair = crop(spot(shape, place), spot(shape, (*place[:-1], 72)), spacing)
        elements = element_distances(pair)
        assert np.average(elements.from_truth, weights=elements.truth_areas) == pytest.approx(1.5)
        assert nsd(elements, 1.0) == pytest.approx(0.5)
        assert hd95(elements, "weighted") == 2.0


def test_elements_of_a_square_and_of_a_cube() -> None:
    """Corners are cut: a pixel has a contour of four half diagonals, a voxel a surface of eight triangles."""
    square = element_distances(crop(*[spot((3, 3), (1, 1))] * 2, (3.0, 4.0)))
    assert square.truth_areas.tolist() == [2.5] * 4
    cube = element_distances(crop(*[spot((3, 3, 3), (1, 1, 1))] * 2, (1.0, 1.0, 1.0)))
    assert cube.truth_areas == pytest.approx([math.sqrt(3) / 8] * 8)


def test_tolerance_forgives_rounding() -> None:
    """Three voxels of 0.1 mm are 0.30000000000000004 mm."""
    truth, prediction = spot((3, 9), (1, 1)), spot((3, 9), (1, 4))
    assert distance_scores(truth, prediction, (0.1, 0.1), tolerance_mm=0.3)["nsd"] == 1


def squares() -> tuple[Mask, Mask]:
    """2 x 2 pixels, and a row more."""
    truth, prediction = np.zeros((2, 6, 6), bool)
    truth[1:3, 1:3] = prediction[1:4, 1:3] = True
    return truth, prediction


def test_contour_counts_by_its_length() -> None:
    """Pixels of 2 x 1 mm. Round the truth: 4 diagonals, 2 horizontal and 2 vertical pieces; 2 vertical more round the
    prediction. Its lowest three (diagonal, horizontal, diagonal) are 2 mm off, and the truth's lower horizontal 1 mm.
    """
    diagonal, horizontal, vertical = math.hypot(2, 1) / 2, 1, 2
    whole = 8 * diagonal + 4 * horizontal + 6 * vertical
    for tolerance, far in ((0, 2 * diagonal + 2 * horizontal), (1, 2 * diagonal + horizontal), (2, 0)):
        score = distance_scores(*squares(), (2, 1), tolerance)["nsd"]
        assert score == pytest.approx(1 - far / whole, abs=1e-12)


# Peers: where they agree, and where they do not.


def monai(mask: Mask) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None]


@pytest.mark.parametrize("kind", ["noise", "blobs", "sparse"])
@pytest.mark.parametrize(("shape", "spacing"), [((30, 41), (0.7, 1.3)), ((12, 30, 25), (3.3, 0.7, 0.6))])
def test_agrees_with_medpy_and_monai(shape: tuple[int, ...], spacing: tuple[float, ...], kind: str) -> None:
    truth, prediction = masks(shape, seed=21, kind=kind)
    scores = distance_scores(truth, prediction, spacing)
    for name in ("hd", "hd95", "asd", "assd"):
        theirs = getattr(medpy, name)(prediction, truth, voxelspacing=spacing)
        assert scores[name] == pytest.approx(theirs, abs=1e-9)

    pair, how = (monai(prediction), monai(truth)), {"include_background": True, "spacing": spacing}
    # MONAI's 95th percentile is the larger of the two directions', and its results are of single precision.
    maximum = distance_scores(truth, prediction, spacing, hd95_definition="maximum")["hd95"]
    assert maximum == pytest.approx(float(compute_hausdorff_distance(*pair, percentile=95, **how)), rel=1e-5)
    assert scores["hd"] == pytest.approx(float(compute_hausdorff_distance(*pair, **how)), rel=1e-5)
    assert scores["asd"] == pytest.approx(float(compute_average_surface_distance(*pair, **how)), rel=1e-5)
    symmetric = compute_average_surface_distance(*pair, symmetric=True, **how)
    assert scores["assd"] == pytest.approx(float(symmetric), rel=1e-5)
    elements = compute_surface_dice(*pair, [2.0], use_subvoxels=True, **how)
    assert scores["nsd"] == pytest.approx(float(elements), abs=1e-5)


def test_definitions_of_hd95_differ() -> None:
    """One prediction, three 95th percentiles: a false part of 4 % of all points is 8 % of the prediction's."""
    truth, prediction = np.zeros((2, 60, 60), bool)
    truth[5:30, 5:30] = prediction[5:30, 5:30] = True
    prediction[50:53, 50:53] = True
    pooled, maximum, weighted = (
        distance_scores(truth, prediction, (1, 1), hd95_definition=definition)["hd95"]
        for definition in ("pooled", "maximum", "weighted")
    )
    assert pooled == medpy.hd95(prediction, truth) == 0
    assert maximum > 29
    assert weighted > 29


def test_monai_nsd_of_voxels_is_another_score() -> None:
    """By default MONAI counts boundary voxels, each alike: here 8 of 10, whatever the shape of a pixel."""
    truth, prediction = squares()
    how = {"include_background": True, "spacing": (2.0, 1.0)}
    assert float(compute_surface_dice(monai(prediction), monai(truth), [1.0], **how)) == pytest.approx(0.8)
    assert distance_scores(truth, prediction, (2, 1), tolerance_mm=1)["nsd"] == pytest.approx(0.870, abs=5e-4)


def test_peers_on_a_missed_structure() -> None:
    """MedPy raises, MONAI gives infinity or NaN, which its aggregation then drops: a miss would improve the mean."""
    truth, empty = spot((8, 9), (4, 4)), spot((8, 9))
    with pytest.raises(RuntimeError):
        medpy.hd95(empty, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = compute_hausdorff_distance(monai(empty), monai(truth), include_background=True, percentile=95)
    assert not torch.isfinite(theirs).any()
    assert distance_scores(truth, empty, (1, 1))["hd95"] == pytest.approx(math.hypot(8, 9))


def test_torchmetrics_is_wrong_on_images_that_are_not_square() -> None:
    """Its distance transform puts (row, column) at row * height + column of the flat image instead of row * width."""

    def theirs(truth: Mask, prediction: Mask) -> float:
        pair = [torch.from_numpy(mask)[None, None].int() for mask in (prediction, truth)]
        return float(hausdorff_distance(*pair, num_classes=1, include_background=True))

    truth, prediction = np.zeros((2, 24, 24), bool)
    truth[4:12, 5:15] = prediction[6:15, 8:16] = True
    square = distance_scores(truth, prediction, (1, 1))["hd"]
    assert theirs(truth, prediction) == pytest.approx(square)
    cut = truth[:17], prediction[:17]  # nothing but background is cut off
    assert distance_scores(*cut, (1, 1))["hd"] == square
    assert theirs(*cut) != pytest.approx(square, abs=0.1)


def test_scores_of_one_pair_of_surfaces() -> None:
    """The plain functions give what `distance_scores` gives."""
    truth, prediction = masks((6, 20, 22), seed=8, kind="blobs")
    truth, prediction = binary_fill_holes(truth), binary_fill_holes(prediction)
    distances = voxel_distances(crop(truth, prediction, (2, 1, 1)))
    scores = distance_scores(truth, prediction, (2, 1, 1))
    assert (hd95(distances), assd(distances)) == (scores["hd95"], scores["assd"])
