"""A whole data set: outliers, duplicates, persons; and that a healthy one is let alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.data.doctor.examine import examine
from spinelab.data.doctor.survey import survey
from spinelab.data.splits import leave_one_person_out
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("body",))
AFFINE = np.diag([4.0, 0.5, 0.5, 1])


def write(root: Path, name: str, seed: int, *, factor: float = 1, affine: np.ndarray = AFFINE, **facts: str) -> Case:
    rng = np.random.default_rng(seed)
    mask = np.zeros((6, 12, 14), np.uint8)
    x, y = seed % 5, seed // 5 % 5  # no two persons below 25 have one mask
    mask[:, x : x + 7, y : y + 6] = 1
    image = ((200 * mask + rng.normal(300, 20, mask.shape)) * factor).astype(np.float32)
    files = root / f"{name}.nii.gz", root / f"{name}_seg.nii.gz"
    for file, array in zip(files, (image, mask), strict=True):
        nib.save(nib.Nifti1Image(array, affine), file)
    return Case(
        name, facts.get("person", name), ((files[0],),), (MaskFiles((files[1],), {1: "body"}),), facts.get("site", "")
    )


def ask(root: Path, cases: list[Case], **options):
    persons = [case.person for case in cases]
    split = partial(leave_one_person_out, persons)
    return survey(cases, LABELS, Preprocessing(), root, split, progress=False, **options)


@pytest.fixture
def cases(tmp_path) -> list[Case]:
    return [write(tmp_path, f"p{number}", number) for number in range(8)]


def test_a_healthy_data_set_has_no_finding(tmp_path, cases):
    findings, examined, split = ask(tmp_path, cases, channels=1)
    assert findings == []
    assert split is not None
    assert [one.slices for one in examined] == [6] * 8
    assert examined[0].slice_shape == (14, 12)
    assert examined[0].voxels == {"body": 252}


def test_processes_find_what_one_finds(tmp_path, cases):
    (tmp_path / "p3.nii.gz").write_bytes(b"broken")
    extra = write(tmp_path, "p9", 9, factor=1000)
    one = ask(tmp_path, [*cases, extra])[0]
    two = ask(tmp_path, [*cases, extra], workers=2)[0]
    assert one == two
    assert {finding.case for finding in one} == {"p3", "p9"}


def test_outliers_are_told_with_both_numbers(tmp_path, cases):
    far = [write(tmp_path, "bright", 20, factor=50), write(tmp_path, "coarse", 21, affine=np.diag([4, 2, 2, 1.0]))]
    findings = ask(tmp_path, [*cases, *far])[0]
    assert {finding.severity for finding in findings} == {"warning"}
    spacing = [finding for finding in findings if finding.check == "spacing-outlier"]
    assert {finding.case for finding in spacing} == {"coarse"}
    assert any("is 2 mm, the data set's median is 0.5 mm" in finding.found for finding in spacing)
    assert {finding.case for finding in findings if finding.check == "intensity-outlier"} == {"bright"}


def test_one_scan_in_another_container_is_the_same_scan(tmp_path, cases):
    image = nib.load(cases[0].images[0][0])
    nib.save(nib.Nifti1Image(np.array(image.dataobj), image.affine), tmp_path / "copy.nii")
    double = Case("copy", "copy", ((tmp_path / "copy.nii",),), cases[1].masks)
    checks = [finding.check for finding in ask(tmp_path, [*cases, double])[0]]
    assert sorted(checks) == ["duplicated-person", "same-mask"] or "duplicated-person" in checks


def test_a_scan_twice_of_one_person_is_a_warning(tmp_path, cases):
    again = Case("again", cases[0].person, cases[0].images, cases[0].masks)
    (finding,) = ask(tmp_path, [*cases, again])[0]
    assert (finding.severity, finding.check) == ("warning", "duplicated-scan")


def test_sites_channels_and_names(tmp_path, cases):
    odd = [
        write(tmp_path, "q1", 30, person="p0", site="north"),
        Case("two", "two", cases[1].images * 2, cases[1].masks),
        Case("bad/name", "..", cases[2].images, cases[2].masks),
    ]
    found = {finding.check for finding in ask(tmp_path, [*cases, *odd], channels=1)[0]}
    assert {"several-sites", "channels", "case-name", "person-name"} <= found


def test_the_network_sees_as_many_channels_as_there_are(tmp_path, cases):
    (finding,) = ask(tmp_path, cases, channels=2)[0]
    assert (finding.severity, finding.check) == ("error", "channels")


def test_files_outside_the_root_are_told(tmp_path, cases):
    inner = tmp_path / "inner"
    inner.mkdir()
    assert "leaves-root" in {finding.check for finding in ask(inner, cases)[0]}


def test_examining_never_raises(tmp_path):
    case = Case("nothing", "p", ((tmp_path / "none.nii.gz",),), (MaskFiles((tmp_path,), {1: "body"}),))
    found = examine(case, Preprocessing())
    assert [finding.check for finding in found.findings] == ["missing-image", "unreadable"]
    assert examine(Case("empty", "p", ()), Preprocessing()).findings == ()


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError("x")])
def test_a_reader_that_fails_in_an_unforeseen_way_is_a_finding(cases, monkeypatch, error):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("spinelab.data.doctor.examine.read_as_is", fail)
    found = examine(cases[0], Preprocessing()).findings
    assert {finding.check for finding in found} == {"unreadable"}
    assert len(found) == 2
