from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from spinelab.data.sources.listing import require_files
from spinelab.data.sources.manifest import ManifestSource
from spinelab.errors import ConfigError, DataError

TABLE = """person,image,mask,case,site,group
P1,scans/a.nii.gz,truth/a.nii.gz,P1-before,Ulm,metastasis
P1,scans/b.mha,truth/b.mha,P1-after,Ulm,metastasis
P2,scans/c.nii.gz,truth/c.nii.gz,,Bern,
"""
LABELS = {1: "vertebra", "2": "disc"}


def write(root: Path, text: str = TABLE) -> Path:
    (root / "manifest.csv").write_text(text)
    return root


def test_everything_is_in_the_table(tmp_path):
    cases = ManifestSource(write(tmp_path), labels=LABELS).cases()
    assert [(c.name, c.person, c.site, c.group) for c in cases] == [
        ("P1-after", "P1", "Ulm", "metastasis"), ("P1-before", "P1", "Ulm", "metastasis"), ("c", "P2", "Bern", "")
    ]  # fmt: skip
    assert cases[0].images == ((tmp_path / "scans/b.mha",),)
    assert cases[0].masks[0].files == (tmp_path / "truth/b.mha",)
    assert cases[0].masks[0].labels == {1: "vertebra", 2: "disc"}
    with pytest.raises(DataError, match=r"3 masks are missing: truth/b\.mha.*; 3 images are missing: scans/b\.mha"):
        require_files(cases)


def test_several_channels_and_masks(tmp_path):
    text = "Person;Image_T2;image_t1;mask;Mask_GM\nP1;t2.nii;t1.nii;seg.nii;gm.nii\n"
    (case,) = ManifestSource(write(tmp_path, text), labels={1: "white"}, overlays={"mask_gm": {1: "grey"}}).cases()
    assert case.images == ((tmp_path / "t2.nii",), (tmp_path / "t1.nii",))
    assert [(m.files[0].name, m.labels) for m in case.masks] == [("seg.nii", {1: "white"}), ("gm.nii", {1: "grey"})]
    assert case.name == "t2"


def test_parquet_elsewhere_and_paths_in_full(tmp_path):
    frame = pd.DataFrame({"person": [1, 2], "image": [str(tmp_path / "data/x.nii"), "y.nii"]})
    frame.to_parquet(tmp_path / "scans.parquet")
    (tmp_path / "data").mkdir()
    cases = ManifestSource(tmp_path / "data", table=tmp_path / "scans.parquet").cases()
    assert [(c.person, c.images[0][0], c.masks) for c in cases] == [
        ("1", tmp_path / "data/x.nii", ()), ("2", tmp_path / "data/y.nii", ())
    ]  # fmt: skip


def test_a_root_that_is_written_with_dots(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    write(tmp_path)
    monkeypatch.chdir(tmp_path / "work")
    (*_, case) = ManifestSource("..", labels=LABELS).cases()
    assert case.images == ((Path("../scans/c.nii.gz"),),)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("person,", "persn,", r"no column person; the table has persn.*\n.*rename persn"),
        (",image,", ",imgae,", r"no column image; .*\n.*rename imgae"),
        (",case,", ",image_t1,", "both `image` and image_t1 are columns"),
        (",mask,", ",masks,", r"no column mask; .*\n.*rename masks"),
    ],
)
def test_columns_that_are_missing(tmp_path, old, new, found):
    with pytest.raises(ConfigError, match=found) as caught:
        ManifestSource(write(tmp_path, TABLE.replace(old, new)), labels=LABELS).cases()
    assert caught.value.file == tmp_path / "manifest.csv"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("scans/b.mha", "../b.mha", r"row 3, column image, names the file '\.\./b\.mha', which cannot lie"),
        ("scans/b.mha", "/etc/passwd", "row 3, column image, names the file '/etc/passwd'"),
        ("truth/c.nii.gz", "", "row 4, column mask, names no file"),
        ("P2", " ", "row 4 names no person"),
        ("P1-before", "p1-AFTER", r"for example p1-after\n.*column `case`"),
        (",,Bern", ",,Bern,x,y", "line 4 has more cells"),
    ],
)
def test_rows_that_are_wrong(tmp_path, old, new, found):
    with pytest.raises(DataError, match=found):
        ManifestSource(write(tmp_path, TABLE.replace(old, new)), labels=LABELS).cases()


def test_a_link_out_of_the_root(tmp_path):
    (tmp_path / "data/scans").mkdir(parents=True)
    (tmp_path / "data/scans/c.nii.gz").symlink_to(tmp_path / "manifest.csv")
    with pytest.raises(DataError, match=r"scans/c\.nii\.gz -> "):
        ManifestSource(write(tmp_path / "data"), labels=LABELS).cases()


def test_labels_have_to_be_told(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.source\.labels"):
        ManifestSource(write(tmp_path)).cases()


def test_no_table(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.csv: the table cannot be read"):
        ManifestSource(tmp_path).cases()
