from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinelab.commands import phantom as phantom_command
from spinelab.commands.phantom import READ, main
from spinelab.errors import ConfigError, DataError
from spinelab.phantom import LABELS, dataset
from spinelab.phantom.dataset import generate
from spinelab.phantom.lesions import LESION_KINDS
from spinelab.phantom.parameters import Parameters
from spinelab.phantom.regions import REGIONS

LEVELS = REGIONS["lumbar"].levels


@pytest.fixture(scope="module")
def truth(phantom: Path) -> pd.DataFrame:
    return pd.read_csv(phantom / "truth.csv", keep_default_na=False, na_values=[""]).set_index("participant_id")


def images(root: Path) -> list[Path]:
    return sorted(root.glob("sub-*/anat/*_T2w.nii.gz"))


def mask_of(image: Path) -> Path:
    person = image.parts[-3]
    return image.parents[2] / "derivatives/labels" / person / "anat" / image.name.replace("_T2w", "_T2w_dseg")


def person_files(root: Path, person: str) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob(f"{person}_*.nii.gz")}


def test_files_are_where_bids_wants_them(phantom: Path) -> None:
    assert len(images(phantom)) == 6
    assert all(mask_of(image).is_file() for image in images(phantom))
    assert json.loads((phantom / "dataset_description.json").read_text())["BIDSVersion"]
    participants = pd.read_csv(phantom / "participants.tsv", sep="\t", keep_default_na=False)
    assert list(participants) == ["participant_id", "site", "group", "region"]
    assert list(participants.participant_id) == [f"sub-{n:03d}" for n in range(1, 7)]
    names = pd.read_csv(phantom / "derivatives/labels/dseg.tsv", sep="\t")
    assert dict(zip(names["index"], names["name"], strict=True)) == LABELS
    assert json.loads((phantom / "phantom.json").read_text())["persons"] == 6
    assert not list(phantom.rglob("*.tmp"))
    assert not [p for p in phantom.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("kinds", [LESION_KINDS, LESION_KINDS[:3], LESION_KINDS[:2]])
def test_kinds_and_sites_are_balanced(kinds: tuple[str, ...]) -> None:
    asked = Parameters(1, 0, ("T2w",), ("sagittal",), 4, 1.0, "lumbar", "narrow", kinds, 0, 0, 1, 1, 1)  # type: ignore[arg-type]
    number = 3 * len(kinds)
    pairs = [(lesion, site.name) for lesion, site in map(asked.lesion_and_site, range(1, number + 1))]
    assert len(set(pairs)) == number


def test_participants_name_site_and_kind_of_lesion(phantom: Path, truth: pd.DataFrame) -> None:
    participants = pd.read_csv(phantom / "participants.tsv", sep="\t", keep_default_na=False)
    assert list(participants.group) == list(truth.lesion)
    assert set(participants.group) == set(LESION_KINDS)
    assert set(participants.site) == {"A", "B", "C"}


def test_image_and_mask_share_a_true_affine(phantom: Path) -> None:
    origins = set()
    for path in images(phantom):
        image, mask = nib.load(path), nib.load(mask_of(path))
        assert np.array_equal(image.affine, mask.affine)
        assert image.shape == mask.shape == (16, 112, 192)
        assert (image.get_data_dtype(), mask.get_data_dtype()) == (np.int16, np.uint8)
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert nib.as_closest_canonical(image) is image
        np.testing.assert_allclose(image.header.get_zooms(), [4, 1, 1])
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
        centre = image.affine @ [*(np.array(image.shape) - 1) / 2, 1]
        assert np.abs(centre[:3] - [0, -10, 0]).max() <= 10.001  # the middle of the field lies 10 mm behind the spine
        origins.add(tuple(image.affine[:3, 3]))
    assert len(origins) == 6


def test_every_label_appears_where_it_must(phantom: Path, truth: pd.DataFrame) -> None:
    values = {name: value for value, name in LABELS.items()}
    for path in images(phantom):
        lesion = truth.loc[path.parts[-3], "lesion"]
        found = set(np.unique(nib.load(mask_of(path)).dataobj))
        assert found == {0, 1, 2, 3, 4, 5} | ({values[lesion]} if lesion != "none" else set())


def test_lesions_are_as_large_and_where_the_truth_says(phantom: Path, truth: pd.DataFrame) -> None:
    for path in images(phantom):
        row, mask = truth.loc[path.parts[-3]], nib.load(mask_of(path))
        lesion = np.argwhere(np.asarray(mask.dataobj) >= 6)
        assert row.lesion_volume_in_mask_mm3 == len(lesion) * 4
        if row.lesion == "none":
            assert row.lesion_volume_mm3 == 0
            assert math.isnan(row.lesion_x_mm)
            assert pd.isna(row.lesion_level)
            continue
        assert row.lesion_volume_in_mask_mm3 == pytest.approx(row.lesion_volume_mm3, rel=0.35)
        assert row.lesion_compartment
        centre = nib.affines.apply_affine(mask.affine, lesion.mean(0))
        np.testing.assert_allclose(centre, row[["lesion_x_mm", "lesion_y_mm", "lesion_z_mm"]].astype(float), atol=2)
        level_z = {level: row[f"centre_{level}_z_mm"] for level in LEVELS}
        assert row.lesion_level == min(level_z, key=lambda level: abs(level_z[level] - centre[2]))


def test_vertebrae_are_as_high_as_the_truth_says(phantom: Path, truth: pd.DataFrame) -> None:
    """Runs of body voxels along z, corrected for the tilt of the spine, against truth.csv."""
    measured = 0
    for path in images(phantom):
        row, mask = truth.loc[path.parts[-3]], nib.load(mask_of(path))
        body = np.isin(np.asarray(mask.dataobj), [1, 6, 9])
        body_rows = {level: round(row[f"centre_{level}_z_mm"] - mask.affine[2, 3]) for level in LEVELS}
        seen = [level for level, z in body_rows.items() if 0 <= z < 192]
        middle = {level: np.argwhere(body[:, :, body_rows[level]]).mean(0) for level in seen}
        for i, level in enumerate(seen):
            if math.isnan(row[f"height_{level}_mm"]):
                continue
            above, below = seen[max(i - 1, 0)], seen[min(i + 1, len(seen) - 1)]
            slope = (middle[above][1] - middle[below][1]) / (body_rows[above] - body_rows[below])
            x, y = (round(c) for c in middle[level])
            columns = body[x - 2 : x + 3, y - 7 : y + 8].reshape(-1, 192)
            runs = [run_through(column, body_rows[level]) for column in columns]
            height = np.mean(runs) * math.cos(math.atan(slope))
            assert height == pytest.approx(row[f"height_{level}_mm"], abs=1.5), (path.name, level)
            measured += 1
    assert measured >= 24


def run_through(column: np.ndarray, at: int) -> int:
    """Length of the run of true values that contains a position."""
    gaps = np.flatnonzero(~column)
    return int(gaps[gaps > at].min(initial=len(column)) - gaps[gaps < at].max(initial=-1) - 1) if column[at] else 0


def test_levels_descend_and_the_canal_lies_behind(phantom: Path, truth: pd.DataFrame) -> None:
    centres = truth[[f"centre_{level}_z_mm" for level in LEVELS]].to_numpy()
    assert (np.diff(centres, axis=1) < -15).all()
    for path in images(phantom):
        mask = nib.load(mask_of(path))
        values = np.asarray(mask.dataobj)
        for z in range(0, 192, 16):
            where = {v: np.argwhere(values[:, :, z] == v)[:, 1].mean() for v in (1, 3) if (values[:, :, z] == v).any()}
            assert len(where) < 2 or where[1] > where[3] + 10


def test_fewer_persons_are_a_prefix_whatever_the_processes(phantom: Path, tmp_path: Path) -> None:
    fewer = generate(tmp_path / "fewer", persons=2, seed=1, progress=False, processes=2)
    for person in ("sub-001", "sub-002"):
        assert person_files(fewer, person) == person_files(phantom, person) != {}
    long, short = ((root / "truth.csv").read_text().splitlines() for root in (phantom, fewer))
    assert short == long[:3]


def test_further_sequences_and_seeds(phantom: Path, tmp_path: Path) -> None:
    more = generate(tmp_path / "more", 1, seed=1, contrasts=("T1w", "T2w", "STIR"), progress=False)
    files, before = person_files(more, "sub-001"), person_files(phantom, "sub-001")
    assert len(files) == 6
    assert {name: files[name] for name in before} == before
    other = generate(tmp_path / "other", 1, seed=2, progress=False)
    assert not set(person_files(other, "sub-001").values()) & set(before.values())


def test_axial_plane(tmp_path: Path) -> None:
    root = generate(tmp_path / "axial", 1, planes=("axial",), thickness_mm=6, progress=False)
    image = nib.load(images(root)[0])
    assert image.shape == (64, 112, 32)
    np.testing.assert_allclose(image.header.get_zooms(), [1, 1, 6])


def test_the_same_data_set_is_not_made_again(phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_build", lambda *_: pytest.fail("built again"))
    assert generate(phantom, persons=6, seed=1) == phantom


def test_other_parameters_are_refused(phantom: Path) -> None:
    with pytest.raises(DataError, match=r"seed 1 instead of 2.*\n.*another folder"):
        generate(phantom, persons=6, seed=2)
    assert len(images(phantom)) == 6


@pytest.mark.parametrize("content", ["not json", "[]", ""])
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "phantom.json").write_text(content)
    with pytest.raises(DataError, match="not a phantom"):
        generate(tmp_path, persons=1)
    assert [p.name for p in tmp_path.iterdir()] == ["phantom.json"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("mine")
    with pytest.raises(DataError, match="not a phantom"):
        generate(tmp_path / "root", persons=1)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert len(images(generate(tmp_path, persons=1, progress=False))) == 1


def test_a_failed_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(dataset, "write_table", disk_full)
    with pytest.raises(OSError, match="No space left"):
        generate(tmp_path / "set", persons=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_faster_process_with_the_same_data_set_wins(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, build = tmp_path / "set", dataset._build

    def overtaken(*arguments: object) -> None:
        build(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(dataset, "_build", build)
        generate(root, persons=1, progress=False)

    monkeypatch.setattr(dataset, "_build", overtaken)
    assert generate(root, persons=1, progress=False) == root
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"persons": 0},
        {"seed": -1},
        {"contrasts": ()},
        {"contrasts": ("T2w", "T2w")},
        {"contrasts": ("FLAIR",)},
        {"planes": ("oblique",)},
        {"thickness_mm": 0},
        {"in_plane_mm": 0.3},
        {"region": "sacral"},
        {"extent": "huge"},
        {"lesions": ("cyst",)},
        {"visits": 0},
        {"growth": 0},
        {"scoliosis": 2},
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"persons|contrasts|plane|thick|region|extent|lesions|visits|rates"):
        generate(tmp_path / "set", **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_two_visits_show_one_person_with_a_grown_lesion(phantom: Path, tmp_path: Path) -> None:
    root = generate(tmp_path / "visits", 1, seed=1, visits=2, growth=1.6, progress=False)
    rows = pd.read_csv(root / "truth.csv", keep_default_na=False)
    assert list(rows.session) == ["ses-01", "ses-02"]
    assert list(rows.lesion_growth) == [1.0, 1.6]
    assert rows.lesion_volume_mm3[1] > 1.1 * rows.lesion_volume_mm3[0]
    first, second = (nib.load(root / f"sub-001/{s}/anat/sub-001_{s}_T2w.nii.gz") for s in rows.session)
    alone = nib.load(phantom / "sub-001/anat/sub-001_T2w.nii.gz")
    assert np.array_equal(first.dataobj, alone.dataobj)  # a second visit leaves the first as it was
    turned = second.affine[:3, :3] @ np.linalg.inv(first.affine[:3, :3])
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-5)
    angle = math.degrees(math.acos((np.trace(turned) - 1) / 2))
    assert 0.1 < angle < 5.3  # three turns of 3 degrees at most
    # The lesion of the second mask lies where the second row says, in the scanner's frame.
    mask = nib.load(root / "derivatives/labels/sub-001/ses-02/anat/sub-001_ses-02_T2w_dseg.nii.gz")
    assert np.array_equal(mask.affine, second.affine)
    centre = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) >= 6).mean(0))
    expected = rows.loc[1, ["lesion_x_mm", "lesion_y_mm", "lesion_z_mm"]].astype(float)
    np.testing.assert_allclose(centre, expected, atol=2)


def test_planes_and_contrasts_show_the_same_anatomy(tmp_path: Path) -> None:
    planes = ("sagittal", "axial")
    root = generate(tmp_path / "set", 1, contrasts=("T1w", "T1wCE"), planes=planes, in_plane_mm=None, progress=False)
    names = sorted(p.name for p in root.glob("sub-001/anat/*"))
    assert names == [f"sub-001_acq-{p}_{c}.nii.gz" for p in ("axial", "sagittal") for c in ("T1w", "T1wCE")]
    masks = [nib.load(p) for p in sorted(root.glob("derivatives/labels/sub-001/anat/*.nii.gz"))]
    assert np.array_equal(masks[0].dataobj, masks[1].dataobj)
    centres = [nib.affines.apply_affine(m.affine, np.argwhere(np.asarray(m.dataobj) == 3).mean(0)) for m in masks]
    np.testing.assert_allclose(centres[0], centres[2], atol=1)


def test_tissues_are_written_down(phantom: Path) -> None:
    tissues = pd.read_csv(phantom / "tissues.tsv", sep="\t", keep_default_na=False).set_index("tissue")
    assert tissues.loc["marrow", "label"] == "vertebra"
    assert 0.9 < float(tissues.loc["fat", "fat_fraction"]) <= 1


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["region=sacral"], "cervical, thoracic, lumbar"),
        (["contrasts=T2w,FLAIR"], "T1w, T2w, STIR, T1wCE"),
        (["planes=oblique"], "sagittal, coronal, axial"),
        (["lesions=cyst"], "intramedullary"),
        (["in_plane_mm=fine"], "a number or site"),
        (["visits=two"], "a whole number"),
        (["fractures=often"], "a number"),
        (["sequences=T2"], "contrasts"),
    ],
)
def test_the_command_says_what_is_allowed(tmp_path: Path, words: list[str], allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed):
        main([f"out={tmp_path / 'set'}", *words])
    assert not (tmp_path / "set").exists()


def test_the_command_takes_every_option(tmp_path: Path) -> None:
    words = ["persons=1", "seed=3", "region=cervical", "extent=wide", "contrasts=water,fat", "planes=axial"]
    words += ["thickness_mm=5", "in_plane_mm=site", "lesions=intramedullary", "fractures=0", "scoliosis=0"]
    assert main([f"out={tmp_path / 'set'}", *words, "visits=1", "growth=2"]) == 0
    made = json.loads((tmp_path / "set/phantom.json").read_text())
    assert (made["region"], made["in_plane_mm"], made["contrasts"]) == ("cervical", None, ["water", "fat"])
    assert len(list((tmp_path / "set").glob("sub-001/anat/*.nii.gz"))) == 2
    options = inspect.signature(generate).parameters
    assert {*READ, "root", "progress", "processes"} == set(options)
    assert all(f"  {option}=" in str(phantom_command.__doc__) for option in READ)


def test_torch_is_not_imported() -> None:
    code = "import sys, spinelab.phantom.dataset; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
