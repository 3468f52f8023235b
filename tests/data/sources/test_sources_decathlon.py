from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spinelab.data.sources.decathlon import DecathlonSource
from spinelab.data.sources.listing import require_files
from spinelab.errors import DataError


def write(root: Path, **changes: Any) -> Path:
    """The hippocampus task's description, with the fields that it really has."""
    names = ("hippocampus_367", "hippocampus_001")
    description = {
        "name": "Hippocampus", "tensorImageSize": "3D", "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior part"}, "numTraining": 2, "numTest": 1,
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
        "test": ["./imagesTs/hippocampus_002.nii.gz"],
    }  # fmt: skip
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(exist_ok=True)
        for name in names:
            (root / folder / f"{name}.nii.gz").touch()
    (root / "dataset.json").write_text(json.dumps(description | changes))
    return root


def test_training_pairs(tmp_path):
    cases = DecathlonSource(write(tmp_path)).cases()
    assert [(case.name, case.person) for case in cases] == [("hippocampus_001",) * 2, ("hippocampus_367",) * 2]
    assert cases[0].images == ((tmp_path / "imagesTr/hippocampus_001.nii.gz",),)
    assert cases[0].masks[0].files == (tmp_path / "labelsTr/hippocampus_001.nii.gz",)
    assert cases[0].masks[0].labels == {1: "Anterior", 2: "Posterior_part"}
    require_files(cases)


def test_person_labels_and_site(tmp_path):
    cases = DecathlonSource(write(tmp_path), labels={1: "a", "2": "b"}, person=r"_(\d)", site="Nashville").cases()
    assert [(case.person, case.site, case.masks[0].labels) for case in cases] == [
        ("0", "Nashville", {1: "a", 2: "b"}), ("3", "Nashville", {1: "a", 2: "b"})
    ]  # fmt: skip
    with pytest.raises(DataError, match="finds no person in 'hippocampus_367'"):
        DecathlonSource(tmp_path, person=r"(sub-\d+)").cases()


def test_missing_files_are_listed(tmp_path):
    write(tmp_path)
    (tmp_path / "labelsTr/hippocampus_367.nii.gz").unlink()
    (tmp_path / "imagesTr/hippocampus_001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 mask is missing: labelsTr/.*_367.*; 1 image is missing: imagesTr/.*_001"):
        require_files(DecathlonSource(tmp_path).cases())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"modality": {"0": "T2", "1": "ADC"}, "tensorImageSize": "4D"}, r"2 channels \(T2, ADC\).*\n.*convert_MSD"),
        ({"modality": None}, "the channels are None"),
        ({"labels": None}, "its labels are not understood"),
        ({"training": []}, "no training images"),
        ({"training": ["a.nii.gz"]}, "training entry 1 is 'a.nii.gz'"),
        ({"training": [{"image": "a.nii.gz"}]}, "training entry 1 is"),
        ({"training": [{"image": "../a.nii.gz", "label": "b.nii.gz"}]}, "entry 1 names the file '../a.nii.gz'"),
        ({"training": [{"image": "/etc/a.nii.gz", "label": "b.nii.gz"}]}, "cannot lie below"),
        ({"training": [{"image": "", "label": "b.nii.gz"}]}, "names no file"),
        ({"training": [{"image": "a.nii", "label": "b.nii"}] * 2}, "for example a\n"),
    ],
)
def test_what_is_refused(tmp_path, changes, found):
    with pytest.raises(DataError, match=found):
        DecathlonSource(write(tmp_path, **changes)).cases()


@pytest.mark.parametrize("name", ["a" * 300, "\ud800", "a\0"])
def test_names_that_no_file_can_have(tmp_path, name):
    entry = {"image": f"imagesTr/{name}.nii.gz", "label": "b.nii.gz"}
    with pytest.raises(DataError, match=r"entry 1 names the file .* which cannot lie below"):
        DecathlonSource(write(tmp_path, training=[entry])).cases()


def test_files_named_as_nnunet_names_them(tmp_path):
    write(tmp_path)
    for file in (tmp_path / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace(".nii", "_0000.nii")))
    with pytest.raises(DataError, match="data=nnunet"):
        DecathlonSource(tmp_path).cases()


def test_no_description(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json: it cannot be read"):
        DecathlonSource(tmp_path).cases()
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DataError, match="no JSON object"):
        DecathlonSource(tmp_path).cases()
