"""Degraded scans against the statistics of noise, against averaging by hand, and as files."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from spinelab.data.volumes.geometry import make_geometry
from spinelab.data.volumes.io import RawVolume, read_volume
from spinelab.reporting.robustness import EFFECTS
from spinelab.tasks.degradation import CHANGES, LEVELS, add_rician, coil, degrade, degraded_case, robust_range
from spinelab.types import Case

SHAPE = (6, 96, 80)
AFFINE = np.diag([4.0, 1.0, 1.5, 1.0])


def scan(dtype: type = np.int16, axes: str = "RAS") -> RawVolume:
    values = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(dtype)
    change = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    image = nib.Nifti1Image(values, AFFINE).as_reoriented(change)
    return RawVolume(np.asarray(image.dataobj), image.affine)


def write(folder: Path, name: str = "p1") -> Case:
    file = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(scan().array, AFFINE), file)
    return Case(name, name, ((file,),))


def of(case: Case) -> np.ndarray:
    return read_volume(case.images[0]).array


@pytest.mark.parametrize("sigma", [2.0, 20.0])
def test_noise_of_a_constant_image_is_rician(sigma):
    """Gudbjartsson and Patz 1995: Rayleigh where there is no signal, and nearly normal with that sigma far above it."""
    rng = np.random.default_rng(0)
    shape = (8, 128, 128)
    air = add_rician(np.zeros(shape, np.float32), sigma, rng)
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(sigma * np.sqrt(2 - np.pi / 2), rel=0.01)
    tissue = add_rician(np.full(shape, 50 * sigma, np.float32), sigma, rng)
    assert tissue.std() == pytest.approx(sigma, rel=0.01)
    assert tissue.mean() == pytest.approx(50 * sigma + sigma / 100, rel=0.001)  # signal + sigma² / (2 signal)


def test_the_strength_of_noise_is_a_part_of_the_scans_range():
    values = np.zeros((1, 200, 200), np.float32)
    values[:, :100] = 1000
    values[0, 0, 0] = 1e5  # a single bright voxel does not count
    assert robust_range(values) == 1000
    noisy = degrade(RawVolume(values, AFFINE), "noise", 0.05).array
    assert noisy[:, :100].reshape(-1)[1:].std() == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "ASL"])
@pytest.mark.parametrize("effect", LEVELS)
def test_the_first_strength_of_each_effect_is_the_identity(effect, axes):
    volume = scan(axes=axes)
    assert np.array_equal(degrade(volume, effect, LEVELS[effect][0], "sagittal").array, volume.array)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "ASL"])
def test_coarse_pixels_lie_within_the_slices(axes):
    volume = scan(np.float32, axes)
    geometry = make_geometry(volume, "sagittal")
    before, after = geometry.orient(volume.array), geometry.orient(degrade(volume, "resolution", 4.0).array)
    blocks = [array.reshape(6, 20, 4, 24, 4).mean(axis=(2, 4)) for array in (before, after)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.95  # block means survive
    assert after.std() < 0.4 * before.std()
    steps = np.abs(np.diff(after, axis=1)).mean() / np.abs(np.diff(before, axis=1)).mean()
    assert steps < 0.2
    alone = volume.array.copy()
    geometry.orient(alone)[3:] = 500  # other slices: nothing of them reaches the first ones
    again = geometry.orient(degrade(RawVolume(alone, volume.affine), "resolution", 4.0).array)
    assert np.array_equal(again[:3], after[:3])


def test_coarse_pixels_are_averages_of_fine_ones():
    rows, columns = np.mgrid[:96, :80]
    smooth = (500 + 3 * rows + columns)[None].astype(np.float32)
    coarse = degrade(RawVolume(smooth, None), "resolution", 2.0).array
    assert np.abs(coarse - smooth)[:, 4:-4, 4:-4].max() < 0.5  # a ramp stays in its place: half a pixel is 2


@pytest.mark.parametrize("amplitude", [0.2, 0.8])
def test_a_bias_field_has_mean_one_and_its_amplitude(amplitude):
    field = coil((12, 200, 160), amplitude, (4.0, 1.0, 1.5), np.random.default_rng(1))
    assert field.mean() == pytest.approx(1, abs=1e-4)
    assert np.abs(field - 1).max() == pytest.approx(amplitude, rel=1e-4)
    assert field.min() > 0
    assert np.abs(np.diff(field, axis=1)).max() < 0.1 * amplitude  # smooth within the slices
    assert np.abs(np.diff(field, axis=0)).max() < 0.3 * amplitude  # and across them


def test_a_bias_field_multiplies_the_scan():
    volume = RawVolume(np.full(SHAPE, 100, np.int16), AFFINE)
    rng = np.random.default_rng(3)
    geometry = make_geometry(volume, "sagittal")
    field = coil(geometry.oriented_shape, 0.4, geometry.raw_spacing, np.random.default_rng(3))
    assert np.allclose(geometry.orient(degrade(volume, "bias_field", 0.4, rng=rng).array), 100 * field, rtol=1e-5)


@pytest.mark.parametrize("effect", LEVELS)
def test_values_below_zero_keep_their_floor(effect):
    """As of CT, where air is -1024: it is taken as no signal, and a constant scan is only changed by noise."""
    values = np.full(SHAPE, -1024, np.int16)
    values[:, 30:60, 30:60] = 1000
    changed = degrade(RawVolume(values, AFFINE), effect, LEVELS[effect][2]).array
    assert changed.min() >= -1024
    assert changed[:, 35:55, 35:55].mean() == pytest.approx(1000, rel=0.6)


@pytest.mark.parametrize("effect", LEVELS)
def test_a_case_is_degraded_alike_for_every_network_and_each_case_in_its_own_way(tmp_path, effect):
    case, other = write(tmp_path), write(tmp_path, "p2")
    first = of(degraded_case(case, effect, 2, "sagittal", tmp_path / "one"))
    again = of(degraded_case(case, effect, 2, "sagittal", tmp_path / "two"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, of(case))
    if effect != "resolution":
        assert not np.array_equal(first, of(degraded_case(other, effect, 2, "sagittal", tmp_path / "three")))


@pytest.mark.parametrize("effect", LEVELS)
def test_levels_grow_in_strength_and_share_their_draw(tmp_path, effect):
    case = write(tmp_path)
    changes = [of(degraded_case(case, effect, level, "sagittal", tmp_path / f"{level}")) - of(case).astype(np.float32)
               for level in range(1, len(LEVELS[effect]))]  # fmt: skip
    sizes = [np.abs(change).mean() for change in changes]
    assert sizes == sorted(sizes)
    assert all(np.corrcoef(low.ravel(), high.ravel())[0, 1] > 0.7 for low, high in itertools.pairwise(changes))


def test_level_zero_is_the_case_itself(tmp_path):
    case = write(tmp_path)
    assert degraded_case(case, "noise", 0, "sagittal", tmp_path / "none") is case
    assert not (tmp_path / "none").exists()


def test_a_degraded_file_lies_where_the_scan_lies(tmp_path):
    case = write(tmp_path)
    worse = degraded_case(case, "bias_field", 1, "sagittal", tmp_path / "worse")
    before, after = (read_volume(c.images[0]) for c in (case, worse))
    assert np.array_equal(after.affine, before.affine)
    assert after.array.dtype == np.float32
    geometry = make_geometry(before, "sagittal")
    seed_free = degrade(before, "bias_field", 0.2, rng=np.random.default_rng(0)).array  # of the same amplitude
    assert np.abs(after.array / np.maximum(before.array, 1) - 1)[before.array > 0].max() <= 0.2001
    assert seed_free.shape == after.array.shape
    assert make_geometry(after, "sagittal") == geometry


def test_channels_have_noise_of_their_own(tmp_path):
    case = write(tmp_path)
    both = Case("p1", "p1", (case.images[0], case.images[0]))
    worse = degraded_case(both, "noise", 2, "sagittal", tmp_path / "worse")
    first, second = (read_volume(files).array for files in worse.images)
    assert not np.array_equal(first, second)


def test_pictures_come_back_as_they_were_made(tmp_path):
    rng = np.random.default_rng(0)
    files = tuple(tmp_path / f"{i}.png" for i in range(3))
    for file in files:
        Image.fromarray(rng.integers(0, 255, (32, 40), dtype=np.uint8)).save(file)
    case = Case("p", "p", (files,))
    worse = degraded_case(case, "resolution", 2, "sagittal", tmp_path / "worse")
    assert len(worse.images[0]) == 3
    assert np.array_equal(of(worse), degrade(read_volume(files), "resolution", 2.0).array)


@pytest.mark.parametrize(
    ("effect", "strength"), [("noise", -0.1), ("resolution", 0.5), ("bias_field", 1.0), ("bias_field", -0.1), ("x", 1)]
)
def test_strengths_out_of_range_are_refused(effect, strength):
    with pytest.raises(ValueError, match=r"from|effects"):
        degrade(scan(), effect, strength)


def test_unknown_effects_and_levels_are_refused(tmp_path):
    case = write(tmp_path)
    for effect, level in (("blur", 1), ("noise", 5), ("noise", -1)):
        with pytest.raises(ValueError, match="effects and their levels"):
            degraded_case(case, effect, level, "sagittal", tmp_path)


def test_every_effect_is_implemented_and_explained():
    assert LEVELS.keys() == CHANGES.keys() == EFFECTS.keys()
    assert all(list(strengths) == sorted(strengths) for strengths in LEVELS.values())
