"""Corrected copies: they are right, and nothing else is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from spinelab.data.doctor.examine import examine
from spinelab.data.doctor.files import read_as_is
from spinelab.data.doctor.fix import check_target, fix
from spinelab.data.volumes.io import read_mask, read_volume
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import ConfigError
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("vertebra", "disc"))
AFFINE = np.diag([4.0, 0.5, 0.5, 1])


@pytest.fixture
def case(tmp_path) -> Case:
    rng = np.random.default_rng(0)
    root = tmp_path / "data/deep"
    root.mkdir(parents=True)
    mask = np.zeros((4, 12, 14), np.uint8)
    mask[:, 2:7, 3:9], mask[:, 7:9, 3:9] = 1, 2
    image = (100 * mask + rng.normal(300, 10, mask.shape)).astype(np.float32)
    nib.save(nib.Nifti1Image(image, AFFINE), root / "image.nii.gz")
    nib.save(nib.Nifti1Image(mask, AFFINE), root / "mask.nii.gz")
    truth = MaskFiles((root / "mask.nii.gz",), {1: "vertebra", 2: "disc"})
    return Case("a", "a", ((root / "image.nii.gz",),), (truth,))


def mend(case: Case, tmp_path: Path) -> list[dict]:
    before = {file: file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()}
    fix([case], examine(case, Preprocessing()).findings, tmp_path / "data", tmp_path / "mended")
    assert before == {file: file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()}
    return json.loads((tmp_path / "mended/fixes.json").read_text())


def resave(file: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nib.save(nib.Nifti1Image(array, affine), file)


def test_a_healthy_case_is_neither_copied_nor_listed(case, tmp_path):
    assert mend(case, tmp_path) == []
    assert [file.name for file in (tmp_path / "mended").rglob("*")] == ["fixes.json"]


def test_nan_becomes_zero_and_all_other_bytes_stay(case, tmp_path):
    file = case.images[0][0]
    array = np.array(nib.load(file).dataobj)
    array[1, 2, 3], array[2, 3, 4] = np.nan, np.inf
    resave(file, array)
    (done,) = mend(case, tmp_path)
    written = tmp_path / "mended/deep/image.nii.gz"
    assert done["written"] == str(written)
    expected = np.nan_to_num(array, posinf=0)
    np.testing.assert_array_equal(read_volume((written,)).array, expected)
    old, new = gzip.decompress(file.read_bytes()), gzip.decompress(written.read_bytes())
    assert len(old) == len(new)
    assert sum(a != b for a, b in zip(old, new, strict=True)) <= 8


@pytest.mark.parametrize("factor", [255, 1000, 127.5, 1 / 255, 1.001])
def test_labels_become_the_whole_numbers_that_were_meant(case, tmp_path, factor):
    file = case.masks[0].files[0]
    meant = np.array(nib.load(file).dataobj)
    resave(file, (meant.astype(np.float32) * factor).astype(np.float32))
    mend(case, tmp_path)
    again = MaskFiles((tmp_path / "mended/deep/mask.nii.gz",), case.masks[0].labels)
    np.testing.assert_array_equal(read_mask(again, LABELS, image=read_volume(case.images[0])), meant)


def test_affine_and_labels_are_mended_together(case, tmp_path):
    file = case.masks[0].files[0]
    meant, moved = np.array(nib.load(file).dataobj), AFFINE.copy()
    moved[1, 3] = 0.3
    resave(file, meant.astype(np.int16) * 255, moved)
    (done,) = mend(Case("a", "a", case.images, (MaskFiles((file,), {1: "vertebra", 2: "disc"}),)), tmp_path)
    assert len(done["done"]) == 2 or "255" in str(examine(case, Preprocessing()).findings)
    again = MaskFiles((tmp_path / "mended/deep/mask.nii.gz",), case.masks[0].labels)
    np.testing.assert_array_equal(read_mask(again, LABELS, image=read_volume(case.images[0])), meant)


def test_a_mask_that_is_far_off_is_left_to_a_person(case, tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] = 40
    resave(case.masks[0].files[0], np.array(nib.load(case.masks[0].files[0]).dataobj), moved)
    assert mend(case, tmp_path) == []


def test_a_trailing_axis_is_dropped(case, tmp_path):
    file = case.images[0][0]
    array = np.array(nib.load(file).dataobj)
    resave(file, array[..., None])
    mend(case, tmp_path)
    written = nib.load(tmp_path / "mended/deep/image.nii.gz")
    assert written.shape == array.shape
    np.testing.assert_array_equal(np.array(written.dataobj), array)
    np.testing.assert_allclose(written.affine, AFFINE)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_an_sform_that_is_not_set_is_copied_from_the_qform(case, tmp_path, kind):
    file = case.images[0][0]
    image = kind(np.array(nib.load(file).dataobj), None)
    oblique = AFFINE.copy()
    oblique[:2, :2] = [[4 * np.cos(0.2), -0.5 * np.sin(0.2)], [4 * np.sin(0.2), 0.5 * np.cos(0.2)]]
    image.set_qform(oblique, 1)
    image.set_sform(None, 0)
    nib.save(image, file)
    resave(case.masks[0].files[0], np.array(nib.load(case.masks[0].files[0]).dataobj), oblique)
    mend(case, tmp_path)
    written = nib.load(tmp_path / "mended/deep/image.nii.gz")
    assert int(written.header["sform_code"]) == 1
    np.testing.assert_allclose(written.get_sform(), image.get_qform(), atol=1e-4)


def test_stacks_of_pictures_are_mended_slice_by_slice(tmp_path):
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    images, masks = [], []
    for position in range(3):
        for kind, files in (("images", images), ("masks", masks)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            files.append(root / kind / f"{position}.png")
            values = rng.integers(0, 200, (9, 8)) if kind == "images" else 255 * (rng.random((9, 8)) > 0.5)
            Image.fromarray(values.astype(np.uint8)).save(files[-1])
    truth = MaskFiles(tuple(masks), {1: "vertebra"})
    done = mend(Case("a", "a", (tuple(images),), (truth,)), tmp_path)
    assert len(done) == 3
    written = tuple(tmp_path / "mended/masks" / f"{position}.png" for position in range(3))
    np.testing.assert_array_equal(read_as_is(written, mask=True).array * 255, read_as_is(tuple(masks), mask=True).array)


@pytest.mark.parametrize("target", ["data", "data/inside", "."])
def test_originals_are_never_overwritten(tmp_path, target):
    with pytest.raises(ConfigError, match="overlaps"):
        check_target(tmp_path / target, tmp_path / "data")


def test_a_link_into_the_data_is_seen_through(tmp_path):
    (tmp_path / "data/inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data/inside")
    with pytest.raises(ConfigError):
        check_target(tmp_path / "link", tmp_path / "data")
