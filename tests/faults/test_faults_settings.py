"""Broken layouts, splits, labels and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.commands.doctor import main
from spinelab.errors import ConfigError

Break = Callable[[Path], object]
BIDS = ["data=gm_challenge", "data.preprocessing.crop=null", "data.preprocessing.spacing_mm=null"]
BIDS += ["data.preprocessing.slices=all"]


def nothing(root: Path) -> None:
    return None


def split_of(**sides: object) -> Break:
    return lambda root: (root.parent / "split.json").write_text(json.dumps(sides))


PEOPLE = {"train": ["sub-00", "sub-01"], "val": ["sub-02"], "test": ["sub-03"]}

LAYOUTS: dict[str, tuple[str, list[str], Break]] = {
    "no such folder": ("does not exist", ["data.root=/nowhere/at/all"], nothing),
    "nothing matches": ("no image matches", ["data.source.image=scans/*.nii.gz"], nothing),
    "image pattern that leaves the root": ("leads out", ["data.source.image=../*.nii.gz"], nothing),
    "absolute image pattern": ("leads out", ["data.source.image=/etc/*.nii.gz"], nothing),
    "mask pattern that leaves the root": ("leads out", ["data.source.mask=../masks/{name}"], nothing),
    "mask pattern with an unknown field": ("not understood", ["data.source.mask=masks/{nme}"], nothing),
    "person pattern that finds nobody": ("finds no person", [r"data.source.person=(patient\d+)"], nothing),
    "person pattern of two groups": ("2 groups", [r"data.source.person=(s)ub-(\d+)"], nothing),
    "person pattern that is none": ("pattern", ["data.source.person=(sub-(?"], nothing),
    "two masks for one image": (
        "2 (files|masks) match",
        ["data.source.mask=masks/{stem}{,_b}.nii.gz"],
        lambda root: (root / "masks/sub-01_b.nii.gz").write_bytes((root / "masks/sub-01.nii.gz").read_bytes()),
    ),
    "two volumes of one name": (
        "sub-01",
        ["data.source.image=images/**/*.nii.gz"],
        lambda root: (
            (root / "images/again").mkdir(),
            (root / "images/again/sub-01.nii.gz").write_bytes((root / "images/sub-01.nii.gz").read_bytes()),
        ),
    ),
    "a root that is a file": (
        "does not exist",
        ["data.root=${paths.cache}.txt"],
        lambda root: (root.parent / "cache.txt").write_text("x"),
    ),
}

SPLITS: dict[str, tuple[str, list[str], Break]] = {
    "too few persons for holdout": (
        "needs at least 3",
        [],
        lambda root: [file.unlink() for file in [*root.glob("*/sub-02*"), *root.glob("*/sub-03*")]],
    ),
    "too few persons for the folds": ("needs at least 9", ["protocol=kfold", "protocol.folds=9"], nothing),
    "no such fold": ("no fold 7", ["protocol=kfold", "protocol.folds=3", "protocol.fold=7"], nothing),
    "more validation persons than there are": (
        "needs at least",
        ["protocol=leave_one_person_out", "protocol.val_persons=9"],
        nothing,
    ),
    "split file that is missing": ("not a split", ["protocol=file", "protocol.path=/nowhere.json"], nothing),
    "split file that is no JSON": (
        "not a split",
        ["protocol=file"],
        lambda root: (root.parent / "split.json").write_text("{train: "),
    ),
    "split file without a side": ("not a split", ["protocol=file"], split_of(train=["sub-00"])),
    "person on two sides": (
        "named twice",
        ["protocol=file"],
        split_of(train=["sub-00", "sub-01"], val=["sub-02"], test=["sub-03", "sub-00"]),
    ),
    "person that does not exist": (
        "not in the data set",
        ["protocol=file"],
        split_of(**PEOPLE | {"val": ["sub-02", "sub-99"]}),
    ),
    "person that is forgotten": ("on no side", ["protocol=file"], split_of(**PEOPLE | {"val": []})),
    "empty test side": ("empty", ["protocol=file"], split_of(train=[f"sub-0{n}" for n in range(4)], val=[], test=[])),
    "split that was changed": ("changed", ["protocol=file"], split_of(**PEOPLE, hash="0123456789ab")),
}

SETTINGS: dict[str, tuple[str, list[str], Break]] = {
    "no labels": ("labels", ["data.source.labels=null"], nothing),
    "no classes": ("classes", ["data.labels.classes=[]"], nothing),
    "label that is no class": ("cord", ["data.source.labels={1: vertebra, 2: cord}"], nothing),
    "label that is no number": ("cannot be built|whole number|one", ["data.source.labels={one: vertebra}"], nothing),
    "too many channels for the network": ("channels", ["channels=2"], nothing),
    "unknown plane": ("plane", ["data.preprocessing.plane=oblique"], nothing),
    "negative spacing": ("spacing_mm", ["data.preprocessing.spacing_mm=[-1,1]"], nothing),
    "crop of three numbers": ("crop", ["data.preprocessing.crop=[8,8,8]"], nothing),
    "unknown normalisation": ("normalisation", ["data.preprocessing.normalisation=magic"], nothing),
    "untrusted code": ("SPINELAB_TRUST", ["data.source._target_=os.listdir"], nothing),
    "environment variable that is not set": ("NOT_THERE", ["data.root=${oc.env:NOT_THERE}"], nothing),
    "no slice with a mask": (
        "slice",
        ["data.preprocessing.slices=complete", "data.labels.classes=[vertebra, disc]"],
        lambda root: _emptied(root / "masks/sub-01.nii.gz"),
    ),
}

FAULTS = LAYOUTS | SPLITS | SETTINGS


def _emptied(file: Path) -> None:
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), file)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_set_up_is_told_by_doctor_and_refused_by_training(healthy, judge, fault):
    words, overrides, damage = FAULTS[fault]
    damage(healthy)
    if "protocol=file" in overrides and not any(text.startswith("protocol.path") for text in overrides):
        overrides = [*overrides, f"protocol.path={healthy.parent}/split.json"]
    verdict = judge(healthy, *overrides)
    errors = [finding for finding in verdict.findings if finding["severity"] == "error"]
    assert errors
    assert re.search(words, str(errors)), errors
    assert all(finding["remedy"] for finding in errors)
    assert verdict.status == 1
    assert verdict.refusal


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.labels.regions={spine: [vertebra, rib]}", "spine unites ['rib']"),
        ("data.labels.classes=[vertebra, disc, disc]", "different names"),
        ("data.labels.classes=[vertebra, disc, background]", "without `background`"),
    ],
)
def test_label_maps_that_contradict_themselves(healthy, judge, override, words):
    verdict = judge(healthy, override)
    (finding,) = verdict.of("data-set")
    assert finding["severity"] == "error"
    assert words in finding["found"]
    assert words in verdict.refusal


def test_a_class_that_no_mask_holds_is_told(healthy, judge):
    verdict = judge(healthy, "data.labels.classes=[vertebra, disc, lesion]", train=False)
    assert "lesion" in verdict.of("absent-class")[0]["found"]


def bids(root: Path) -> None:
    """The healthy folder as BIDS, labelled as the grey matter challenge."""
    for person in range(4):
        name = f"sub-{person:02d}"
        raw, derived = root / name / "anat", root / "derivatives/labels" / name / "anat"
        raw.mkdir(parents=True)
        derived.mkdir(parents=True)
        (root / f"images/{name}.nii.gz").rename(raw / f"{name}_T2starw.nii.gz")
        mask = nib.load(root / f"masks/{name}.nii.gz")
        for suffix, lowest in (("seg-manual", 1), ("gmseg-manual", 2)):
            part = (np.array(mask.dataobj) >= lowest).astype(np.uint8)
            nib.save(nib.Nifti1Image(part, mask.affine), derived / f"{name}_T2starw_{suffix}.nii.gz")


TABLE = "participant_id\tsite\nsub-00\tnorth\nsub-01\tsouth\n"
LAYERS: dict[str, tuple[str, Break]] = {
    "derivative that is missing": (
        "sub-01_T2starw_gmseg-manual",
        lambda root: (root / "derivatives/labels/sub-01/anat/sub-01_T2starw_gmseg-manual.nii.gz").unlink(),
    ),
    "table of participants that is no text": (
        "participants.tsv",
        lambda root: (root / "participants.tsv").write_bytes(bytes(range(255)) * 9),
    ),
    "scan there twice": (
        "sub-01_T2starw",
        lambda root: (root / "sub-01/anat/sub-01_T2starw.nii").write_bytes(b"x"),
    ),
    "folder without subjects": (
        "no image matches",
        lambda root: [folder.rename(root / f"x{folder.name}") for folder in root.glob("sub-*")],
    ),
}


@pytest.mark.parametrize("fault", LAYERS)
def test_broken_bids_folders(healthy, judge, fault):
    words, damage = LAYERS[fault]
    bids(healthy)
    damage(healthy)
    verdict = judge(healthy, *BIDS)
    assert verdict.status == 1
    assert words in str([finding for finding in verdict.findings if finding["severity"] == "error"])
    assert words in verdict.refusal


def test_a_healthy_bids_folder_is_accepted(healthy, judge):
    bids(healthy)
    (healthy / "participants.tsv").write_text(TABLE)
    verdict = judge(healthy, *BIDS, "protocol=leave_one_person_out")
    assert [finding for finding in verdict.findings if finding["severity"] == "error"] == []
    assert verdict.refusal == ""


@pytest.mark.parametrize("words", [["data=nonsense"], ["data.sauce=1"], ["data"], ["--frobnicate"], ["workers=many"]])
def test_a_wrong_command_line_is_refused_before_anything_is_read(words):
    with pytest.raises(ConfigError):
        main(words)
