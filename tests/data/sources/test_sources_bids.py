from __future__ import annotations

from pathlib import Path

import pytest

from spinelab.data.sources.bids import BidsSource
from spinelab.errors import DataError

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
    with pytest.raises(DataError, match=r"1 mask is missing: derivatives/labels/sub-B/anat/sub-B_T1w_seg\.nii\.gz"):
        BidsSource(bids, "T1w", {"seg": {1: "white"}}).cases()
    assert BidsSource(bids, "T1w", {}).cases()[0].masks == ()
    with pytest.raises(DataError, match="SPINELAB_DATA"):
        BidsSource(bids / "none", "T2w", MASKS).cases()
