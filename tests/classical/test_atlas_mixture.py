from __future__ import annotations

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from spinelab.classical.atlas_mixture import AtlasMixture, cosines, divided, fit, train
from spinelab.classical.mixture import Known, Mixture, begin, improve, objective, responsibilities
from spinelab.classical.prior import LEVELS, PriorTechnique, posterior
from spinelab.classical.tuning import confusion, summed_dice
from spinelab.phantom.dataset import generate

CLASSES = 3


def problem(seed: int, trust: float, order: int = 2, gaussians: int = 2) -> tuple[np.ndarray, Known]:
    """Pixels of a small slice that fit no expectation, and an atlas that is surer the more it is wrong."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 12, 2))
    count, total = int(np.prod(shape)), CLASSES * gaussians
    basis, bending = cosines(shape, order)
    known = Known(
        atlas=rng.dirichlet(np.full(CLASSES, rng.uniform(0.3, 3)), count).T + 1e-9,
        owner=np.repeat(np.arange(CLASSES), gaussians),
        mean=rng.normal(0, 2, total),
        variance=rng.uniform(0.01, 2, total),
        weight=trust * count * rng.dirichlet(np.ones(total)) + 1e-6,
        basis=basis,
        stiffness=rng.uniform(0.001, 10) * count * bending,
    )
    return rng.standard_t(2, count) * rng.uniform(0.1, 3), known


problems = st.builds(
    problem,
    seed=st.integers(0, 2**32 - 1),
    trust=st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
    order=st.integers(0, 4),
    gaussians=st.integers(1, 3),
)


@given(problems)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_step_lowers_the_penalised_likelihood(given: tuple[np.ndarray, Known]) -> None:
    pixels, known = given
    mixture = begin(known)
    before = objective(pixels, known, mixture)
    for _ in range(12):
        mixture = improve(pixels, known, mixture)
        now = objective(pixels, known, mixture)
        assert now >= before - 1e-9 * max(1.0, abs(before))
        before = now


@given(problems)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_responsibilities_sum_to_one_at_every_pixel(given: tuple[np.ndarray, Known]) -> None:
    pixels, known = given
    mixture = begin(known)
    for _ in range(3):
        found = responsibilities(pixels, known, mixture)
        assert found.shape == (CLASSES, len(pixels))
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-12)
        mixture = improve(pixels, known, mixture)


def test_objective_and_responsibilities_pixel_by_pixel() -> None:
    pixels, known = problem(3, trust=0.5)
    rng = np.random.default_rng(0)
    mixture = Mixture(
        rng.uniform(0.5, 2, 3), np.full(6, 0.5), rng.normal(0, 1, 6), rng.uniform(0.1, 1, 6), rng.normal(0, 1, 9)
    )
    total, found = 0.0, responsibilities(pixels, known, mixture)
    for i, pixel in enumerate(pixels):
        field = sum(known.basis[i, j] * mixture.field[j] for j in range(9))
        place = [mixture.abundance[k] * known.atlas[k, i] for k in range(CLASSES)]
        chances = np.zeros(CLASSES)
        for g, k in enumerate(known.owner):
            density = norm.pdf(pixel - field, mixture.mean[g], mixture.variance[g] ** 0.5)
            chances[k] += place[k] / sum(place) * mixture.share[g] * density
        total += np.log(chances.sum())
        np.testing.assert_allclose(found[:, i], chances / chances.sum())
    for g, k in enumerate(known.owner):  # as many more pixels of the expected mean and variance
        spread = known.variance[g] + (known.mean[g] - mixture.mean[g]) ** 2
        seen = -0.5 * np.log(mixture.variance[g]) - spread / (2 * mixture.variance[g])
        abundance = np.log(mixture.abundance[k]) - mixture.abundance[k]
        total += known.weight[g] * (np.log(mixture.share[g]) + seen + abundance)
    total -= 0.5 * sum(known.stiffness[j] * mixture.field[j] ** 2 for j in range(9))
    assert objective(pixels, known, mixture) == pytest.approx(total)


def test_without_atlas_and_field_it_is_the_mixture_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    pixels = np.sort(np.concatenate([rng.normal(-1, 0.3, 900), rng.normal(1, 0.6, 600)]))
    known = Known(
        np.ones((1, 1500)), np.zeros(2, np.int64), np.array([-0.5, 0.5]), np.ones(2), np.full(2, 1e-9),
        np.zeros((1500, 0)), np.zeros(0),
    )  # fmt: skip
    mixture = begin(known)
    for _ in range(300):
        mixture = improve(pixels, known, mixture)
    reference = GaussianMixture(2, means_init=[[-0.5], [0.5]], tol=1e-10, max_iter=1000, reg_covar=0.0)
    reference.fit(pixels[:, None])
    np.testing.assert_allclose(mixture.mean, reference.means_[:, 0], atol=1e-4)
    np.testing.assert_allclose(mixture.variance, reference.covariances_[:, 0, 0], atol=1e-4)
    np.testing.assert_allclose(mixture.share, reference.weights_, atol=1e-4)


def test_abundance_is_found_where_the_atlas_is_wrong() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(4000) < 0.2
    known = Known(
        np.full((2, 4000), 0.5), np.arange(2), np.array([0.0, 1.0]), np.full(2, 0.01), np.full(2, 1e-3),
        np.zeros((4000, 0)), np.zeros(0),
    )  # fmt: skip
    pixels, mixture = truth + rng.normal(0, 0.1, 4000), begin(known)
    for _ in range(100):
        mixture = improve(pixels, known, mixture)
    assert mixture.abundance[1] / mixture.abundance.sum() == pytest.approx(truth.mean(), abs=0.005)


def shaded(seed: int, strength: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discs of two tissues in a third under a bias field; slice, mask, logarithm of the field."""
    rng, (rows, columns) = np.random.default_rng(seed), np.mgrid[:60, :72]
    mask = np.zeros(rows.shape, np.uint8)
    row, column = rng.uniform(-3, 3, 2)
    for k, centre in ((1, (18, 20)), (2, (40, 22)), (1, (42, 50)), (2, (18, 52))):
        mask[(rows - centre[0] - row) ** 2 + (columns - centre[1] - column) ** 2 < 80] = k
    wave = np.cos(np.pi * rows / 60 + rng.uniform(0, 1)) + 0.7 * np.cos(np.pi * columns / 72 * 2 + rng.uniform(0, 1))
    field = strength * (wave - wave.mean())
    grey = np.array([0.25, 0.5, 0.38])[mask] * np.exp(field) + rng.normal(0, 0.01, mask.shape)
    return np.clip(grey / grey.max(), 0, 1).astype(np.float32), mask, field


def learnt(**parameters: int) -> tuple[AtlasMixture, dict]:
    greys, masks, _ = zip(*(shaded(seed, 0.0) for seed in range(100, 110)), strict=True)
    technique = AtlasMixture({})
    return technique, technique.learn(greys, masks, CLASSES, 0, background=1, **parameters)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_bias_field_is_recovered(seed: int) -> None:
    grey, mask, truth = shaded(seed)
    technique, model = learnt()
    mixture, known = fit(grey, model, order=3)
    found = (known.basis @ mixture.field).reshape(grey.shape)
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.95
    dices = []
    for order in (0, 3):
        scores = technique.score(grey, model, CLASSES, 0, order=order)
        dices.append(np.mean(list(summed_dice(confusion(mask, scores.argmax(axis=0).astype(np.uint8), 3)).values())))
    assert dices[1] > 0.8
    assert dices[1] > dices[0] + 0.1


def test_no_field_is_found_where_there_is_none() -> None:
    grey, _, _ = shaded(0, 0.0)
    mixture, known = fit(grey, learnt()[1], order=3)
    assert np.std(known.basis @ mixture.field) < 0.02


@cache
def phantom_slices(root: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Three slices about the middle of each person."""
    folder, slices = generate(root, persons=5, seed=3, progress=False, processes=1), {}
    for file in sorted(folder.rglob("*_T2w.nii.gz")):
        (segmented,) = folder.rglob(file.name.replace("T2w", "T2w*dseg"))
        image, mask = (np.asanyarray(nib.load(one).dataobj) for one in (file, segmented))
        middle = image.shape[0] // 2
        pairs = [(image[x].T[::-1].astype(float), mask[x].T[::-1]) for x in (middle - 1, middle, middle + 1)]
        slices[file.name] = [(grey, np.where(labels > 3, 0, labels).astype(np.uint8)) for grey, labels in pairs]
    return slices


def test_it_beats_the_atlas_alone_on_phantom_persons_never_seen(tmp_path_factory: pytest.TempPathFactory) -> None:
    persons = list(phantom_slices(tmp_path_factory.mktemp("mixture") / "set").values())
    known, held = ([pair for pairs in part for pair in pairs] for part in (persons[:3], persons[3:]))
    names = [f"sub-{number // 3}" for number in range(len(known))]
    images, masks = zip(*known, strict=True)
    technique = AtlasMixture({"order": [4]}).fit(images, masks, names, classes=4)
    alone = Alone({}).fit(images, masks, names, classes=4)
    dices = []
    for one in (technique, alone):
        counts = sum(confusion(mask, one.predict(image), 4) for image, mask in held)
        dices.append(np.mean(list(summed_dice(counts).values())))
    assert dices[0] > dices[1] + 0.1, dices


class Alone(PriorTechnique):
    """Where the classes lie, whatever the slice shows."""

    def score(self, grey, model, classes, seed, **parameters):
        return posterior(grey, model | {"grey": np.ones((classes, LEVELS))})


def test_cosines_are_orthogonal_and_the_stiffer_the_more_they_bend() -> None:
    values, bending = cosines((12, 20), 3)
    assert values.shape == (240, 16)
    products = values.T @ values
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)
    assert (values[:, 0] == 1).all()
    assert bending[0] == 0
    np.testing.assert_allclose(bending.reshape(4, 4)[1, :3], [1, 4, 25])
    second = np.gradient(np.gradient(values[:, 3].reshape(12, 20), axis=1), axis=1)
    assert second.std() > 0
    assert np.ptp(values[:, 3].reshape(12, 20), axis=0).max() < 1e-12


def test_gaussians_of_a_class_and_a_class_of_few_pixels() -> None:
    rng = np.random.default_rng(0)
    mixture = divided(np.concatenate([rng.normal(-2, 0.1, 3000), rng.normal(0, 0.1, 9000)]), 2)
    np.testing.assert_allclose(mixture.mean, [-2, 0], atol=0.01)
    np.testing.assert_allclose(mixture.share, [0.25, 0.75], atol=0.01)
    few = divided(np.array([0.3]), 3)
    assert np.isfinite([few.mean, few.variance, few.share]).all()
    assert (few.variance > 0).all()


def test_bad_arguments_are_refused() -> None:
    grey, mask, _ = shaded(0)
    with pytest.raises(ValueError, match="at least one Gaussian"):
        train([grey], [mask], background=0)
    for wrong in ({"order": -1}, {"stiffness": 0.0}, {"trust": 0.0}):
        with pytest.raises(ValueError, match="are positive"):
            fit(grey, learnt()[1], **wrong)
    with pytest.raises(ValueError, match="search names"):
        AtlasMixture({"depth": [1]})
