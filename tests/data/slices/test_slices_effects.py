from __future__ import annotations

import numpy as np
import pytest

from spinelab.data.slices.contrast import ContrastRandomisation
from spinelab.data.slices.effects import BrightnessContrast, Gamma, GaussianNoise
from spinelab.data.slices.mri import BiasField, Ghosting, Ghosts, LowResolution, Motion, Moves, RicianNoise

EVERY = [
    BrightnessContrast(), Gamma(), GaussianNoise(), BiasField(), RicianNoise(), Ghosting(), Motion(), LowResolution(),
    ContrastRandomisation(),
]  # fmt: skip
by_name = pytest.mark.parametrize("effect", EVERY, ids=lambda effect: type(effect).__name__)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _picture(shape=(48, 37, 1)):
    """Grey values from 0 to 1, and three labels."""
    rows, columns = np.indices(shape[:2])
    grey = 0.5 + 0.25 * np.sin(rows / 5) + 0.25 * np.cos(columns / 7)
    image = np.stack([grey ** (1 + n) for n in range(shape[2])], -1).astype(np.float32)
    return image, np.digitize(grey, [0.4, 0.7]).astype(np.uint8)


@by_name
@pytest.mark.parametrize("shape", [(48, 37, 1), (30, 41, 3), (1, 1, 1), (1, 5, 2), (3, 2, 1)])
def test_shape_type_and_range(effect, shape):
    image, mask = _picture(shape)
    for seed in range(4):
        changed = effect(image.copy(), mask, _rng(seed))
        assert changed.shape == shape
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert changed.min() >= 0 or changed.min() == pytest.approx(0, abs=1e-6)
        assert changed.max() < 3


@by_name
def test_depends_on_the_generator_alone(effect):
    image, mask = _picture()
    kept = mask.copy()
    results = [effect(image.copy(), mask, _rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], image)
    np.testing.assert_array_equal(mask, kept)


@by_name
def test_a_black_slice_stays_finite(effect):
    assert np.isfinite(effect(np.zeros((9, 8, 1), np.float32), np.zeros((9, 8), np.uint8), _rng())).all()


@pytest.mark.parametrize("kind", [type(effect) for effect in EVERY])
def test_bad_probability_is_an_error(kind):
    with pytest.raises(ValueError, match="probability"):
        kind(1.5)


def test_brightness_contrast_gamma_and_noise_by_their_formulas():
    image, mask = _picture()
    changed = BrightnessContrast().apply(image.copy(), mask, (1.1, -0.2))
    np.testing.assert_allclose(changed, np.clip(image * 1.1 - 0.2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(Gamma().apply(image.copy(), mask, 1.7), image**1.7, rtol=1e-5)
    noise = _rng().standard_normal(image.shape, np.float32)
    changed = GaussianNoise().apply(image.copy(), mask, (0.1, noise))
    np.testing.assert_allclose(changed, np.clip(image + 0.1 * noise, 0, 1), atol=1e-6)


def test_rician_noise_is_rayleigh_in_air_and_gaussian_in_tissue():
    effect, mask = RicianNoise(noise=0.1), np.zeros((200, 200), np.uint8)
    noise = effect.draw((200, 200, 1), _rng(3))
    sigma = noise.std()
    air = effect.apply(np.zeros((200, 200, 1), np.float32), mask, noise)
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sigma * np.sqrt(2 - np.pi / 2), rel=0.02)
    tissue = effect.apply(np.ones((200, 200, 1), np.float32), mask, noise)
    assert tissue.mean() == pytest.approx(1 + sigma**2 / 2, rel=0.002)
    assert tissue.std() == pytest.approx(sigma, rel=0.03)


def test_bias_field_is_smooth_and_the_same_for_all_channels():
    image, mask = _picture((64, 80, 3))
    image += 0.1
    field = BiasField(strength=1.0)(image.copy(), mask, _rng(1)) / image
    np.testing.assert_allclose(field[..., 1], field[..., 0], rtol=1e-4)
    assert field.mean() == pytest.approx(1, abs=1e-3)
    assert field.max() / field.min() > 1.3
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) < 0.15


@pytest.mark.parametrize("axis", [0, 1])
def test_ghosts_beside_the_two_dimensional_transform(axis):
    """The lines of the full 2-D k-space are weakened one by one."""
    image, mask = _picture((40, 48, 1))
    space = np.fft.fft2(image[..., 0].astype(np.float64))
    count = image.shape[axis]
    for line in range(count):
        frequency = line if line < count / 2 else line - count
        if frequency % 4 == 0 and frequency != 0:
            space[(line,) if axis == 0 else (slice(None), line)] *= 0.4
    expected = np.abs(np.fft.ifft2(space))
    changed = Ghosting().apply(image, mask, Ghosts(axis, 4, 0.6))
    np.testing.assert_allclose(changed[..., 0], expected, atol=1e-5)


def test_copies_stand_a_part_of_the_field_of_view_apart():
    image, mask = np.zeros((120, 40, 1), np.float32), np.zeros((120, 40), np.uint8)
    image[17:20, 20] = 1
    changed = Ghosting().apply(image, mask, Ghosts(0, 4, 0.8))[:, 20, 0]
    assert set(np.argsort(changed)[-12:]) == {row + 30 * n for row in (17, 18, 19) for n in range(4)}


def test_motion_beside_the_two_dimensional_transform():
    """A shift by whole pixels, inside a black margin, is a phase in the full 2-D k-space."""
    image, mask = np.zeros((64, 48, 1), np.float32), np.zeros((64, 48), np.uint8)
    image[20:40, 15:30] = _rng().random((20, 15, 1))
    still = np.fft.fft2(image[..., 0])
    moved = np.fft.fft2(np.roll(image[..., 0], (3, -2), (0, 1)))
    late = np.fft.fftfreq(64) * 2 > 0.3
    expected = np.abs(np.fft.ifft2(np.where(late[:, None], moved, still)))
    changed = Motion().apply(image, mask, Moves(0, ((0.3, 0.0, -2.0, 3.0),)))
    np.testing.assert_allclose(changed[..., 0], expected, atol=1e-4)
    at_rest = Motion().apply(image, mask, Moves(1, ((-0.3, 0.0, 0.0, 0.0),)))
    np.testing.assert_allclose(at_rest, image, atol=1e-5)


def test_motion_leaves_things_in_their_place():
    image, mask = _picture((96, 96, 1))
    rows, columns = np.indices((96, 96))
    image[((rows - 48) ** 2 + (columns - 40) ** 2 < 200)] += 1
    for seed in range(10):
        changed = Motion(shift=6)(image, mask, _rng(seed))
        assert np.corrcoef(changed.ravel(), image.ravel())[0, 1] > 0.9


def test_low_resolution_loses_detail_along_the_drawn_axis_only():
    mask = np.zeros((64, 64), np.uint8)
    rows = np.zeros((64, 64, 1), np.float32)
    rows[::2] = 1
    columns = rows.transpose(1, 0, 2).copy()
    assert LowResolution().apply(rows.copy(), mask, (4.0, 1.0)).std() < 0.02
    np.testing.assert_allclose(LowResolution().apply(columns.copy(), mask, (4.0, 1.0)), columns, atol=1e-5)
    assert LowResolution().apply(columns.copy(), mask, (1.0, 4.0)).std() < 0.02
    drawn = {tuple(factor > 1 for factor in LowResolution().draw((9, 9, 1), _rng(seed))) for seed in range(40)}
    assert drawn == {(True, False), (False, True), (True, True)}


def test_contrast_paints_classes_flat_and_background_by_its_grey_value():
    image, mask = _picture((64, 64, 2))
    image = np.round(image * 20) / 20
    flat = ContrastRandomisation(spread=0, blur=0, bias=0, real=0)
    painted = flat(image, mask, _rng(5))
    for channel in (0, 1):
        for label in (1, 2):
            assert np.ptp(painted[..., channel][mask == label]) < 1e-5
        for grey in np.unique(image[..., channel][mask == 0]):
            assert np.ptp(painted[..., channel][(mask == 0) & (image[..., channel] == grey)]) < 1e-5
    assert np.ptp(painted[..., 0][mask == 0]) > 0.05


def test_contrast_spreads_classes_but_not_background():
    image, mask = _picture((64, 64, 1))
    image = np.round(image * 20) / 20
    painted = ContrastRandomisation(spread=0.2, blur=0, bias=0, real=0)(image, mask, _rng(2))[..., 0]
    assert all(painted[mask == label].std() > 0.005 for label in (1, 2))
    for grey in np.unique(image[..., 0][mask == 0]):
        assert np.ptp(painted[(mask == 0) & (image[..., 0] == grey)]) < 1e-5


def test_contrast_keeps_mean_and_at_most_the_spread():
    image, mask = _picture((64, 80, 2))
    for seed in range(10):
        painted = ContrastRandomisation()(image, mask, _rng(seed))
        np.testing.assert_allclose(painted.mean((0, 1)), image.mean((0, 1)), rtol=1e-3)
        assert (painted.std((0, 1)) < image.std((0, 1)) * 1.001).all()
        assert painted.std() > 0.02


def test_contrast_of_two_classes_is_as_often_one_way_as_the_other():
    image, mask = _picture()
    effect = ContrastRandomisation(real=0)
    painted = [effect(image, mask, _rng(seed))[..., 0] for seed in range(60)]
    brighter = [picture[mask == 1].mean() > picture[mask == 2].mean() for picture in painted]
    assert 0.25 < np.mean(brighter) < 0.75


def test_gamma_takes_values_below_zero_as_zero():
    image = np.array([[[-0.2], [-1e-8], [0.25]]], np.float32)
    changed = Gamma(1).apply(image, np.zeros((1, 3), np.uint8), 0.5)
    np.testing.assert_allclose(changed[0, :, 0], [0, 0, 0.5])


def test_random_contrast_is_nowhere_below_zero():
    rng = np.random.default_rng(0)
    image, mask = rng.random((40, 32, 1), np.float32) ** 8, rng.integers(0, 4, (40, 32)).astype(np.uint8)
    effect = ContrastRandomisation(1)
    lowest = min(effect.apply(image.copy(), mask, effect.draw(image.shape, rng)).min() for _ in range(500))
    assert lowest >= 0
