from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from spinelab.data.sources.folder import FolderSource
from spinelab.data.sources.listing import require_files
from spinelab.data.sources.patterns import expand, natural
from spinelab.errors import ConfigError, DataError


def touch(root: Path, *names: str) -> None:
    """Sources read no pixels, so empty files do."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def source(root: Path, **changes: object) -> FolderSource:
    given = {"image": "images/*.nii.gz", "mask": "masks/{name}", "person": r"(sub-\d+)", "labels": {1: "disc"}}
    return FolderSource(root, **(given | changes))


def test_volumes(tmp_path):
    touch(
        tmp_path, "images/sub-10_T2.nii.gz", "images/sub-9_T2.nii.gz", "images/sub-9_T1.nii.gz", "images/.hidden.nii.gz"
    )
    touch(tmp_path, "masks/sub-10_T2.nii.gz", "masks/sub-9_T2.nii.gz", "masks/sub-9_T1.nii.gz")
    cases = source(tmp_path).cases()
    assert [(c.name, c.person) for c in cases] == [
        ("sub-9_T1", "sub-9"),
        ("sub-9_T2", "sub-9"),
        ("sub-10_T2", "sub-10"),
    ]
    assert cases[0].images == ((tmp_path / "images/sub-9_T1.nii.gz",),)
    assert cases[0].masks[0].files == (tmp_path / "masks/sub-9_T1.nii.gz",)
    assert cases[0].masks[0].labels == {1: "disc"}


def test_slices_are_stacked_in_natural_order(tmp_path):
    for folder in ("images", "masks"):
        touch(tmp_path, *(f"{folder}/sub-{p}_{i}.png" for p in (1, 2) for i in (10, 9, 100)))
    cases = source(tmp_path, image="images/*.png").cases()
    assert [c.name for c in cases] == ["sub-1", "sub-2"]
    for files in (cases[1].images[0], cases[1].masks[0].files):
        assert [f.name for f in files] == ["sub-2_9.png", "sub-2_10.png", "sub-2_100.png"]


def test_a_slice_pattern_orders_and_a_volume_pattern_tells_apart(tmp_path):
    names = ("sub-1_T1_z2_a.png", "sub-1_T1_z10_b.png", "sub-1_T2_z1_c.png")
    touch(tmp_path, *(f"images/{n}" for n in names))
    changes = {"image": "images/*.png", "mask": None, "slice": r"_z(\d+)"}
    cases = source(tmp_path, volume=r"_(T\d)", **changes).cases()
    assert [(c.name, c.person) for c in cases] == [("sub-1_T1", "sub-1"), ("sub-1_T2", "sub-1")]
    assert [f.name for f in cases[0].images[0]] == list(names[:2])
    touch(tmp_path, "images/sub-1_T2_z2_d.png")
    with pytest.raises(DataError, match=r"volume sub-1 has 2 slices 2\n.*volume"):
        source(tmp_path, **changes).cases()


def test_masks_drawn_over_masks_and_alternatives(tmp_path):
    touch(tmp_path, "a/x.nii", "a/x_seg.nii", "a/x_gm.nii", "b/y.nii", "b/y_seg-manual.nii", "b/y_gm.nii")
    cases = source(
        tmp_path,
        image="{a/x,b/y}.nii",
        person="one",
        mask="{folder}/{stem}{_seg,_seg-manual}.nii",
        overlays={"{folder}/{stem}_gm.nii": {1: "grey"}},
    ).cases()
    assert [c.person for c in cases] == ["one", "one"]
    assert [[m.files[0].name for m in c.masks] for c in cases] == [
        ["x_seg.nii", "x_gm.nii"],
        ["y_seg-manual.nii", "y_gm.nii"],
    ]
    assert cases[0].masks[1].labels == {1: "grey"}
    touch(tmp_path, "b/y_seg.nii")
    with pytest.raises(DataError, match="2 files match"):
        source(tmp_path, image="b/y.nii", person="one", mask="{folder}/{stem}{_seg,_seg-manual}.nii").cases()


def test_labels_as_yaml_gives_them(tmp_path):
    touch(tmp_path, "images/sub-1.nii.gz", "masks/sub-1.nii.gz")
    labels = OmegaConf.create({"1": "disc", 2: "canal"})
    assert source(tmp_path, labels=labels).cases()[0].masks[0].labels == {1: "disc", 2: "canal"}


def test_missing_root(tmp_path):
    with pytest.raises(DataError, match=r"SPINELAB_DATA.*data\.root=") as caught:
        source(tmp_path / "none").cases()
    assert caught.value.file == tmp_path / "none"


def test_nothing_matches(tmp_path):
    touch(tmp_path, "scans/a.nii.gz")
    with pytest.raises(DataError, match=r"no image matches images/\*\.nii\.gz; the folder holds scans/a\.nii\.gz"):
        source(tmp_path).cases()


def test_missing_masks_are_counted_and_the_first_five_listed(tmp_path):
    touch(tmp_path, *(f"images/sub-{i}.nii.gz" for i in range(9)), "masks/sub-3.nii.gz")
    cases = source(tmp_path).cases()
    assert [case.masks[0].files for case in cases] == [(tmp_path / f"masks/sub-{i}.nii.gz",) for i in range(9)]
    with pytest.raises(
        DataError, match=r"8 masks are missing: masks/sub-0\.nii\.gz, .*masks/sub-5\.nii\.gz \.\.\."
    ) as caught:
        require_files(cases)
    assert caught.value.file == tmp_path
    assert "sub-3" not in str(caught.value)
    require_files(cases[3:4])


def test_slices_without_a_mask_are_named_one_by_one(tmp_path):
    touch(tmp_path, *(f"images/sub-1_{i}.png" for i in range(3)), "masks/sub-1_0.png")
    (case,) = source(tmp_path, image="images/*.png").cases()
    with pytest.raises(DataError, match=r"2 masks are missing: masks/sub-1_1\.png, masks/sub-1_2\.png\n"):
        require_files([case])


def test_further_contrasts_are_channels(tmp_path):
    touch(tmp_path, "t2/sub-1_T2w.nii", "t1/sub-1_T1w.nii.gz", "t2/sub-2_T2w.nii", "masks/sub-1_T2w.nii")
    touch(tmp_path, "masks/sub-2_T2w.nii")
    cases = source(tmp_path, image="t2/*.nii", channels=["t1/{person}_T1w{.nii,.nii.gz}"]).cases()
    assert cases[0].images == ((tmp_path / "t2/sub-1_T2w.nii",), (tmp_path / "t1/sub-1_T1w.nii.gz",))
    assert [mask.files[0].name for mask in cases[0].masks] == ["sub-1_T2w.nii"]
    require_files(cases[:1])
    with pytest.raises(DataError, match=r"1 image is missing: t1/sub-2_T1w\.nii\n"):
        require_files(cases)


def test_stacked_slices_have_stacked_channels(tmp_path):
    touch(tmp_path, *(f"{folder}/sub-1_{i}.png" for folder in ("t2", "t1", "masks") for i in (1, 2, 10)))
    (case,) = source(tmp_path, image="t2/*.png", channels=["t1/{name}"]).cases()
    assert [[f"{f.parent.name}/{f.name}" for f in files] for files in case.images] == [
        [f"{folder}/sub-1_{i}.png" for i in (1, 2, 10)] for folder in ("t2", "t1")
    ]


def test_links_that_leave_the_root_are_refused_by_name(tmp_path):
    root = tmp_path / "data"
    touch(tmp_path, "elsewhere/sub-1.nii.gz", "data/.annex/1", "data/masks/sub-1.nii.gz", "data/masks/sub-2.nii.gz")
    (root / "images").mkdir()
    (root / "images/sub-2.nii.gz").symlink_to(root / ".annex/1")
    assert [case.name for case in source(root).cases()] == ["sub-2"]
    (root / "images/sub-1.nii.gz").symlink_to(tmp_path / "elsewhere/sub-1.nii.gz")
    with pytest.raises(DataError, match=r"1 files are links that lead out .*images/sub-1\.nii\.gz -> .*elsewhere"):
        source(root).cases()


def test_links_to_what_was_not_fetched_are_missing_files(tmp_path):
    touch(tmp_path, "images/sub-1.nii.gz", "masks/sub-1.nii.gz", "masks/sub-2.nii.gz")
    (tmp_path / "images/sub-2.nii.gz").symlink_to("../.git/annex/objects/2")
    with pytest.raises(DataError, match=r"1 image is missing: images/sub-2\.nii\.gz\n.*datalad get"):
        require_files(source(tmp_path).cases())


def test_a_root_that_is_a_link_itself_is_fine(tmp_path):
    touch(tmp_path, "real/images/sub-1.nii.gz", "real/masks/sub-1.nii.gz")
    (tmp_path / "data").symlink_to(tmp_path / "real")
    require_files(source(tmp_path / "data").cases())


def test_a_masks_folder_behind_a_link_is_refused(tmp_path):
    touch(tmp_path, "data/images/sub-1.nii.gz", "elsewhere/sub-1.nii.gz")
    (tmp_path / "data/masks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"masks/sub-1\.nii\.gz -> "):
        source(tmp_path / "data").cases()


def test_names_that_repeat(tmp_path):
    names = [f"sub-{i}/{f}/t2.nii.gz" for i in (1, 2) for f in ("images", "masks")]
    touch(tmp_path, *names)
    changes = {"image": "sub-*/images/t2.nii.gz", "mask": "{folder}/../masks/{name}"}
    with pytest.raises(ConfigError, match="leads out"):
        source(tmp_path, **changes).cases()
    changes["mask"] = None
    with pytest.raises(DataError, match=r"for example t2\n.*data\.source\.volume"):
        source(tmp_path, **changes).cases()
    assert [c.name for c in source(tmp_path, volume="(sub-[0-9]+)", **changes).cases()] == ["sub-1", "sub-2"]


def test_case_does_not_tell_names_apart(tmp_path):
    touch(tmp_path, "images/sub-1_a.nii.gz", "images/sub-1_A.nii.gz")
    with pytest.raises(DataError, match="more than once"):
        source(tmp_path, mask=None).cases()


def test_a_person_pattern_that_finds_nothing(tmp_path):
    touch(tmp_path, "images/patient7.nii.gz")
    with pytest.raises(DataError, match=r"finds no person in 'images/patient7\.nii\.gz'"):
        source(tmp_path, mask=None).cases()


@pytest.mark.parametrize("person", [r"sub-\d+", r"(sub)-(\d+)", "sub.*"])
def test_a_person_pattern_needs_one_group(tmp_path, person):
    touch(tmp_path, "images/sub-7.nii.gz")
    with pytest.raises(ConfigError, match="groups in parentheses, not one"):
        source(tmp_path, mask=None, person=person).cases()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"image": "**.nii.gz"}, "Invalid pattern"),
        ({"image": ""}, "pattern ''"),
        ({"person": "(sub-[0-9"}, "unterminated"),
    ],
)
def test_patterns_that_are_not_well_formed(tmp_path, changes, found):
    touch(tmp_path, "images/sub-7.nii.gz")
    with pytest.raises(ConfigError, match=rf"{found}.*\n"):
        source(tmp_path, mask=None, **changes).cases()


@pytest.mark.parametrize("image", ["../*.nii.gz", "/etc/*.nii.gz", "images/../../*.nii.gz"])
def test_patterns_do_not_leave_the_root(tmp_path, image):
    touch(tmp_path, "secret.nii.gz", "data/images/sub-1.nii.gz")
    with pytest.raises(ConfigError, match="leads out"):
        source(tmp_path / "data", image=image, mask=None).cases()


def test_names_are_safe_as_file_names(tmp_path):
    touch(tmp_path, "images/sub-1 (old) scan.nii.gz")
    assert source(tmp_path, mask=None).cases()[0].name == "sub-1--old--scan"


def test_several_volumes_under_one_name(tmp_path):
    touch(tmp_path, "images/sub-1_a.nii.gz", "images/sub-1_b.nii.gz")
    with pytest.raises(DataError, match="2 files make one volume"):
        source(tmp_path, mask=None, volume=r"(sub-\d+)").cases()


def test_labels_have_to_be_told(tmp_path):
    touch(tmp_path, "images/sub-1.nii.gz", "masks/sub-1.nii.gz")
    with pytest.raises(ConfigError, match=r"data\.source\.labels"):
        source(tmp_path, labels=None).cases()


def test_an_unknown_field_in_the_masks_pattern(tmp_path):
    touch(tmp_path, "images/sub-1.nii.gz")
    with pytest.raises(ConfigError, match="use folder, stem, name, person"):
        source(tmp_path, mask="masks/{file}").cases()


def test_expand_and_natural():
    assert expand("{a,b}/{x}{,_1}") == ["a/{x}", "a/{x}_1", "b/{x}", "b/{x}_1"]
    assert sorted(["s10", "s9", "10", "s", "9x"], key=natural) == ["9x", "10", "s", "s9", "s10"]
