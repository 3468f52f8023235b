from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from spinelab.phantom.acquisition import SITES, Scan, Site, _magnitude_with_noise, acquire
from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.canvas import Field
from spinelab.phantom.grid import average_slices, majority_slices, resample_labels, resample_linearly
from spinelab.phantom.sequences import SEQUENCES, Sequence, signal
from spinelab.phantom.tissues import LABEL_OF, LABELS, PROPERTIES, Label, Properties, Tissue

SITE_A = SITES[0]


def test_every_tissue_is_described_and_every_label_is_reachable() -> None:
    assert set(PROPERTIES) == set(Tissue)
    assert list(LABELS) == list(range(1, 10))
    assert LABELS[3] == "canal"
    assert LABELS[7] == "intradural_extramedullary"
    assert set(LABEL_OF) == {0, *LABELS}


def test_spin_echo_by_hand() -> None:
    # TR = T1 and TE = T2: (1 - 1/e) / e = 0.6321 * 0.3679
    water = Properties(1, 500, 100, 0)
    assert signal(water, Sequence(500, 100)) == pytest.approx(0.23254, abs=1e-5)
    assert signal(water._replace(proton_density=0.5), Sequence(500, 100)) == pytest.approx(0.11627, abs=1e-5)


def test_inversion_recovery_by_hand() -> None:
    # TI = T1 ln 2 nulls but for exp(-TR/T1) = exp(-2): 0.13534 * exp(-1)
    water = Properties(1, 500, 100, 0)
    assert signal(water, Sequence(1000, 100, 500 * math.log(2))) == pytest.approx(0.04979, abs=1e-5)
    # TI = 0: the inverted magnetisation, |1 - 2 + exp(-2)| = 0.86466
    assert signal(water, Sequence(1000, 100, 0)) == pytest.approx(0.86466 * math.exp(-1), abs=1e-5)


def test_site_timing_stretches_repetition_and_echo_time() -> None:
    water = Properties(1, 500, 100, 0)
    assert signal(water, Sequence(250, 50), timing=2) == pytest.approx(0.23254, abs=1e-5)


def test_stir_nulls_fat_and_t1_does_not() -> None:
    fat = PROPERTIES[Tissue.FAT]._replace(fat_fraction=1.0)
    assert signal(fat, SEQUENCES["STIR"]) < 0.005
    assert signal(fat, SEQUENCES["T1w"]) > 0.7


def test_contrasts_are_those_of_the_textbook() -> None:
    by = {
        name: {tissue: signal(PROPERTIES[tissue], sequence) for tissue in Tissue}
        for name, sequence in SEQUENCES.items()
    }
    assert by["T1w"][Tissue.FAT] > by["T1w"][Tissue.MARROW] > by["T1w"][Tissue.METASTASIS]
    assert by["T1w"][Tissue.CORD] > by["T1w"][Tissue.CSF]
    assert by["T2w"][Tissue.CSF] > by["T2w"][Tissue.INTRADURAL_TUMOUR] > by["T2w"][Tissue.MUSCLE]
    assert by["STIR"][Tissue.METASTASIS] > 2 * by["STIR"][Tissue.MARROW]
    assert by["STIR"][Tissue.FATTY_MARROW] < by["STIR"][Tissue.MARROW]


FIELD = Field((64, 112, 192), (-31.5, -65.5, -95.5))


def test_affine_puts_slice_centres_where_the_millimetres_are() -> None:
    sagittal = Scan("sagittal", 4).affine(FIELD)
    assert np.array_equal(np.diag(sagittal), [4, 1, 1, 1])
    # Voxels of 1 mm lie at -31.5 ... 31.5; the first four average to -30, the last four to 30.
    assert (sagittal @ [0, 0, 0, 1])[0] == -30
    assert (sagittal @ [15, 111, 191, 1]).tolist() == [30, 45.5, 95.5, 1]
    assert (Scan("axial", 5).affine(FIELD) @ [0, 0, 0, 1])[2] == -93.5
    # Voxels of 2 mm average the first two; 3 mm are left out in x.
    assert (Scan("sagittal", 4, 2.0, (3, 0, 0)).affine(FIELD) @ [0, 0, 0, 1])[:3].tolist() == [-27, -65, -95]


@pytest.mark.parametrize(
    "scan",
    [Scan("oblique"), Scan("sagittal", 0), Scan("axial", 193), Scan("axial", 4, 0.5)],  # type: ignore[arg-type]
)
def test_impossible_slices_are_refused(scan: Scan) -> None:
    with pytest.raises(ValueError, match=r"plane|thick"):
        scan.affine(FIELD)


def test_slices_average_and_vote_with_the_middle_counting_most() -> None:
    column = np.array([1, 1, 2, 2, 2, 3, 3, 9], np.uint8).reshape(1, 1, 8)
    # A raised cosine over 3 mm weighs 1/4, 1/2, 1/4; what does not fill a slice is left out.
    np.testing.assert_allclose(average_slices(column.astype(np.float32), 2, 3).ravel(), [1.25, 2.25])
    assert majority_slices(column, 2, 3).ravel().tolist() == [1, 2]
    assert np.array_equal(majority_slices(column, 2, 1), column)


def test_noise_is_rician() -> None:
    flat = np.zeros((50, 50, 50), np.float32)
    flat[:, :, 25:] = 100  # the 95th percentile
    noisy = _magnitude_with_noise(np.random.default_rng(0), flat, snr=20)
    assert noisy[:, :, :25].mean() == pytest.approx(5 * math.sqrt(math.pi / 2), rel=0.01)  # Rayleigh
    assert (noisy[:, :, 25:] ** 2).mean() == pytest.approx(100**2 + 2 * 5**2, rel=0.01)


@pytest.mark.parametrize(
    ("plane", "thickness", "shape"),
    [("sagittal", 4, (16, 112, 192)), ("axial", 4, (64, 112, 48)), ("coronal", 5, (64, 22, 192))],
)
def test_scan_shape_and_type(anatomies: dict[str, Anatomy], plane: str, thickness: int, shape: tuple[int, ...]) -> None:
    scan = acquire(np.random.default_rng(0), anatomies["none"], SEQUENCES["T2w"], SITE_A, Scan(plane, thickness))  # type: ignore[arg-type]
    image, label, _ = scan
    assert image.shape == label.shape == shape
    assert (image.dtype, label.dtype) == (np.int16, np.uint8)
    assert 300 < image.max() < 32767


def test_one_millimetre_slices_carry_the_anatomys_own_labels(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["haemangioma"]
    _, label, _ = acquire(np.random.default_rng(0), anatomy, SEQUENCES["T2w"], SITE_A, Scan("sagittal", 1))
    assert np.array_equal(label, anatomy.label)


def test_images_show_the_contrast_of_their_sequence(anatomies: dict[str, Anatomy]) -> None:
    def mean(sequence: str, tissue: Tissue) -> float:
        image, _, _ = acquire(
            np.random.default_rng(0), anatomies["none"], SEQUENCES[sequence], SITE_A, Scan("sagittal", 1)
        )
        return float(image[anatomies["none"].tissue == tissue].mean())

    assert mean("T2w", Tissue.CSF) > 1.5 * mean("T2w", Tissue.CORD)
    assert mean("T1w", Tissue.FAT) > 2 * mean("T1w", Tissue.CSF)
    assert mean("STIR", Tissue.CSF) > 5 * mean("STIR", Tissue.FAT)


def test_degenerated_discs_are_darker_on_t2(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["none"]
    image, _, _ = acquire(np.random.default_rng(0), anatomy, SEQUENCES["T2w"], SITE_A, Scan("sagittal", 1))
    inside = {k: (anatomy.disc == k) & (anatomy.tissue == Tissue.NUCLEUS) for k in range(1, 9)}
    seen = [k for k, nucleus in inside.items() if nucleus.sum() > 200]
    grade = [anatomy.measurements.levels[k - 1].degeneration for k in seen]
    # Against the marrow above, since the coil falls off.
    marrow = {k: image[(anatomy.level == k) & (anatomy.tissue == Tissue.MARROW)].mean() for k in seen}
    brightness = [image[inside[k]].mean() / marrow[k] for k in seen]
    assert len(seen) >= 4
    assert np.corrcoef(grade, brightness)[0, 1] < -0.7


def test_coarser_voxels_lie_where_the_millimetres_are() -> None:
    line = np.arange(12, dtype=np.float32).reshape(1, 12, 1)
    # Voxels of 1.5 mm from -0.5 on: centres at 0.25, 1.75, ..., and a linear function stays itself.
    np.testing.assert_allclose(resample_linearly(line, 1, 1.5).ravel(), 0.25 + 1.5 * np.arange(8), atol=1e-5)
    assert resample_labels(line.astype(np.uint8), 1, 3.0).ravel().tolist() == [1, 4, 7, 10]


def test_votes_agree_with_counting_each_label() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (5, 6, 12)).astype(np.uint8)
    weights = np.array([0.25, 0.5, 0.25])
    shares = [sum(w * (labels[:, :, i::3] == v) for i, w in enumerate(weights)) for v in range(4)]
    assert np.array_equal(majority_slices(labels, 2, 3), np.argmax(shares, 0))


def test_gradient_echo_by_hand() -> None:
    # 90 degrees and TR = T1: 1 - 1/e; R2* = 1/100 + 10/1000 = 1/50 and TE = 50: 1/e
    water = Properties(1, 500, 100, 0, r2_prime=10)
    assert signal(water, Sequence(500, 50, flip_angle=90)) == pytest.approx(0.23254, abs=1e-5)
    # 30 degrees: 0.5 * 0.63212 / (1 - 0.86603 * 0.36788) = 0.46383, times 1/e
    assert signal(water, Sequence(500, 50, flip_angle=30)) == pytest.approx(0.17064, abs=1e-5)


def test_gadolinium_shortens_the_relaxation_times_by_hand() -> None:
    # 0.5 mmol/l: 1/T1 = 0.001 + 4.1 * 0.5 / 1000 = 0.00305; 1/T2 = 0.01 + 0.0023 = 0.0123
    tissue = Properties(1, 1000, 100, 0, uptake=0.5)
    expected = (1 - math.exp(-550 * 0.00305)) * math.exp(-12 * 0.0123)
    assert signal(tissue, SEQUENCES["T1wCE"]) == pytest.approx(expected, rel=1e-6)
    assert signal(tissue, SEQUENCES["T1w"]) < 0.6 * expected


def test_lesions_enhance_and_the_cord_does_not() -> None:
    def ratio(tissue: Tissue) -> float:
        return signal(PROPERTIES[tissue], SEQUENCES["T1wCE"]) / signal(PROPERTIES[tissue], SEQUENCES["T1w"])

    assert ratio(Tissue.CORD) == pytest.approx(1)
    assert min(ratio(t) for t in (Tissue.METASTASIS, Tissue.INTRADURAL_TUMOUR, Tissue.INTRAMEDULLARY_TUMOUR)) > 1.5
    assert ratio(Tissue.AGGRESSIVE_HAEMANGIOMA) > 1.5


def test_water_and_fat_give_the_fat_fraction_of_every_vertebra() -> None:
    """As a reader would measure it: mean of fat / (water + fat) in the marrow of a noiseless scanner's images."""
    anatomy = create_anatomy(np.random.default_rng(4))
    quiet = Site("quiet", snr=1e5, bias=0.2, reach_mm=90, ghost=0, gain=20, timing=1, blur=0.1, spacing=1)
    water, fat = (
        acquire(np.random.default_rng(0), anatomy, SEQUENCES[s], quiet, Scan("sagittal", 1))[0].astype(float)
        for s in ("water", "fat")
    )
    measured = 0
    for number, level in enumerate(anatomy.measurements.levels, 1):
        inside = binary_erosion((anatomy.level == number) & (anatomy.tissue == Tissue.MARROW), iterations=2)
        if inside.sum() > 500:
            found = fat[inside].sum() / (water[inside] + fat[inside]).sum()
            assert found == pytest.approx(level.fat_fraction, abs=0.03), level.level
            measured += 1
    assert measured >= 4


def test_water_and_fat_add_up_and_fat_is_dark_in_water() -> None:
    fat, muscle = PROPERTIES[Tissue.FAT], PROPERTIES[Tissue.MUSCLE]
    assert signal(fat, SEQUENCES["fat"]) > 10 * signal(fat, SEQUENCES["water"])
    assert signal(muscle, SEQUENCES["water"]) > 5 * signal(muscle, SEQUENCES["fat"])


def test_sites_differ_in_noise_and_resolution(anatomies: dict[str, Anatomy]) -> None:
    """Noise in the air behind the back, against the signal of the fluid; voxel sizes of the sites."""
    anatomy, noise = create_anatomy(np.random.default_rng(2), extent="wide"), []
    for site in SITES:
        image, label, affine = acquire(
            np.random.default_rng(1), anatomy, SEQUENCES["T2w"], site, Scan("sagittal", 4, site.spacing)
        )
        assert affine[1, 1] == affine[2, 2] == site.spacing
        assert image.shape[1:] == tuple(int(n / site.spacing) for n in anatomy.field.size[1:])
        noise.append(image[:, :5].std() / image[label == Label.CANAL].mean())
    assert noise[0] < noise[1] < noise[2]
