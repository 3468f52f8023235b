"""DICOM exports: masks as DICOM-SEG or as volumes, other series left out."""

from __future__ import annotations

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from spinelab.data.adopt.adopt import adopt
from spinelab.data.volumes.io import read_volume, write_mask
from spinelab.data.volumes.prepare import prepare_case

pytest.importorskip("highdicom")
from tests_dicom import write_seg, write_series  # needs the extra

GREY = np.random.default_rng(0).integers(0, 999, (4, 30, 24)).astype(np.uint16)
MASK = np.zeros(GREY.shape, np.uint8)
MASK[1:3, 5:15, 5:12], MASK[1:3, 18:25, 5:12] = 1, 2


@pytest.fixture
def export(tmp_path):
    """Two persons, each with T1 and T2, a folder a series."""
    for number, person in enumerate(("anna", "bert")):
        for contrast, name in enumerate(("T1", "T2")):
            write_series(
                tmp_path / f"export/{person}/{name}", GREY, PatientID=person, SeriesDescription=f"{name} tse sag",
                SeriesInstanceUID=f"1.2.{number}.{contrast}", SeriesNumber=contrast + 1,
            )  # fmt: skip
    return tmp_path / "export"


def read(text):
    config = OmegaConf.create({"data": OmegaConf.create(text)})
    return instantiate(config.data, _convert_="all", _execution_whitelist_=["spinelab.*"])


def check(adopted, classes):
    data = read(adopted.text)
    cases = data["source"].cases()
    assert adopted.found.format == "dicom"
    assert sorted(case.person for case in cases) == ["anna", "bert"]
    assert all("T2" in case.name for case in cases)
    assert list(data["labels"].classes) == classes
    volume = prepare_case(cases[0], data["labels"], data["preprocessing"])
    assert np.bincount(volume.mask.ravel())[1:].tolist() == [140, 98]


def test_masks_as_dicom_seg(export):
    for person in ("anna", "bert"):
        files = sorted((export / person / "T2").glob("*.dcm"))
        write_seg(export / person / "SEG/seg.dcm", files, MASK)
    adopted = adopt(export, "mine")
    check(adopted, ["segment_1", "segment_2"])
    assert "2 series have no mask: 2 T1 tse sag" in adopted.text


def test_masks_as_volumes_named_after_the_person(export):
    for person in ("anna", "bert"):
        files = tuple(sorted((export / person / "T2").glob("*.dcm")))
        (export / "masks").mkdir(exist_ok=True)
        scan = read_volume(files)
        write_mask(export / f"masks/{person}_seg.nii.gz", MASK.transpose(2, 1, 0), files)
        assert scan.array.shape == MASK.T.shape
    for file in export.glob("*/T1/*.dcm"):
        file.unlink()
    check(adopt(export, "mine"), ["label_1", "label_2"])


def test_no_masks(export):
    adopted = adopt(export, "mine")
    assert len(adopted.cases) == 4
    assert "No masks were found" in adopted.text
    assert read(adopted.text)["source"].cases() == adopted.cases
