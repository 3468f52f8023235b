"""The truth against measurements on the label map by other means: extents, plane fits, voxel counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.regions import REGIONS
from spinelab.phantom.spine import Rates
from spinelab.phantom.tissues import Label

CASES = [("lumbar", 1), ("lumbar", 2), ("cervical", 3), ("thoracic", 4)]


@pytest.fixture(scope="module", params=CASES, ids=str)
def anatomy(request: pytest.FixtureRequest) -> Anatomy:
    region, seed = request.param
    return create_anatomy(np.random.default_rng(seed), region=region, rates=Rates(fractures=0.5, scoliosis=1))


def bodies(anatomy: Anatomy) -> list[tuple[int, np.ndarray]]:
    """(index of the level, voxels) of the bodies that lie wholly in the field."""
    known = anatomy.measurements.levels
    return [(k, anatomy.level == k + 1) for k, level in enumerate(known) if np.isfinite(level.height_mm)]


def endplates(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (voxels) of the upper and of the lower endplate: ends of the body's columns along z, without the walls.

    The walls are told apart in the body's own frame, whose tilt is found by fitting twice.
    """
    z, tilt = np.arange(body.shape[2]), 0.0
    columns = np.argwhere(body.any(2))
    ends = [np.where(body, z, -1).max(2) + 0.5, np.where(body, z, 999).min(2) - 0.5]
    both = [np.column_stack([columns, end[body.any(2)]]) for end in ends]
    centre = np.argwhere(body).mean(0)
    half = np.sqrt(body[:, :, round(centre[2])].sum() / np.pi)
    for _ in range(3):
        kept = []
        for points in both:
            x, y, height = (points - centre).T
            front = y * np.cos(tilt) - height * np.sin(tilt)
            kept.append(points[(np.abs(front) < 0.6 * half) & (np.abs(x) < 0.7 * half)])
        tilt = np.radians(np.mean([angles(points)[0] for points in kept]))
    return kept[0], kept[1]


def angles(points: np.ndarray) -> tuple[float, float]:
    """Sagittal and coronal angle by the normal of the points: their direction of least spread."""
    normal = np.linalg.svd(points - points.mean(0), full_matrices=False)[2][2]
    return float(np.degrees(np.arctan(normal[1] / normal[2]))), float(np.degrees(np.arctan(normal[0] / normal[2])))


def test_enough_is_measured(anatomy: Anatomy) -> None:
    assert len(bodies(anatomy)) >= 5


def test_tilt_roll_and_wedge_agree_with_planes_through_the_endplates(anatomy: Anatomy) -> None:
    for k, body in bodies(anatomy):
        top, bottom = endplates(body)
        (tilt_up, roll_up), (tilt_down, roll_down) = angles(top), angles(bottom)
        truth = anatomy.measurements.levels[k]
        assert truth.tilt_deg == pytest.approx((tilt_up + tilt_down) / 2, abs=2.5), truth.level
        assert truth.roll_deg == pytest.approx((roll_up + roll_down) / 2, abs=2), truth.level
        assert truth.wedge_deg == pytest.approx(tilt_down - tilt_up, abs=4), truth.level


def test_cobb_angle_agrees_with_planes_through_the_endplates(anatomy: Anatomy) -> None:
    rolls = []
    for _, body in bodies(anatomy):
        top, bottom = endplates(body)
        rolls.append((angles(top)[1], angles(bottom)[1]))
    measured = max(abs(rolls[i][0] - rolls[j][1]) for i in range(len(rolls)) for j in range(i, len(rolls)))
    assert anatomy.measurements.cobb_deg == pytest.approx(measured, abs=3)
    assert anatomy.measurements.cobb_deg > 8


def box(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half size of the body's cross-section at mid height, in voxels right to left and back to front."""
    z = np.flatnonzero(body.any((0, 1)))
    where = np.argwhere(body[:, :, (z[0] + z[-1]) // 2])
    return (where.max(0) + where.min(0)) / 2, (np.ptp(where, axis=0) + 1) / 2


def test_heights_agree_with_extents_of_the_mask(anatomy: Anatomy) -> None:
    """Voxels of the body in bars along its own axis, turned upright by the planes through its endplates."""
    off = []
    for k, body in bodies(anatomy):
        top, bottom = endplates(body)
        tilt = np.radians(np.mean([angles(top)[0], angles(bottom)[0]]))
        x, y, z = (np.argwhere(body) - np.floor(np.argwhere(body).mean(0)) - 0.5).T
        front = y * np.cos(tilt) - z * np.sin(tilt)
        belt = front[np.abs(y * np.sin(tilt) + z * np.cos(tilt)) < 2]
        middle, half = (belt.max() + belt.min()) / 2, (np.ptp(belt) + 1) / 2
        truth = anatomy.measurements.levels[k]
        for place, name in ((0.75, "height_anterior_mm"), (0, "height_middle_mm"), (-0.75, "height_posterior_mm")):
            bar = (np.abs(x) < 3) & (np.abs(front - middle - place * half) < 1.5)
            measured = bar.sum() / (6 * 3) * np.cos(np.radians(truth.roll_deg))
            off.append(measured - getattr(truth, name))
            assert abs(off[-1]) < 2.5, (truth.level, name, measured, getattr(truth, name))
    assert np.abs(off).mean() < 1


def test_mean_height_agrees_with_volume_over_area(anatomy: Anatomy) -> None:
    """Volume of the column through the middle half of the body, over its cross-section."""
    for k, body in bodies(anatomy):
        truth = anatomy.measurements.levels[k]
        (x, y), (wide, deep) = box(body)
        column = body[round(x - wide / 3) : round(x + wide / 3) + 1, round(y - deep / 2) : round(y + deep / 2) + 1]
        lean = np.cos(np.radians(truth.tilt_deg)) * np.cos(np.radians(truth.roll_deg))
        assert truth.height_mm == pytest.approx(column.sum(2).mean() * lean, abs=1), truth.level


def test_disc_heights_agree_with_the_gap_between_bodies(anatomy: Anatomy) -> None:
    """Mean of the anterior and the posterior height against the space between the two endplates."""
    there = dict(bodies(anatomy))
    measured = 0
    for k, upper in there.items():
        if k + 1 not in there:
            continue
        truth = anatomy.measurements.levels[k]
        both = upper.any(2) & there[k + 1].any(2)
        inner = binary_erosion(both, iterations=3)
        z = np.arange(upper.shape[2])
        gap = np.where(upper, z, 999).min(2)[inner] - np.where(there[k + 1], z, -1).max(2)[inner] - 1
        mean = (truth.disc_height_anterior_mm + truth.disc_height_posterior_mm) / 2
        lean = np.cos(np.radians(truth.tilt_deg)) * np.cos(np.radians(truth.roll_deg))
        # Concave endplates make the middle of a disc higher than its rims.
        assert mean - 1.5 < gap.mean() * lean < mean + 0.14 * truth.height_mm + 1.5, truth.level
        measured += 1
    assert measured >= 4


def test_canal_depth_and_cord_area_agree_with_the_mask(anatomy: Anatomy) -> None:
    label, measured = anatomy.label, 0
    for k, _ in bodies(anatomy):
        truth = anatomy.measurements.levels[k]
        z = round(truth.centre_mm[2] - anatomy.field.first[2])
        sac = np.isin(label[:, :, z], [Label.CANAL, Label.CORD])
        x = round(np.argwhere(sac)[:, 0].mean())
        along = [np.ptp(np.flatnonzero(sac[i])) + 1 for i in (x - 1, x, x + 1)]
        cosine = np.cos(np.radians(truth.tilt_deg))
        assert truth.canal_depth_mm == pytest.approx(np.mean(along) * cosine, abs=1.3), truth.level
        cord = float((label[:, :, z] == Label.CORD).sum() * cosine)
        assert truth.cord_area_mm2 == pytest.approx(cord, rel=0.15, abs=6), truth.level
        measured += cord > 20
    assert measured >= 2


def test_what_the_field_cuts_off_is_not_a_number(anatomy: Anatomy) -> None:
    for k, level in enumerate(anatomy.measurements.levels):
        body = anatomy.level == k + 1
        if body[:, :, [0, -1]].any() or not body.any():
            assert np.isnan(level.height_anterior_mm)


@pytest.mark.parametrize("kind", ["extradural", "intradural_extramedullary", "intramedullary", "haemangioma"])
def test_lesions_grow_by_the_factor_and_nothing_else_changes(kind: str) -> None:
    ratios = []
    for seed in range(2):
        before, after = (
            create_anatomy(np.random.default_rng(seed), kind, growth=g)  # type: ignore[arg-type]
            for g in (1.0, 1.6)
        )
        assert np.array_equal(before.level, after.level)
        small, large = (a.label >= Label.EXTRADURAL for a in (before, after))
        assert (small & ~large).sum() < 0.03 * small.sum()  # it keeps its place and its outline
        assert [a.measurements.lesion_volume_mm3 for a in (before, after)] == [small.sum(), large.sum()]
        ratios.append(large.sum() / small.sum())
    # Bone, dura and the field cut it off, so it grows by less than the factor, but it grows.
    assert all(1.1 < ratio < 1.85 for ratio in ratios), ratios


def test_fractures_show_in_the_heights() -> None:
    for seed in range(3):
        anatomy = create_anatomy(np.random.default_rng(seed), rates=Rates(fractures=1, scoliosis=0))
        known = anatomy.measurements
        level = known.levels[REGIONS["lumbar"].levels.index(known.fractured_level)]
        assert level.wedge_deg < -4
        assert level.height_anterior_mm / level.height_posterior_mm == pytest.approx(known.fracture_ratio, abs=0.2)
