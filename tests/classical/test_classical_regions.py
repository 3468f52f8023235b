from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import regionprops
from sklearn.ensemble import RandomForestClassifier

from spinelab.classical import forest
from spinelab.classical.edges import canny, enclosed, sobel
from spinelab.classical.region_growing import region_growing
from spinelab.classical.regions import RegionTechnique, components, describe, fill
from spinelab.classical.slic import slic
from spinelab.classical.watershed import watershed

RNG = np.random.default_rng(0)


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three flat shapes on flat ground: grey values, and the number of the shape."""
    rows, columns = np.mgrid[:50, :60]
    truth = np.zeros(rows.shape, int)
    truth[(rows - 12) ** 2 + (columns - 15) ** 2 < 60] = 1
    truth[28:42, 6:28] = 2
    truth[(rows - 25) ** 2 / 300 + (columns - 46) ** 2 / 40 < 1] = 3
    noise = np.random.default_rng(seed).normal(0, 0.01, truth.shape)
    return (np.array([0.1, 0.5, 0.9, 0.7])[truth] + noise).astype(np.float32), truth


def test_features_equal_regionprops() -> None:
    grey = np.random.default_rng(0).random((31, 37)).astype(np.float32)
    parts = components((gaussian_filter(grey, 2) > 0.5).astype(np.int64))
    regions = np.unique(parts, return_inverse=True)[1].reshape(parts.shape)
    found = describe(regions, grey)
    for region, row in zip(regionprops(regions + 1, intensity_image=grey), found, strict=True):
        assert row[0] == pytest.approx(region.intensity_mean, abs=1e-5)
        assert row[1] == pytest.approx(grey[regions == region.label - 1].std(), abs=1e-4)
        assert row[4:6] == pytest.approx([region.centroid[0] / 31, region.centroid[1] / 37])
        assert row[6] == pytest.approx(np.log(region.area / grey.size))
        assert row[7] == pytest.approx(region.eccentricity, abs=1e-6)


def test_tilted_and_upright_shapes_differ() -> None:
    regions = np.zeros((40, 40), np.int64)
    regions[5:35, 10:14] = 1
    tilted = np.zeros((40, 40), np.int64)
    tilted[np.arange(5, 35), np.arange(5, 35)] = 1
    grey = np.zeros((40, 40), np.float32)
    assert describe(regions, grey)[1, 8] > 0.9  # along the rows
    assert describe(tilted, grey)[1, 9] > 0.9  # along the diagonal


def test_components_are_connected_and_of_one_level() -> None:
    levels = (np.indices((30, 30)).sum(axis=0) // 12 % 2).astype(np.int64)
    parts = components(levels)
    for region in regionprops(parts + 1):
        assert len(np.unique(levels[parts == region.label - 1])) == 1
        assert region.euler_number == 1


def test_opening_cuts_a_thin_bridge() -> None:
    levels = np.zeros((20, 40), np.int64)
    levels[5:15, 3:15] = levels[5:15, 25:37] = 1
    levels[10, 15:25] = 1
    assert components(levels)[8, 5] == components(levels)[8, 30]
    cut = components(levels, opening=2)
    assert cut[8, 5] != cut[8, 30]


def test_small_parts_go_to_their_neighbour() -> None:
    parts = np.ones((12, 12), np.int64)
    parts[:, 6:] = 2
    parts[3:5, 2:4] = 3
    filled = fill(parts)
    assert (filled[:, :6] == 1).all()
    assert (filled[:, 6:] == 2).all()
    assert (fill(np.zeros((3, 3), np.int64)) == 0).all()


@pytest.mark.parametrize(
    "partition",
    [
        lambda grey: region_growing(grey, RNG, tolerance=0.15, distance=4),
        lambda grey: sobel(grey, RNG, share=0.25),
        lambda grey: canny(grey, RNG, sigma=1.0, high=0.8, closing=1),
        lambda grey: watershed(grey, RNG, depth=0.02),
        lambda grey: slic(grey, RNG, pixels=25, compactness=0.05),
    ],
    ids=["region growing", "sobel", "canny", "watershed", "slic"],
)
def test_regions_do_not_cross_planted_borders(partition: object) -> None:
    grey, truth = blobs()
    regions = partition(grey)  # type: ignore[operator]
    owner = np.array([np.bincount(truth[regions == r], minlength=4).argmax() for r in range(regions.max() + 1)])
    assert set(owner) == {0, 1, 2, 3}
    assert (owner[regions] == truth).mean() > 0.95


def test_only_closed_edges_part() -> None:
    edges = np.zeros((30, 30), bool)
    edges[5:25, [5, 24]] = edges[[5, 24], 5:25] = True
    assert len(np.unique(enclosed(edges))) == 2
    edges[5, 12] = False
    assert len(np.unique(enclosed(edges))) == 1
    assert len(np.unique(enclosed(edges, closing=1))) == 2


def test_grown_region_stops_at_the_tolerance() -> None:
    grey = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (20, 1))
    grey[:, 30:] += 0.5
    regions = region_growing(grey, RNG, tolerance=0.6, distance=3)
    assert regions[10, 2] != regions[10, 57]


def test_forest_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    samples, label = rng.normal(size=(300, 5)), rng.integers(0, 3, 300)
    samples[:, 2] += label
    pixels = np.zeros((300, 4))
    pixels[np.arange(300), label] = 7
    theirs = RandomForestClassifier(
        forest.TREES, max_leaf_nodes=forest.LEAVES, min_samples_leaf=3, max_features="sqrt", random_state=3
    ).fit(samples, label, sample_weight=np.ones(300))
    mine = forest.ask(forest.grow(samples, pixels, 3), samples[::-1])
    np.testing.assert_allclose(mine[:, :3], theirs.predict_proba(samples[::-1]), atol=1e-9)
    assert (mine[:, 3] == 0).all()


def test_a_mixed_region_counts_for_each_of_its_classes() -> None:
    samples = np.repeat([[0.0], [1.0]], 30, axis=0)
    pixels = np.repeat([[30.0, 10.0], [0.0, 40.0]], 30, axis=0)
    shares = forest.ask(forest.grow(samples, pixels, 0), np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0, 1]], atol=0.12)  # the bootstrap draws


def test_shape_alone_tells_a_disc_from_a_bar() -> None:
    """Same grey value, any place: only the shape parts the two."""
    images, masks = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        grey, mask = np.zeros((60, 60)), np.zeros((60, 60), np.uint8)
        rows, columns = np.mgrid[:60, :60]
        middle, swap = rng.integers(15, 45), rng.random() < 0.5
        disc = (rows - middle) ** 2 + (columns - (15 if swap else 45)) ** 2 < 64
        bar = (abs(rows - middle) < 13) & (abs(columns - (45 if swap else 15)) < 4)
        mask[disc], mask[bar] = 1, 2
        grey[mask > 0] = 1
        images.append(grey)
        masks.append(mask)
    technique = RegionTechnique(lambda grey, rng: components((grey > 0.5).astype(np.int64)), search={})
    technique.fit(images[:30], masks[:30], [str(n) for n in range(30)], classes=3)
    assert all(
        np.array_equal(technique.predict(image), mask) for image, mask in zip(images[30:], masks[30:], strict=True)
    )
