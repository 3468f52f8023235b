"""DICOM exports as they come: folders by series or all in one, masks beside them, people known by their headers."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from tests_dicom import edit, write_seg, write_series

from spinelab.data.sources.dicom import DicomSource
from spinelab.data.sources.listing import require_files
from spinelab.data.volumes.io import read_mask, read_volume
from spinelab.errors import ConfigError, DataError
from spinelab.types import LabelMap

GREY = np.random.default_rng(0).integers(0, 999, (4, 6, 5)).astype(np.uint16)
LABELS = {1: "disc"}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two persons, T1 and T2, a folder a series, beside what else lies in an export."""
    root = tmp_path / "export"
    for number, person in enumerate(("anna", "bert")):
        for contrast, name in enumerate(("T1", "T2")):
            write_series(
                root / f"sub-{number}" / name, GREY, PatientID=person, SeriesDescription=f"{name} tse sag",
                SeriesInstanceUID=f"1.2.{number}.{contrast}", SeriesNumber=contrast + 1,
            )  # fmt: skip
    (root / "DICOMDIR.txt").write_text("not DICOM")
    return root


def test_a_folder_a_series(export):
    cases = DicomSource(export).cases()
    assert [case.name for case in cases] == ["sub-0-T1", "sub-0-T2", "sub-1-T1", "sub-1-T2"]
    assert [case.person for case in cases] == ["anna", "anna", "bert", "bert"]
    assert all(case.masks == () for case in cases)
    np.testing.assert_array_equal(read_volume(cases[1].images[0]).array, GREY.transpose(2, 1, 0))


def test_a_series_by_its_description(export):
    assert [case.name for case in DicomSource(export, series="^t2.*sag").cases()] == ["sub-0-T2", "sub-1-T2"]
    with pytest.raises(DataError, match=r"'flair'.*T1 tse sag, T2 tse sag"):
        DicomSource(export, series="flair").cases()


def test_a_person_by_the_folder(export):
    assert {case.person for case in DicomSource(export, person=r"(sub-\d+)").cases()} == {"sub-0", "sub-1"}
    with pytest.raises(DataError, match="finds no person"):
        DicomSource(export, person=r"(pat-\d+)").cases()


def test_a_person_without_a_name(export):
    file = edit(export / "sub-1" / "T2" / "im000.dcm", PatientID="")
    with pytest.raises(DataError, match="PatientID is empty") as caught:
        DicomSource(export).cases()
    assert caught.value.file == file


def test_several_series_in_one_folder(tmp_path):
    for number in (7, 8):
        files = write_series(
            tmp_path / "scans" / "anna", GREY + number, SeriesInstanceUID=f"1.2.{number}", SeriesNumber=number
        )
        for file in files:
            file.rename(file.with_name(f"IM{number}{file.stem}"))  # as archives export: no extension
    cases = DicomSource(tmp_path / "scans").cases()
    assert [case.name for case in cases] == ["anna_series-7", "anna_series-8"]
    for case, number in zip(cases, (7, 8), strict=True):
        np.testing.assert_array_equal(read_volume(case.images[0]).array, GREY.transpose(2, 1, 0) + number)


def test_one_series_in_the_root_itself(tmp_path):
    write_series(tmp_path / "anna", GREY)
    assert [case.name for case in DicomSource(tmp_path / "anna").cases()] == ["anna"]


def test_masks_by_a_template(export):
    source = DicomSource(export, series="t2", mask="masks/{folder}{.nii,.nii.gz}", labels=LABELS)
    cases = source.cases()
    assert [case.masks[0].files for case in cases] == [
        (export / "masks" / f"sub-{n}" / "T2.nii",) for n in (0, 1)
    ]  # listed, though they are not there
    with pytest.raises(DataError, match="2 masks are missing"):
        require_files(cases)
    volume = read_volume(cases[0].images[0])
    (export / "masks" / "sub-0").mkdir(parents=True)
    nib.save(nib.Nifti1Image((volume.array > 500).astype(np.uint8), volume.affine), export / "masks/sub-0/T2.nii.gz")
    case = source.cases()[0]
    assert case.masks[0].files == (export / "masks/sub-0/T2.nii.gz",)
    mask = read_mask(case.masks[0], LabelMap(("disc",)), image=volume)
    np.testing.assert_array_equal(mask, GREY.transpose(2, 1, 0) > 500)
    other = DicomSource(export, series="t2", mask="{stem}/{series}/{person}.nii", labels=LABELS).cases()
    assert other[1].masks[0].files == (export / "T2/1.2.1.1/bert.nii",)


@pytest.mark.parametrize("where", ["sub-0/T2/seg.dcm", "segs/anything"])
def test_a_segmentation_that_refers_to_the_series(export, where):
    mask = np.zeros_like(GREY, dtype=np.uint8)
    mask[1, 2:4, 3] = 1
    write_seg(export / where, sorted((export / "sub-0/T2").glob("*.dcm")), mask)
    cases = DicomSource(export, series="t2", labels=LABELS).cases()
    assert [len(case.images[0]) for case in cases] == [4, 4]
    assert [case.masks[0].files for case in cases] == [
        (export / where,), (export / "sub-1/T2/segmentation.dcm",)
    ]  # fmt: skip
    found = read_mask(cases[0].masks[0], LabelMap(("disc",)), image=read_volume(cases[0].images[0]))
    np.testing.assert_array_equal(found, mask.transpose(2, 1, 0))


def test_segmentations_are_looked_for_beyond_the_images(export):
    mask = (GREY > 500).astype(np.uint8)
    write_seg(export / "segs" / "a.dcm", sorted((export / "sub-0/T2").glob("*.dcm")), mask)
    cases = DicomSource(export, image="*/T2/*", labels=LABELS).cases()
    assert [case.name for case in cases] == ["sub-0-T2", "sub-1-T2"]
    assert cases[0].masks[0].files == (export / "segs/a.dcm",)


def test_two_segmentations_of_one_series(export):
    for name in ("a.dcm", "b.dcm"):
        write_seg(export / name, sorted((export / "sub-0/T2").glob("im*")), (GREY > 500).astype(np.uint8))
    with pytest.raises(DataError, match=r"2 DICOM-SEG files refer to its series: a\.dcm, b\.dcm"):
        DicomSource(export, labels=LABELS).cases()


def test_what_is_configured_wrongly(export, tmp_path):
    with pytest.raises(ConfigError, match="mean"):
        DicomSource(export, mask="{folder}.nii").cases()
    with pytest.raises(ConfigError, match="nonsense"):
        DicomSource(export, mask="{nonsense}.nii", labels=LABELS).cases()
    with pytest.raises(ConfigError, match="leads out"):
        DicomSource(export, mask="../{folder}.nii", labels=LABELS).cases()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    with pytest.raises(DataError, match="no DICOM series"):
        DicomSource(tmp_path / "empty").cases()


def test_objects_without_an_image_are_left_out(export):
    report = pydicom.dcmread(export / "sub-0/T1/im000.dcm")
    del report.Rows, report.PixelData
    report.SeriesInstanceUID = "9.9"
    report.save_as(export / "sub-0/T1/report.dcm")
    assert len(DicomSource(export).cases()) == 4


def test_a_broken_file_is_named(export):
    file = export / "sub-1" / "T1" / "im002.dcm"
    file.write_bytes(b"no DICOM at all")
    with pytest.raises(DataError, match="no whole DICOM file") as caught:
        DicomSource(export).cases()
    assert caught.value.file == file
