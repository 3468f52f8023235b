from __future__ import annotations

from pathlib import Path

import pytest

from spinelab.data.sources.bids import BidsSource
from spinelab.data.sources.listing import require_files
from spinelab.errors import ConfigError, DataError

MASKS = {"seg": {1: "white"}, "gmseg": {"1": "grey"}}


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """Two persons; the first has two sessions, in folders of their own."""
    stems = ["sub-A/ses-1/anat/sub-A_ses-1_T2w", "sub-A/ses-2/anat/sub-A_ses-2_T2w", "sub-B/anat/sub-B_run-1_T2w"]
    for path in stems:
        for name in (f"{path}.nii.gz", *(f"derivatives/labels/{path}_{mask}.nii.gz" for mask in MASKS)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    (tmp_path / "sub-B/anat/sub-B_T1w.nii.gz").touch()
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tSITE\nsub-A\t30\tUlm\nsub-B\tn/a\tn/a\n", "utf-8-sig"
    )
    return tmp_path


def test_scans_masks_persons_and_sites(bids):
    cases = BidsSource(bids, "T2w", MASKS).cases()
    assert [(c.name, c.person, c.site) for c in cases] == [
        ("sub-A_ses-1_T2w", "sub-A", "Ulm"), ("sub-A_ses-2_T2w", "sub-A", "Ulm"), ("sub-B_run-1_T2w", "sub-B", "")
    ]  # fmt: skip
    assert [m.files[0].name for m in cases[0].masks] == ["sub-A_ses-1_T2w_seg.nii.gz", "sub-A_ses-1_T2w_gmseg.nii.gz"]
    assert [m.labels for m in cases[0].masks] == [{1: "white"}, {1: "grey"}]


def test_uncompressed_masks_and_no_table(bids):
    (bids / "participants.tsv").unlink()
    mask = bids / "derivatives/labels/sub-B/anat/sub-B_run-1_T2w_seg.nii.gz"
    mask.rename(mask.with_suffix(""))
    case = BidsSource(bids, "T2w", MASKS).cases()[-1]
    assert case.site == ""
    assert case.masks[0].files[0].name == "sub-B_run-1_T2w_seg.nii"


def test_what_is_missing(bids):
    with pytest.raises(DataError, match=r"no image matches sub-\*/\*\*/\*_bold\.nii\.gz"):
        BidsSource(bids, "bold", MASKS).cases()
    cases = BidsSource(bids, "T1w", {"seg": {1: "white"}}).cases()
    assert cases[0].masks[0].files == (bids / "derivatives/labels/sub-B/anat/sub-B_T1w_seg.nii.gz",)
    with pytest.raises(DataError, match=r"1 mask is missing: derivatives/labels/sub-B/anat/sub-B_T1w_seg\.nii\.gz"):
        require_files(cases)
    assert BidsSource(bids, "T1w", {}).cases()[0].masks == ()
    with pytest.raises(DataError, match="SPINELAB_DATA"):
        BidsSource(bids / "none", "T2w", MASKS).cases()


def test_several_contrasts_are_channels_of_one_case(bids):
    for name in ("sub-A/ses-1/anat/sub-A_ses-1_T1w.nii", "sub-A/ses-2/anat/sub-A_ses-2_T1w.nii.gz"):
        (bids / name).touch()
    (bids / "sub-B/anat/sub-B_T1w.nii.gz").rename(bids / "sub-B/anat/sub-B_run-1_T1w.nii.gz")
    cases = BidsSource(bids, ["T2w", "T1w"], MASKS).cases()
    assert [[files[0].name for files in case.images] for case in cases] == [
        ["sub-A_ses-1_T2w.nii.gz", "sub-A_ses-1_T1w.nii"],
        ["sub-A_ses-2_T2w.nii.gz", "sub-A_ses-2_T1w.nii.gz"],
        ["sub-B_run-1_T2w.nii.gz", "sub-B_run-1_T1w.nii.gz"],
    ]
    assert [case.name for case in cases] == ["sub-A_ses-1_T2w", "sub-A_ses-2_T2w", "sub-B_run-1_T2w"]
    assert cases[0].masks[0].files[0].name == "sub-A_ses-1_T2w_seg.nii.gz"
    require_files(cases)


def test_a_contrast_that_is_missing_is_named_whichever_it_is(bids):
    (bids / "sub-B/anat/sub-B_T1w.nii.gz").rename(bids / "sub-B/anat/sub-B_run-2_T1w.nii.gz")
    with pytest.raises(DataError, match=r"4 images are missing: .*sub-A_ses-1_T1w.*sub-B_run-1_T1w.*sub-B_run-2_T2w"):
        require_files(BidsSource(bids, ["T2w", "T1w"], {}).cases())


def test_groups_come_from_the_table_of_participants(bids):
    table = "participant_id\tscanner\tGroup\tlesion\nsub-A\tSkyra\tpatient\tmetastasis\nsub-B\tn/a\tn/a\t\n"
    (bids / "participants.tsv").write_text(table)
    cases = BidsSource(bids, "T2w", {}).cases()
    assert [(c.site, c.group) for c in cases] == [("", "patient")] * 2 + [("", "")]
    cases = BidsSource(bids, "T2w", {}, site_column="scanner", group_column="lesion").cases()
    assert [(c.site, c.group) for c in cases] == [("Skyra", "metastasis")] * 2 + [("", "")]
    with pytest.raises(ConfigError, match=r"no column leison; .*\n.*rename lesion") as caught:
        BidsSource(bids, "T2w", {}, group_column="leison").cases()
    assert caught.value.file == bids / "participants.tsv"


def test_a_damaged_table_of_participants(bids):
    (bids / "participants.tsv").write_bytes(b"participant_id\tsite\nsub-A\tM\xfcnchen\n")
    with pytest.raises(DataError, match=r"participants\.tsv: the table cannot be read .*utf-8.*\n.*UTF-8"):
        BidsSource(bids, "T2w", {}).cases()


def test_a_scan_that_is_there_twice(bids):
    (bids / "sub-B/anat/sub-B_run-1_T2w.nii").touch()
    with pytest.raises(DataError, match="there twice"):
        BidsSource(bids, "T2w", MASKS).cases()
