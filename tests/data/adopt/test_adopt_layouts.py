"""Every layout: recognised, configured, read by its source, prepared."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from spinelab.data.adopt.adopt import adopt, plain_name
from spinelab.data.sources.listing import require_files
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import DataError

EXPECTED = {  # format, cases, persons, classes
    "spider": ("spider", 6, 3, ["vertebra", "canal", "disc"]),
    "decathlon": ("decathlon", 4, 4, ["vertebral_body", "disc"]),
    "nnunet": ("nnunet", 4, 4, ["vertebra", "disc"]),
    "bids": ("bids", 4, 2, ["vertebra", "disc"]),
    "manifest": ("manifest", 3, 3, ["label_5"]),
    "folders": ("folder", 3, 3, ["label_1", "label_2"]),
    "beside": ("folder", 3, 3, ["cord_seg", "lesion_mask"]),
    "by_person": ("folder", 3, 3, ["label_1", "label_2"]),
    "mirrored": ("folder", 3, 3, ["label_1", "label_2"]),
    "pictures": ("folder", 3, 3, ["label_1", "label_2"]),
}


def read(text):
    """The configuration as `spinelab` would instantiate it."""
    config = OmegaConf.create({"data": OmegaConf.create(text)})
    return config, instantiate(config.data, _convert_="all", _execution_whitelist_=["spinelab.*"])


@pytest.mark.parametrize("layout", EXPECTED)
def test_the_configuration_reads_the_data_set(layout, make):
    root = make(layout)
    adopted = adopt(root, "mine")
    kind, count, persons, classes = EXPECTED[layout]
    assert adopted.found.format == kind
    assert adopted.facts.left_out == {}
    config, data = read(adopted.text)
    cases = data["source"].cases()
    require_files(cases)
    assert cases == adopted.cases or layout not in ("spider", "nnunet", "decathlon")  # these name labels by themselves
    assert len(cases) == count
    assert len({case.person for case in cases}) == persons
    assert list(data["labels"].classes) == classes
    volume = prepare_case(cases[0], data["labels"], data["preprocessing"])
    assert set(np.unique(volume.mask)) == set(range(len(classes) + 1))
    assert volume.geometry.oriented_shape[1:] in ((48, 40), (40, 48))
    assert config.data.preprocessing.plane == "sagittal"


def test_every_choice_has_a_comment(make):
    lines = adopt(make("folders"), "mine").text.splitlines()
    assert all(len(line) <= 120 for line in lines)
    for key in ("image", "person", "plane", "spacing_mm", "crop", "normalisation", "slices", "classes"):
        number = next(i for i, line in enumerate(lines) if line.startswith(f"  {key}:"))
        assert lines[number - 1].lstrip().startswith("#"), key
    text = "\n".join(lines)
    assert "3 of 3 scans have thick slices left-right, 4 mm apart" in text
    assert "1: label_1  # 600 voxels, in 3 of 3 masks read" in text  # 4 x 5 x 10 voxels, three masks
    assert "3 cases of 3 persons (a word and a number)" in text


def test_what_is_inside_is_drawn_last(make):
    data = read(adopt(make("beside"), "mine").text)[0].data
    assert data.source.mask == "{folder}/{stem}_cord-seg.nii.gz"
    assert dict(data.source.overlays) == {"{folder}/{stem}_lesion-mask.nii.gz": {1: "lesion_mask"}}


def test_contrasts_without_masks_are_left_out_and_told(make):
    adopted = adopt(make("bids"), "mine")
    assert read(adopted.text)[0].data.source.suffix == "T2w"
    assert "left out: 4 T1w, masks: none" in adopted.text


def test_values_that_a_dseg_table_names_are_known_before_they_are_seen(make):
    root = make("bids")
    with (root / "derivatives/labels/dseg.tsv").open("a") as table:
        table.write("9\trare lesion\n")
    text = adopt(root, "mine").text
    assert "9: rare_lesion  # 0 voxels, in 0 of 4 masks read" in text
    assert "classes: [vertebra, disc, rare_lesion]" in text


def test_empty_masks_are_told(make):
    root = make("folders")
    for file in (root / "masks").iterdir():
        file.write_bytes(nib.Nifti1Image(np.zeros((6, 40, 48), np.uint8), np.diag([4.0, 0.8, 0.8, 1.0])).to_bytes())
    text = adopt(root, "mine").text
    assert "CHECK: the 3 masks read are empty" in text
    data = read(text)[1]
    assert prepare_case(data["source"].cases()[0], data["labels"], data["preprocessing"]).mask.max() == 0


def test_channels_are_told(make):
    assert "channels=2" in adopt(make("nnunet"), "mine").text


def test_sessions_written_into_the_entity_are_one_person(make, tmp_path):
    make("beside")
    root = tmp_path / "sessions"
    for number, session in ((1, "Ses1"), (1, "Ses2"), (2, "Ses1")):
        folder = root / f"sub-{number}{session}/anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{number}{session}_T2w.nii.gz").write_bytes((tmp_path / "my data/sub-0.nii.gz").read_bytes())
    adopted = adopt(root, "mine")
    assert {case.person for case in adopted.cases} == {"sub-1", "sub-2"}
    assert "No masks were found" in adopted.text


def test_names_that_say_nothing_of_persons_are_to_be_checked(make, tmp_path):
    root = make("folders")
    for folder in ("scans", "masks"):
        for number, letter in enumerate("abc"):
            (root / f"{folder}/patient{number}_t2.nii.gz").rename(root / f"{folder}/{letter}.nii.gz")
    text = adopt(root, "mine").text
    assert "CHECK: no pattern was recognised, so each image is a person" in text
    assert len({case.person for case in read(text)[1]["source"].cases()}) == 3


def nifti(shape):
    return nib.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("folder", "content", "told"),
    [
        ("masks", None, "left out, without such a mask: scans/patient1_t2"),
        ("scans", b"cut", "patient1_t2 (patient1_t2.nii.gz: this is no whole"),
        ("masks", b"", "it has 0 bytes"),
        ("masks", nifti((6, 40, 40)), "its shape is (6, 40, 40)"),
        ("scans", nifti((6, 40, 48, 3)), "not three dimensions"),
    ],
)
def test_cases_that_cannot_be_used_are_named(make, folder, content, told):
    root = make("folders")
    file = root / folder / "patient1_t2.nii.gz"
    file.unlink() if content is None else file.write_bytes(content)
    adopted = adopt(root, "mine")
    assert told in " ".join(line.strip("# ") for line in adopted.text.splitlines())
    assert len(adopted.facts.headers) == 2


def test_a_data_set_of_which_nothing_can_be_used(make):
    root = make("folders")
    for file in (root / "scans").iterdir():
        file.write_bytes(b"cut")
    with pytest.raises(DataError, match="none of 3 cases can be used"):
        adopt(root, "mine")


def test_probability_maps_are_told(make):
    root = make("folders")
    soft = np.full((6, 40, 48), 0.5, np.float32)
    nib.save(nib.Nifti1Image(soft, np.diag([4.0, 0.8, 0.8, 1.0])), root / "masks/patient0_t2.nii.gz")
    assert "CHECK: 1 masks hold values that are no whole numbers: patient0_t2" in adopt(root, "mine").text


def test_values_that_dataset_json_does_not_name(make):
    root = make("nnunet")
    description = json.loads((root / "dataset.json").read_text())
    description["labels"].pop("disc")
    (root / "dataset.json").write_text(json.dumps(description))
    assert "CHECK: nothing names the values [2]" in adopt(root, "mine").text


def test_regions_of_nnunet_are_kept(make):
    root = make("nnunet")
    description = json.loads((root / "dataset.json").read_text())
    description["labels"] = {"background": 0, "spine": [1, 2], "disc": 2}
    (root / "dataset.json").write_text(json.dumps(description))
    data = read(adopt(root, "mine").text)[1]
    assert data["labels"].classes == ["label_1", "disc"]
    assert data["labels"].regions == {"spine": ["label_1", "disc"], "disc": ["disc"]}


def test_4d_images_of_the_decathlon_are_not_taken_for_a_folder_of_pairs(make):
    root = make("decathlon")
    description = json.loads((root / "dataset.json").read_text())
    description["modality"] = {"0": "T2", "1": "ADC"}
    (root / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match=r"nearest to decathlon.*nnUNetv2_convert_MSD_dataset"):
        adopt(root, "mine")


@pytest.mark.parametrize(
    ("files", "near"),
    [
        (["readme.txt"], "no format is recognised"),
        (["dataset_description.json", "participants.tsv"], "nearest to bids"),
        (["images/scan1.mha.txt", "imagesTr/a_0000.nrrd.bak"], "nearest to nnunet"),
        (["seg1.nii.gz", "seg2.nii.gz"], "all 2 files are named as masks"),
    ],
)
def test_a_folder_that_is_not_recognised(files, near, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x")
    with pytest.raises(DataError, match=near) as error:
        adopt(tmp_path, "mine")
    for layout in ("spider", "nnunet", "decathlon", "bids", "dicom", "manifest", "folder"):
        assert f"{layout}:" in str(error.value)


def test_an_empty_folder_and_none(tmp_path):
    with pytest.raises(DataError, match="no files"):
        adopt(tmp_path, "mine")
    with pytest.raises(DataError, match="does not exist"):
        adopt(tmp_path / "none", "mine")


def test_a_name_from_a_folder(tmp_path):
    assert plain_name(tmp_path / "My lumbar-MRI (2024)") == "my_lumbar_mri_2024"


@pytest.mark.parametrize(
    ("name", "kind", "cases", "persons"),
    [("gm_challenge", "bids", 6, 4), ("sct_testing", "folder", 3, 3), ("spider_t2space", "folder", 31, 31)],
)
def test_real_data(name, kind, cases, persons, shared):
    adopted = adopt(shared / name, name)
    listed = read(adopted.text)[1]["source"].cases()
    assert adopted.found.format == kind
    assert adopted.facts.left_out == {}
    assert (len(listed), len({case.person for case in listed})) == (cases, persons)
    if name == "gm_challenge":
        assert adopted.advice.plane.value == "axial"
        assert adopted.found.masks == ("seg-manual", "gmseg-manual")  # the cord first, grey matter over it
        assert "in 1 of 6 cases some slices have one mask and not another" in " ".join(adopted.text.split("\n  # "))
