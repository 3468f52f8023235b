from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.canvas import Frame
from spinelab.phantom.lesions import LESION_KINDS
from spinelab.phantom.regions import REGIONS
from spinelab.phantom.spine import Rates, draw_spine
from spinelab.phantom.tissues import Label, Tissue

LUMBAR = REGIONS["lumbar"]
FIELD = LUMBAR.fields["narrow"]
LEVELS = LUMBAR.levels

LESION_LABEL = {
    "extradural": Label.EXTRADURAL,
    "intradural_extramedullary": Label.INTRADURAL_EXTRAMEDULLARY,
    "intramedullary": Label.INTRAMEDULLARY,
    "haemangioma": Label.HAEMANGIOMA,
}


def lesion_of(anatomies: dict[str, Anatomy], kind: str) -> np.ndarray:
    return anatomies[kind].label == LESION_LABEL[kind]


def around(mask: np.ndarray) -> np.ndarray:
    return binary_dilation(mask) & ~mask


def middle(mask: np.ndarray) -> np.ndarray:
    """Centre of gravity in mm."""
    return np.array([axis.mean() for axis in np.nonzero(mask)]) + FIELD.first


def test_the_seed_decides_everything() -> None:
    first, again, other = (create_anatomy(np.random.default_rng(s), "extradural") for s in (3, 3, 4))
    assert np.array_equal(first.tissue, again.tissue)
    assert np.array_equal(first.texture, again.texture)
    assert first.measurements == again.measurements or np.isnan(first.measurements.fracture_ratio)
    assert not np.array_equal(first.tissue, other.tissue)


def test_unknown_lesion_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown lesion kind 'cyst'"):
        create_anatomy(np.random.default_rng(0), "cyst")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LESION_KINDS)
def test_labels_are_the_normal_ones_and_the_lesions_own(anatomies: dict[str, Anatomy], kind: str) -> None:
    expected = {0, 1, 2, 3, 4, 5} | ({int(LESION_LABEL[kind])} if kind in LESION_LABEL else set())
    assert set(np.unique(anatomies[kind].label)) == expected


@pytest.mark.parametrize("kind", LESION_LABEL)
def test_the_spine_below_the_lesion_is_the_same(anatomies: dict[str, Anatomy], kind: str) -> None:
    assert np.array_equal(anatomies[kind].level, anatomies["none"].level)
    assert np.array_equal(anatomies[kind].disc, anatomies["none"].disc)
    volume = anatomies[kind].measurements.lesion_volume_mm3
    assert volume == lesion_of(anatomies, kind).sum()
    assert volume > 150
    np.testing.assert_allclose(anatomies[kind].measurements.lesion_centre_mm, middle(lesion_of(anatomies, kind)))


@pytest.mark.parametrize("seed", range(4))
def test_lesions_stay_in_their_compartment(seed: int) -> None:
    """Each lesion against the same person without one."""
    healthy = create_anatomy(np.random.default_rng(seed)).label
    sac = np.isin(healthy, [Label.CANAL, Label.CORD])
    grown = {kind: create_anatomy(np.random.default_rng(seed), kind).label for kind in LESION_LABEL}  # type: ignore[arg-type]

    assert sac[grown["intradural_extramedullary"] == Label.INTRADURAL_EXTRAMEDULLARY].all()
    assert sac[grown["intramedullary"] == Label.INTRAMEDULLARY].all()
    haemangioma = grown["haemangioma"] == Label.HAEMANGIOMA
    assert (healthy[haemangioma] == Label.VERTEBRA).mean() > 0.7  # an aggressive one grows into the canal
    assert np.isin(healthy[haemangioma], [Label.VERTEBRA, Label.CANAL, Label.BACKGROUND]).all()
    extradural = grown["extradural"] == Label.EXTRADURAL
    in_bone = np.isin(healthy[extradural], [Label.VERTEBRA, Label.POSTERIOR_ELEMENTS])
    assert in_bone.mean() > 0.3
    assert np.bincount(label(extradural, np.ones((3, 3, 3)))[0].ravel())[1:].max() > 0.9 * extradural.sum()
    assert not np.isin(healthy[extradural], [Label.CORD, Label.DISC]).any()


def test_intramedullary_lies_inside_the_cord(anatomies: dict[str, Anatomy]) -> None:
    labels, lesion = anatomies["intramedullary"].label, lesion_of(anatomies, "intramedullary")
    skin = labels[around(lesion)]
    assert (skin == Label.CORD).mean() > 0.8
    assert not np.isin(skin, [Label.VERTEBRA, Label.DISC, Label.POSTERIOR_ELEMENTS]).any()
    cord = lesion | (labels == Label.CORD)
    for z in np.flatnonzero(lesion.any((0, 1))):
        here, envelope = np.argwhere(lesion[:, :, z]), np.argwhere(cord[:, :, z])
        assert (here.min(0) >= envelope.min(0)).all()
        assert (here.max(0) <= envelope.max(0)).all()
    swollen, normal = cord.any((0, 1)), anatomies["none"].label == Label.CORD
    at = round(middle(lesion)[2] - FIELD.first[2])
    assert swollen[at]
    assert cord[:, :, at].sum() > 1.3 * normal[:, :, at].sum()


def test_intradural_extramedullary_lies_beside_the_cord_and_pushes_it(anatomies: dict[str, Anatomy]) -> None:
    labels = anatomies["intradural_extramedullary"].label
    lesion = lesion_of(anatomies, "intradural_extramedullary")
    skin = labels[around(lesion)]
    assert np.isin(skin, [Label.CANAL, Label.CORD, Label.BACKGROUND]).all()
    assert (skin == Label.CANAL).mean() > 0.3
    assert label(lesion)[1] == 1


@pytest.mark.parametrize("seed", range(3))
def test_cord_is_displaced_away_from_an_extramedullary_tumour(seed: int) -> None:
    # Seen above the conus only; draw lesions until one lies there.
    for tries in range(40):
        anatomy = create_anatomy(np.random.default_rng([seed, tries]), "intradural_extramedullary")
        if anatomy.measurements.lesion_centre_mm[2] > anatomy.measurements.conus_z_mm + 12:
            break
    healthy = create_anatomy(np.random.default_rng([seed, tries])).label
    labels = anatomy.label
    at = round(anatomy.measurements.lesion_centre_mm[2] - FIELD.first[2])
    tumour_x = anatomy.measurements.lesion_centre_mm[0]
    before, after = (middle((v == Label.CORD)[:, :, at : at + 1])[0] for v in (healthy, labels))
    assert (labels == Label.CORD)[:, :, at].sum() > 8
    assert (after - before) * np.sign(tumour_x - before) < -1


def test_haemangioma_stays_in_one_body_and_has_trabeculae(anatomies: dict[str, Anatomy]) -> None:
    anatomy, lesion = anatomies["haemangioma"], lesion_of(anatomies, "haemangioma")
    numbers = np.setdiff1d(anatomy.level[lesion], [0])
    assert len(numbers) == 1
    assert LEVELS[numbers[0] - 1] == anatomy.measurements.lesion_level
    assert 0.03 < (anatomy.tissue[lesion] == Tissue.HAEMANGIOMA_TRABECULA).mean() < 0.4


def test_up_is_up_and_front_is_front(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["none"]
    whole = [k for k in np.unique(anatomy.level)[1:] if not (anatomy.level[:, :, [0, -1]] == k).any()]
    bodies = [middle(anatomy.level == k) for k in whole]
    discs = [middle(anatomy.disc == k) for k in np.unique(anatomy.disc)[1:]]
    assert (np.diff([b[2] for b in bodies]) < -20).all()
    assert (np.diff([d[2] for d in discs]) < -20).all()
    labels = anatomy.label
    front = {name: middle(labels == name)[1] for name in Label if name <= Label.POSTERIOR_ELEMENTS}
    assert front[Label.VERTEBRA] > front[Label.CANAL] + 15
    assert front[Label.CANAL] > front[Label.POSTERIOR_ELEMENTS] + 5
    assert middle(labels == Label.CORD)[2] > anatomy.measurements.conus_z_mm  # the cord ends below it, roots go on
    assert middle(anatomy.tissue == Tissue.AIR)[1] < middle(anatomy.tissue == Tissue.BOWEL)[1]


def test_canal_has_the_stated_size(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["none"]
    sac = np.isin(anatomy.label, [Label.CANAL, Label.CORD])
    width = np.median([np.ptp(np.nonzero(s.any(1))[0]) + 1 for s in np.moveaxis(sac, 2, 0)])
    depth = np.percentile([np.ptp(np.nonzero(s.any(0))[0]) + 1 for s in np.moveaxis(sac, 2, 0)], 75)
    assert width == pytest.approx(anatomy.measurements.canal_width_mm, abs=1.5)
    assert depth == pytest.approx(anatomy.measurements.canal_depth_mm, abs=1.5)


def test_a_quarter_of_spines_is_fractured_in_front_only() -> None:
    spines = [draw_spine(np.random.default_rng(seed), LUMBAR) for seed in range(200)]
    fractured = [spine for spine in spines if spine.fractured is not None]
    assert 30 < len(fractured) < 70
    assert {LEVELS[spine.fractured] for spine in fractured} == {"T12", "L1", "L2"}
    for spine in spines:
        ratios = [vertebra.kept for vertebra in spine.vertebrae]
        assert sum(ratio < 1 for ratio in ratios) == (spine.fractured is not None)


def test_a_fracture_wedges_the_body_and_spares_the_posterior_wall() -> None:
    seed = next(s for s in range(50) if draw_spine(np.random.default_rng(s).spawn(4)[0], LUMBAR).fractured is not None)
    spine = draw_spine(np.random.default_rng(seed).spawn(4)[0], LUMBAR)
    assert spine.fractured is not None
    body, k = spine.vertebrae[spine.fractured], spine.fractured
    mask = create_anatomy(np.random.default_rng(seed)).level == k + 1
    right, behind, _ = body.frame.local(*FIELD.centres())
    lost = body.height * (1 - body.kept)
    assert lost > 3

    def height(low: float, high: float) -> float:
        column = (np.abs(right) < 8) & (behind > low * body.half_depth) & (behind < high * body.half_depth)
        return float((mask & column).sum() / (16 * (high - low) * body.half_depth))

    # Concave endplates take about 6 % where the columns stand; the rest is linear from back to front.
    front, back = height(-0.8, -0.6), height(0.6, 0.8)
    assert back == pytest.approx(0.94 * body.height + (body.opening - lost) * 0.15, abs=2)
    assert front == pytest.approx(0.94 * body.height + (body.opening - lost) * 0.85, abs=2)


def test_a_frames_two_ways_undo_each_other() -> None:
    frame = Frame((3.0, -4.0, 5.0), 0.3)
    point = frame.place(1.0, 2.0, -7.0)
    back = frame.local(*(np.array([c], np.float32) for c in point))
    np.testing.assert_allclose(np.ravel(back), [1, 2, -7], atol=1e-5)
    upright = Frame((0.0, 0.0, 0.0), 0.0)
    assert upright.place(0, 5, 0) == (0, -5, 0)  # behind is towards smaller y
    leaning = Frame((1.0, 2.0, 3.0), 0.2, -0.3)
    points = np.array([[1.0, 2.0, -7.0], [0.0, 0.0, 5.0]])
    back = leaning.local(*(np.array(c, np.float32) for c in leaning.place_all(points).T))
    np.testing.assert_allclose(np.stack(back, 1), points, atol=1e-5)
    up = np.subtract(leaning.place(0, 0, 1), leaning.centre)
    np.testing.assert_allclose([up[0] / up[2], up[1] / up[2]], np.tan([-0.3, 0.2]), atol=1e-9)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("extent", ["narrow", "wide"])
def test_every_region_has_bones_discs_canal_and_cord(region: str, extent: str) -> None:
    anatomy = create_anatomy(np.random.default_rng(1), "none", region, extent)  # type: ignore[arg-type]
    assert anatomy.tissue.shape == REGIONS[region].fields[extent].size  # type: ignore[index]
    assert set(np.unique(anatomy.label)) == {0, 1, 2, 3, 4, 5}
    whole = [level for level in anatomy.measurements.levels if np.isfinite(level.height_mm)]
    assert len(whole) >= 5
    assert set(REGIONS[region].affected) <= {REGIONS[region].levels.index(level.level) for level in whole}
    cord = (anatomy.label == Label.CORD).any((0, 1))
    assert cord.all() == (region != "lumbar")  # it ends at the conus there only


@pytest.mark.parametrize(
    ("region", "level", "width", "depth"),
    # Mean and SD of Frostell et al. 2016.
    [("cervical", "C5", (13.3, 2.2), (7.4, 1.6)), ("thoracic", "T8", (8.3, 2.1), (6.3, 2.0))],
)
def test_cords_are_as_wide_as_the_literature_says(
    region: str, level: str, width: tuple[float, float], depth: tuple[float, float]
) -> None:
    anatomy = create_anatomy(np.random.default_rng(6), region=region)  # type: ignore[arg-type]
    at = next(v for v in anatomy.measurements.levels if v.level == level)
    cord = anatomy.label[:, :, round(at.centre_mm[2] - anatomy.field.first[2])] == Label.CORD
    right_left, front_back = (np.ptp(axis) + 1 for axis in np.nonzero(cord))
    assert right_left == pytest.approx(width[0], abs=width[1])
    assert front_back * np.cos(np.radians(at.tilt_deg)) == pytest.approx(depth[0], abs=depth[1])


def test_regions_bend_as_they_should() -> None:
    """Lordosis opens the front from top to bottom (the tilt rises), kyphosis closes it."""
    for region, sign in (("cervical", 1), ("thoracic", -1), ("lumbar", 1)):
        spine = draw_spine(np.random.default_rng(0), REGIONS[region])
        first, last = spine.vertebrae[0].frame.tilt, spine.vertebrae[-1].frame.tilt
        assert sign * np.degrees(last - first) > 12, region


def test_the_wide_lumbar_field_has_a_sacrum_without_a_label() -> None:
    anatomy = create_anatomy(np.random.default_rng(1), extent="wide")
    sacrum = anatomy.level > len(LEVELS)
    assert sacrum.sum() > 20_000
    assert not anatomy.label[sacrum].any()
    assert middle(anatomy.tissue == Tissue.SKIN)[1] < middle(anatomy.label == Label.POSTERIOR_ELEMENTS)[1]


def test_metastases_sit_in_bodies_and_in_posterior_elements() -> None:
    found = {}
    for seed in range(30):
        anatomy = create_anatomy(np.random.default_rng(seed), "extradural")
        found.setdefault(anatomy.measurements.lesion.form, (seed, anatomy))
        if len(found) == 2:
            break
    for form, compartment in (("body", Label.VERTEBRA), ("posterior", Label.POSTERIOR_ELEMENTS)):
        seed, anatomy = found[form]
        lesion = anatomy.label == Label.EXTRADURAL
        healthy = create_anatomy(np.random.default_rng(seed)).label
        shares = {value: (healthy[lesion] == value).mean() for value in (Label.VERTEBRA, Label.POSTERIOR_ELEMENTS)}
        assert max(shares, key=shares.__getitem__) == compartment, (form, shares)


def test_only_aggressive_haemangiomas_leave_the_bone() -> None:
    forms = set()
    for seed in range(12):
        anatomy = create_anatomy(np.random.default_rng(seed), "haemangioma")
        lesion, level = anatomy.label == Label.HAEMANGIOMA, anatomy.level
        forms.add(anatomy.measurements.lesion.form)
        outside = int((lesion & (level == 0)).sum())
        assert (outside > 20) == (anatomy.measurements.lesion.form == "aggressive")
        assert ("epidural" in anatomy.measurements.lesion.compartment) == (outside > 0)
        if len(forms) == 2:
            break
    assert forms == {"typical", "aggressive"}


def test_intramedullary_tumours_have_oedema_or_a_syrinx() -> None:
    forms = set()
    for seed in range(10):
        anatomy = create_anatomy(np.random.default_rng(seed), "intramedullary", "thoracic")
        syrinx, oedema = ((anatomy.tissue == t).any() for t in (Tissue.SYRINX, Tissue.CORD_OEDEMA))
        assert (syrinx, oedema) == {"syrinx": (True, False), "oedema": (False, True)}[anatomy.measurements.lesion.form]
        forms.add(anatomy.measurements.lesion.form)
        if len(forms) == 2:
            break
    assert len(forms) == 2


def test_rates_decide_how_often() -> None:
    spines = [draw_spine(np.random.default_rng(s), LUMBAR, Rates(fractures=0, scoliosis=0)) for s in range(20)]
    assert all(spine.fractured is None for spine in spines)
    assert max(np.degrees(np.ptp(spine.curve.roll)) for spine in spines) < 4.5
    spines = [draw_spine(np.random.default_rng(s), LUMBAR, Rates(fractures=1, scoliosis=1)) for s in range(20)]
    assert all(spine.fractured is not None for spine in spines)
    assert min(np.degrees(np.ptp(spine.curve.roll)) for spine in spines) > 11
    with pytest.raises(ValueError, match="0 to 1"):
        Rates(fractures=1.5)


def test_modic_changes_lie_beside_their_disc() -> None:
    for seed in range(20):
        anatomy = create_anatomy(np.random.default_rng(seed))
        changed = [k for k, level in enumerate(anatomy.measurements.levels[1:6], 1) if level.modic == 1]
        if changed and not anatomy.measurements.fractured_level:
            break
    near = binary_dilation(anatomy.disc == changed[0] + 1, iterations=9)
    assert (near & (anatomy.tissue == Tissue.MARROW_OEDEMA)).sum() > 200
