from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.canvas import FIELD_MM, Frame
from spinelab.phantom.lesions import LESION_KINDS
from spinelab.phantom.spine import LEVELS, draw_spine
from spinelab.phantom.tissues import Label, Tissue

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
    return np.array([axis.mean() for axis in np.nonzero(mask)]) - (np.array(FIELD_MM) - 1) / 2


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
    assert (healthy[grown["haemangioma"] == Label.HAEMANGIOMA] == Label.VERTEBRA).all()
    extradural = grown["extradural"] == Label.EXTRADURAL
    in_bone = np.isin(healthy[extradural], [Label.VERTEBRA, Label.POSTERIOR_ELEMENTS])
    assert 0.3 < in_bone.mean() < 1
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
    at = round(middle(lesion)[2] + (FIELD_MM[2] - 1) / 2)
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
    at = round(anatomy.measurements.lesion_centre_mm[2] + (FIELD_MM[2] - 1) / 2)
    tumour_x = anatomy.measurements.lesion_centre_mm[0]
    before, after = (middle((v == Label.CORD)[:, :, at : at + 1])[0] for v in (healthy, labels))
    assert (labels == Label.CORD)[:, :, at].sum() > 8
    assert (after - before) * np.sign(tumour_x - before) < -1


def test_haemangioma_stays_in_one_body_and_has_trabeculae(anatomies: dict[str, Anatomy]) -> None:
    anatomy, lesion = anatomies["haemangioma"], lesion_of(anatomies, "haemangioma")
    numbers = np.unique(anatomy.level[lesion])
    assert len(numbers) == 1
    assert LEVELS[numbers[0] - 1] == anatomy.measurements.lesion_level
    assert 0.03 < (anatomy.tissue[lesion] == Tissue.HAEMANGIOMA_TRABECULA).mean() < 0.4


def test_up_is_up_and_front_is_front(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["none"]
    bodies = [middle(anatomy.level == k) for k in np.unique(anatomy.level)[1:]]
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
    spines = [draw_spine(np.random.default_rng(seed)) for seed in range(200)]
    fractured = [spine for spine in spines if spine.fractured is not None]
    assert 30 < len(fractured) < 70
    assert {LEVELS[spine.fractured] for spine in fractured} == {"T12", "L1", "L2"}
    for spine in spines:
        ratios = [vertebra.anterior_ratio for vertebra in spine.vertebrae]
        assert sum(ratio < 1 for ratio in ratios) == (spine.fractured is not None)


def test_a_fracture_wedges_the_body_and_spares_the_posterior_wall() -> None:
    seed = next(s for s in range(50) if draw_spine(np.random.default_rng(s).spawn(4)[0]).fractured is not None)
    spine = draw_spine(np.random.default_rng(seed).spawn(4)[0])
    body, k = spine.vertebrae[spine.fractured], spine.fractured
    mask = create_anatomy(np.random.default_rng(seed)).level == k + 1
    axes = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in FIELD_MM)
    right, behind, _ = body.frame.local(*np.ix_(*axes))

    def height(low: float, high: float) -> float:
        column = (np.abs(right) < 8) & (behind > low * spine.half_depth) & (behind < high * spine.half_depth)
        return (mask & column).sum() / (16 * (high - low) * spine.half_depth)

    front, back = height(-0.8, -0.6), height(0.6, 0.8)
    assert back == pytest.approx(body.height * (1 - (1 - body.anterior_ratio) * 0.15), abs=1.5)
    assert front == pytest.approx(body.height * (1 - (1 - body.anterior_ratio) * 0.85), abs=1.5)


def test_a_frames_two_ways_undo_each_other() -> None:
    frame = Frame((3.0, -4.0, 5.0), 0.3)
    point = frame.place(1.0, 2.0, -7.0)
    back = frame.local(*(np.array([c], np.float32) for c in point))
    np.testing.assert_allclose(np.ravel(back), [1, 2, -7], atol=1e-5)
    upright = Frame((0.0, 0.0, 0.0), 0.0)
    assert upright.place(0, 5, 0) == (0, -5, 0)  # behind is towards smaller y
