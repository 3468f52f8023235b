from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spinelab.data.sources.listing import require_files
from spinelab.data.sources.nnunet import NnunetSource
from spinelab.data.sources.nnunet_split import nnunet_split
from spinelab.errors import ConfigError, DataError

CASES = ("sp_01a", "sp_01b", "sp_02a", "sp_10a")
PERSONS = ["01", "02", "10"]


def write(root: Path, ending: str = ".nii.gz", **changes: Any) -> Path:
    description = {"channel_names": {"0": "T2", "1": "T1"}, "labels": {"background": 0, "disc": 1}, "numTraining": 4}
    (root / "imagesTr").mkdir(parents=True)
    (root / "labelsTr").mkdir()
    for case in CASES:
        (root / f"labelsTr/{case}{ending}").touch()
        for channel in range(2):
            (root / f"imagesTr/{case}_{channel:04d}{ending}").touch()
    (root / "dataset.json").write_text(json.dumps({**description, "file_ending": ending, **changes}))
    return root


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_channels_masks_and_persons(tmp_path, ending):
    cases = NnunetSource(write(tmp_path, ending), person=r"sp_(\d+)").cases()
    assert [(case.name, case.person) for case in cases] == list(zip(CASES, ("01", "01", "02", "10"), strict=True))
    assert [files[0].name for files in cases[0].images] == [f"sp_01a_0000{ending}", f"sp_01a_0001{ending}"]
    assert cases[0].masks[0].files == (tmp_path / f"labelsTr/sp_01a{ending}",)
    assert cases[0].masks[0].labels == {1: "disc"}
    require_files(cases)


def test_each_case_is_a_person_by_default_and_version_1_is_read(tmp_path):
    changes = {"modality": {"0": "T2", "1": "T1"}, "labels": {"0": "background", "1": "disc"}}
    write(tmp_path, **changes)
    description = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({k: description[k] for k in ("modality", "labels")}))
    cases = NnunetSource(tmp_path).cases()
    assert [case.person for case in cases] == list(CASES)
    assert cases[0].masks[0].labels == {1: "disc"}


def test_a_missing_channel_is_named_whichever_it_is(tmp_path):
    write(tmp_path)
    (tmp_path / "imagesTr/sp_02a_0000.nii.gz").unlink()
    (tmp_path / "imagesTr/sp_10a_0001.nii.gz").unlink()
    cases = NnunetSource(tmp_path).cases()
    assert len(cases) == 4
    with pytest.raises(DataError, match=r"2 images are missing: imagesTr/sp_02a_0000.*, imagesTr/sp_10a_0001"):
        require_files(cases)


def test_regions_and_ignore(tmp_path):
    labels = {"background": 0, "cord": [1, 2], "grey": 2, "ignore": 3}
    write(tmp_path, labels=labels)
    with pytest.raises(DataError, match="ignore"):
        NnunetSource(tmp_path).cases()
    (case, *_) = NnunetSource(tmp_path, labels={1: "white", 2: "grey"}).cases()
    assert case.masks[0].labels == {1: "white", 2: "grey"}
    (tmp_path / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "T2", "1": "T1"}, "labels": {**labels, "ignore": 0}})
    )
    assert NnunetSource(tmp_path).cases()[0].masks[0].labels == {1: "label_1", 2: "grey"}


def test_what_is_refused(tmp_path):
    root = write(tmp_path / "a", channel_names={"0": "T2"})
    with pytest.raises(DataError, match=r"_0001\.nii\.gz: it is channel 1, dataset\.json names 1: T2"):
        NnunetSource(root).cases()
    root = write(tmp_path / "b")
    (root / "imagesTr/sp_03.nii.gz").touch()
    with pytest.raises(DataError, match=r"sp_03\.nii\.gz: its name does not end in a channel"):
        NnunetSource(root).cases()
    with pytest.raises(DataError, match=r"no image matches imagesTr/\*\.mha"):
        NnunetSource(write(tmp_path / "c", file_ending=".mha")).cases()


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    folds = [
        {"train": ["sp_01a", "sp_01b", "sp_02a"], "val": ["sp_10a"]},
        {"train": ["sp_10a", "sp_02a"], "val": ["sp_01a", "sp_01b"]},
        {"train": ["sp_01a", "sp_02a", "sp_10a"], "val": ["sp_01b"]},
    ]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    return tmp_path / "splits_final.json"


def test_a_fold_is_trained_on_train_and_tested_on_val(splits):
    sides = nnunet_split(PERSONS, path=splits, person=r"sp_(\d+)")
    assert (sides.train, sides.val, sides.test) == (("01", "02"), (), ("10",))
    assert (sides.protocol, sides.fold) == ("nnunet", 0)
    sides = nnunet_split(PERSONS, path=splits, fold=1, person=r"sp_(\d+)")
    assert (sides.train, sides.val, sides.test) == (("02", "10"), (), ("01",))


def test_part_of_the_training_persons_may_choose_the_checkpoint(tmp_path):
    cases = [f"c{number:02d}" for number in range(20)]
    (tmp_path / "s.json").write_text(json.dumps([{"train": cases[4:], "val": cases[:4]}]))
    chosen = {nnunet_split(cases, path=tmp_path / "s.json", val_fraction=0.25, seed=seed).val for seed in range(5)}
    assert len(chosen) > 1
    for val in chosen:
        assert len(val) == 4
        assert set(val) < set(cases[4:])
    again = [nnunet_split(order, path=tmp_path / "s.json", val_fraction=0.25) for order in (cases, cases[::-1])]
    assert again[0] == again[1]
    assert set(again[0].train) | set(again[0].val) == set(cases[4:])


def test_a_person_on_both_sides_is_refused(splits):
    with pytest.raises(DataError, match=r"fold 2 has cases of 01 in train and in val") as caught:
        nnunet_split(PERSONS, path=splits, fold=2, person=r"sp_(\d+)")
    assert caught.value.file == splits


def test_other_persons_than_the_files_are_refused(splits):
    with pytest.raises(ConfigError, match="not in the data set: 10"):
        nnunet_split(PERSONS[:2], path=splits, person=r"sp_(\d+)")
    with pytest.raises(ConfigError, match="on no side: 11"):
        nnunet_split([*PERSONS, "11"], path=splits, person=r"sp_(\d+)")
    with pytest.raises(ConfigError, match="its folds are 0 to 2"):
        nnunet_split(PERSONS, path=splits, fold=3, person=r"sp_(\d+)")
    with pytest.raises(ValueError, match="val_fraction"):
        nnunet_split(PERSONS, path=splits, val_fraction=1)


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"train": ["a"]}]', '[{"train": [], "val": ["a"]}]', "[", None])
def test_no_split_file(tmp_path, content):
    if content is not None:
        (tmp_path / "s.json").write_text(content)
    with pytest.raises(DataError, match=r"s\.json"):
        nnunet_split(PERSONS, path=tmp_path / "s.json")
