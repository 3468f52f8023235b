from __future__ import annotations

import math

import numpy as np
import pytest

from spinelab.phantom.acquisition import (
    SEQUENCES,
    SITES,
    Sequence,
    _average_slices,
    _magnitude_with_noise,
    _majority_slices,
    acquire,
    signal,
    slice_affine,
)
from spinelab.phantom.anatomy import Anatomy
from spinelab.phantom.tissues import LABEL_OF, LABELS, PROPERTIES, Properties, Tissue

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
    assert signal(water, Sequence("x", 500, 100)) == pytest.approx(0.23254, abs=1e-5)
    assert signal(water._replace(proton_density=0.5), Sequence("x", 500, 100)) == pytest.approx(0.11627, abs=1e-5)


def test_inversion_recovery_by_hand() -> None:
    # TI = T1 ln 2 nulls but for exp(-TR/T1) = exp(-2): 0.13534 * exp(-1)
    water = Properties(1, 500, 100, 0)
    assert signal(water, Sequence("x", 1000, 100, 500 * math.log(2))) == pytest.approx(0.04979, abs=1e-5)
    # TI = 0: the inverted magnetisation, |1 - 2 + exp(-2)| = 0.86466
    assert signal(water, Sequence("x", 1000, 100, 0)) == pytest.approx(0.86466 * math.exp(-1), abs=1e-5)


def test_site_timing_stretches_repetition_and_echo_time() -> None:
    water = Properties(1, 500, 100, 0)
    assert signal(water, Sequence("x", 250, 50), timing=2) == pytest.approx(0.23254, abs=1e-5)


def test_stir_nulls_fat_and_t1_does_not() -> None:
    fat = PROPERTIES[Tissue.FAT]._replace(fat_fraction=1.0)
    assert signal(fat, SEQUENCES["STIR"]) < 0.005
    assert signal(fat, SEQUENCES["T1"]) > 0.7


def test_contrasts_are_those_of_the_textbook() -> None:
    by = {
        name: {tissue: signal(PROPERTIES[tissue], sequence) for tissue in Tissue}
        for name, sequence in SEQUENCES.items()
    }
    assert by["T1"][Tissue.FAT] > by["T1"][Tissue.MARROW] > by["T1"][Tissue.METASTASIS]
    assert by["T1"][Tissue.CORD] > by["T1"][Tissue.CSF]
    assert by["T2"][Tissue.CSF] > by["T2"][Tissue.INTRADURAL_TUMOUR] > by["T2"][Tissue.MUSCLE]
    assert by["STIR"][Tissue.METASTASIS] > 2 * by["STIR"][Tissue.MARROW]
    assert by["STIR"][Tissue.FATTY_MARROW] < by["STIR"][Tissue.MARROW]


def test_affine_puts_slice_centres_where_the_millimetres_are() -> None:
    sagittal = slice_affine("sagittal", 4)
    assert np.array_equal(np.diag(sagittal), [4, 1, 1, 1])
    # Voxels of 1 mm lie at -31.5 ... 31.5; the first four average to -30, the last four to 30.
    assert (sagittal @ [0, 0, 0, 1])[0] == -30
    assert (sagittal @ [15, 111, 191, 1]).tolist() == [30, 55.5, 95.5, 1]
    assert (slice_affine("axial", 5) @ [0, 0, 0, 1])[2] == -93.5


@pytest.mark.parametrize(("plane", "thickness"), [("oblique", 4), ("sagittal", 0), ("axial", 193)])
def test_impossible_slices_are_refused(plane: str, thickness: int) -> None:
    with pytest.raises(ValueError, match=r"plane|thick"):
        slice_affine(plane, thickness)  # type: ignore[arg-type]


def test_slices_average_and_vote_with_the_middle_counting_most() -> None:
    column = np.array([1, 1, 2, 2, 2, 3, 3, 9], np.uint8).reshape(1, 1, 8)
    # A raised cosine over 3 mm weighs 1/4, 1/2, 1/4; what does not fill a slice is left out.
    np.testing.assert_allclose(_average_slices(column.astype(np.float32), 2, 3).ravel(), [1.25, 2.25])
    assert _majority_slices(column, 2, 3).ravel().tolist() == [1, 2]
    assert np.array_equal(_majority_slices(column, 2, 1), column)


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
    scan = acquire(np.random.default_rng(0), anatomies["none"], SEQUENCES["T2"], SITE_A, plane, thickness)  # type: ignore[arg-type]
    image, label, _ = scan
    assert image.shape == label.shape == shape
    assert (image.dtype, label.dtype) == (np.int16, np.uint8)
    assert 300 < image.max() < 32767


def test_one_millimetre_slices_carry_the_anatomys_own_labels(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["haemangioma"]
    _, label, _ = acquire(np.random.default_rng(0), anatomy, SEQUENCES["T2"], SITE_A, "sagittal", 1)
    assert np.array_equal(label, anatomy.label)


def test_images_show_the_contrast_of_their_sequence(anatomies: dict[str, Anatomy]) -> None:
    def mean(sequence: str, tissue: Tissue) -> float:
        image, _, _ = acquire(np.random.default_rng(0), anatomies["none"], SEQUENCES[sequence], SITE_A, "sagittal", 1)
        return float(image[anatomies["none"].tissue == tissue].mean())

    assert mean("T2", Tissue.CSF) > 1.5 * mean("T2", Tissue.CORD)
    assert mean("T1", Tissue.FAT) > 2 * mean("T1", Tissue.CSF)
    assert mean("STIR", Tissue.CSF) > 5 * mean("STIR", Tissue.FAT)


def test_degenerated_discs_are_darker_on_t2(anatomies: dict[str, Anatomy]) -> None:
    anatomy = anatomies["none"]
    image, _, _ = acquire(np.random.default_rng(0), anatomy, SEQUENCES["T2"], SITE_A, "sagittal", 1)
    inside = [(anatomy.disc == k) & (anatomy.tissue == Tissue.NUCLEUS) for k in range(1, 8)]
    seen = [k for k, nucleus in enumerate(inside) if nucleus.sum() > 200]
    grade = [anatomy.measurements.disc_degeneration[k] for k in seen]
    brightness = [image[inside[k]].mean() for k in seen]
    assert len(seen) >= 4
    assert np.corrcoef(grade, brightness)[0, 1] < -0.7
