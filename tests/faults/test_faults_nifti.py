"""Broken NIfTI files: each is an error that names the file, and a training refuses it."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

Break = Callable[[Path], object]
IMAGE, MASK = "images/sub-01.nii.gz", "masks/sub-01.nii.gz"


def load(file: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(file)
    return np.array(image.dataobj), image.affine


def put(file: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(array, load(file)[1] if affine is None else affine), file)


def changed(what: str, change: Callable[[np.ndarray], np.ndarray]) -> Break:
    return lambda root: put(root / what, change(load(root / what)[0]))


def moved(what: str, change: Callable[[np.ndarray], np.ndarray]) -> Break:
    return lambda root: put(root / what, load(root / what)[0], change(load(root / what)[1]))


def header(what: str, place: int, kind: str, *values: float) -> Break:
    """Overwrite bytes of the header."""

    def apply(root: Path) -> None:
        data = bytearray(gzip.decompress((root / what).read_bytes()))
        struct.pack_into(f"<{kind}", data, place, *values)
        (root / what).write_bytes(gzip.compress(bytes(data)))

    return apply


def bytes_(what: str, change: Callable[[bytes], bytes]) -> Break:
    return lambda root: (root / what).write_bytes(change((root / what).read_bytes()))


def spoilt(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(np.float32)
    array[3, 4, 2] = value
    return array


def longer(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data) + b"x" * 99)


def flipped_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


def shifted(mm: float) -> Callable[[np.ndarray], np.ndarray]:
    def shift(affine: np.ndarray) -> np.ndarray:
        affine = affine.copy()
        affine[0, 3] += mm
        return affine

    return shift


def as_rgb(root: Path) -> None:
    array = np.zeros((12, 14, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(array, np.eye(4)), root / IMAGE)


ERRORS: dict[str, tuple[str, str, Break]] = {
    "image of no bytes": (IMAGE, "truncated", bytes_(IMAGE, lambda data: b"")),
    "image cut in half": (IMAGE, "truncated", bytes_(IMAGE, lambda data: data[: len(data) // 2])),
    "image without its last bytes": (IMAGE, "truncated", bytes_(IMAGE, lambda data: data[:-9])),
    "half an image packed again": (IMAGE, "", bytes_(IMAGE, lambda d: gzip.compress(gzip.decompress(d)[:-500]))),
    "image with a flipped bit": (IMAGE, "truncated", bytes_(IMAGE, flipped_bit)),
    "image followed by something else": (IMAGE, "", bytes_(IMAGE, lambda data: data + b"more")),
    "image longer than its header says": (IMAGE, "", bytes_(IMAGE, longer)),
    "text in place of an image": (IMAGE, "truncated", bytes_(IMAGE, lambda data: b"this is no image" * 50)),
    "a header and nothing more": (IMAGE, "", bytes_(IMAGE, lambda d: gzip.compress(gzip.decompress(d)[:352]))),
    "half a header": (IMAGE, "truncated", bytes_(IMAGE, lambda d: gzip.compress(gzip.decompress(d)[:100]))),
    "image with NaN": (IMAGE, "nan", changed(IMAGE, lambda a: spoilt(a, np.nan))),
    "image with infinity": (IMAGE, "nan", changed(IMAGE, lambda a: spoilt(a, -np.inf))),
    "image of NaN alone": (IMAGE, "nan", changed(IMAGE, lambda a: np.full(a.shape, np.nan, np.float32))),
    "constant image": (IMAGE, "constant", changed(IMAGE, lambda a: np.full_like(a, 7))),
    "series of two volumes": (IMAGE, "not-3d", changed(IMAGE, lambda a: np.stack([a, a], -1))),
    "one slice": (IMAGE, "not-3d", changed(IMAGE, lambda a: a[..., 0])),
    "colour image": (IMAGE, "not-grey", as_rgb),
    "complex image": (IMAGE, "not-grey", changed(IMAGE, lambda a: a.astype(np.complex64))),
    "affine without volume": (IMAGE, "bad-affine", header(IMAGE, 280, "12f", *[0.0] * 12)),
    "affine with NaN": (IMAGE, "bad-affine", header(IMAGE, 280, "12f", *[float("nan")] * 12)),
    "header that claims terabytes": (IMAGE, "claims-too-much", header(IMAGE, 42, "3h", 32000, 32000, 2000)),
    "header with seven huge axes": (IMAGE, "", header(IMAGE, 40, "8h", 7, *[32000] * 7)),
    "axis of negative length": (IMAGE, "", header(IMAGE, 42, "h", -12)),
    "axis of no length": (IMAGE, "", header(IMAGE, 42, "h", 0)),
    "unknown voxel type": (IMAGE, "truncated", header(IMAGE, 70, "h", 999)),
    "voxels that begin beyond the end": (IMAGE, "", header(IMAGE, 108, "f", 1e9)),
    "scale factor that makes NaN": (IMAGE, "", header(IMAGE, 112, "2f", 1.0, float("inf"))),
    "mask that is missing": (MASK, "missing-mask", lambda root: (root / MASK).unlink()),
    "mask cut in half": (MASK, "truncated", bytes_(MASK, lambda data: data[: len(data) // 2])),
    "mask of another shape": (MASK, "shape-mismatch", changed(MASK, lambda a: a[:, :, 1:])),
    "mask with turned axes": (MASK, "shape-mismatch", changed(MASK, lambda a: a.transpose(1, 0, 2))),
    "mask half a voxel off": (MASK, "affine-mismatch", moved(MASK, shifted(0.5))),
    "mask three voxels off": (MASK, "affine-mismatch", moved(MASK, shifted(3))),
    "mask with a mirrored affine": (MASK, "affine-mismatch", moved(MASK, lambda a: np.diag([-1, 1, 1, 1]) @ a)),
    "mask without orientation": (MASK, "affine-mismatch", header(MASK, 252, "2h", 0, 0)),
    "series as mask": (MASK, "not-3d", changed(MASK, lambda a: np.stack([a, a], -1))),
    "probability map": (MASK, "fractional-labels", changed(MASK, lambda a: a.astype(np.float32) * 0.73)),
    "labels not quite whole": (MASK, "fractional-labels", changed(MASK, lambda a: a.astype(np.float32) * 1.001)),
    "labels times 255": (MASK, "scaled-labels", changed(MASK, lambda a: a.astype(np.int16) * 255)),
    "labels times 1000": (MASK, "scaled-labels", changed(MASK, lambda a: a.astype(np.int16) * 1000)),
    "labels stretched to 255": (MASK, "scaled-labels", changed(MASK, lambda a: (a * 127.5).astype(np.float32))),
    "labels divided by 255": (MASK, "scaled-labels", changed(MASK, lambda a: (a / 255).astype(np.float32))),
    "unknown label": (MASK, "unknown-labels", changed(MASK, lambda a: np.where(a == 2, 9, a).astype(np.uint8))),
    "negative label": (MASK, "unknown-labels", changed(MASK, lambda a: -a.astype(np.int16))),
    "mask with NaN": (MASK, "label-nan", changed(MASK, lambda a: spoilt(a, np.nan))),
    "image in place of a mask": (MASK, "unknown-labels", lambda root: put(root / MASK, load(root / IMAGE)[0])),
    "folder in place of a mask": (MASK, "unreadable", lambda root: ((root / MASK).unlink(), (root / MASK).mkdir())),
    "mask that is a link to nothing": (
        MASK, "missing-mask", lambda root: ((root / MASK).unlink(), (root / MASK).symlink_to("nowhere.nii.gz")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", ERRORS)
def test_a_broken_file_is_named_by_doctor_and_refused_by_training(healthy, judge, fault):
    file, check, damage = ERRORS[fault]
    damage(healthy)
    verdict = judge(healthy)
    errors = [finding for finding in verdict.findings if finding["severity"] == "error"]
    assert errors, verdict.findings
    assert {finding["file"] for finding in errors} == {str(healthy / file)}
    assert all(finding[key] for finding in errors for key in ("found", "consequence", "remedy"))
    assert not check or check in {finding["check"] for finding in errors}
    assert verdict.status == 1
    assert Path(file).name in verdict.refusal


def test_a_healthy_data_set_has_no_finding_and_is_accepted(healthy, judge):
    verdict = judge(healthy, "protocol=leave_one_person_out", "protocol.val_persons=0")
    assert (verdict.findings, verdict.status, verdict.refusal) == ([], 0, "")


def test_all_faults_are_told_at_once(healthy, judge):
    for number, fault in enumerate(("image with NaN", "unknown label", "mask half a voxel off", "image cut in half")):
        ERRORS[fault][2](healthy)
        for kind in ("images", "masks"):  # each fault was made in person 01; give it to a person of its own
            (healthy / f"{kind}/sub-01.nii.gz").rename(healthy / f"{kind}/sub-1{number}.nii.gz")
            (healthy / f"{kind}/sub-01.nii.gz").write_bytes((healthy / f"{kind}/sub-00.nii.gz").read_bytes())
    verdict = judge(healthy, train=False)
    assert {"nan", "unknown-labels", "affine-mismatch", "truncated", "duplicated-person"} <= {
        finding["check"] for finding in verdict.findings
    }


def test_one_file_may_have_several_faults(healthy, judge):
    ERRORS["unknown label"][2](healthy)
    moved(MASK, shifted(0.5))(healthy)
    ERRORS["image with NaN"][2](healthy)
    checks = {finding["check"] for finding in judge(healthy).findings}
    assert {"unknown-labels", "affine-mismatch", "nan"} <= checks


@pytest.mark.parametrize("fault", ["header that claims terabytes", "header with seven huge axes"])
def test_memory_stays_bounded_whatever_a_header_claims(healthy, judge, peak, fault):
    ERRORS[fault][2](healthy)
    judge(healthy)
    assert peak() < 60e6


def test_memory_stays_bounded_when_a_file_unpacks_without_end(healthy, judge, peak):
    whole = gzip.decompress((healthy / IMAGE).read_bytes())
    with gzip.open(healthy / IMAGE, "wb", compresslevel=1) as stream:
        stream.write(whole)
        for _ in range(200):
            stream.write(bytes(1_000_000))
    verdict = judge(healthy)
    assert verdict.status == 1
    assert "sub-01.nii.gz" in verdict.refusal
    assert peak() < 60e6


def orientation_conflict(root: Path) -> None:
    image = nib.load(root / IMAGE)
    image = nib.Nifti1Image(np.array(image.dataobj), image.affine)
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine @ np.diag([-1, 1, 1, 1]), 1)
    nib.save(image, root / IMAGE)


def copied(person: str, change: Callable[[np.ndarray], np.ndarray] = lambda array: array) -> Break:
    def copy(root: Path) -> None:
        for kind in ("images", "masks"):
            array, affine = load(root / kind / "sub-01.nii.gz")
            nib.save(
                nib.Nifti1Image(change(array) if kind == "images" else array, affine), root / kind / f"{person}.nii.gz"
            )

    return copy


WARNINGS: dict[str, tuple[str, str, Break]] = {
    "empty mask": (MASK, "empty-mask", changed(MASK, np.zeros_like)),
    "sform and qform mirrored": (IMAGE, "orientations-disagree", orientation_conflict),
    "spacing in micrometres": (IMAGE, "implausible-spacing", lambda root: [
        put(root / f, load(root / f)[0], load(root / f)[1] @ np.diag([1000, 1000, 1000, 1])) for f in (IMAGE, MASK)
    ]),
    "neither sform nor qform": (IMAGE, "no-orientation", lambda root: [
        header(f, 252, "2h", 0, 0)(root) for f in (IMAGE, MASK)
    ]),
    "mirrored mask": (MASK, "mirrored-mask", changed(MASK, lambda a: a[:, ::-1])),
    "mask without an image": ("masks/sub-77.nii.gz", "extra-mask", lambda root: (
        root / "masks/sub-77.nii.gz").write_bytes((root / MASK).read_bytes())),
    "mask in place of an image": (IMAGE, "image-like-mask", lambda root: put(root / IMAGE, load(root / MASK)[0])),
    "nearly the same scan of two persons": (IMAGE, "alike-persons", copied("sub-77", lambda a: a + (a % 2))),
    "one mask of two persons": (MASK, "same-mask", copied("sub-77", lambda a: a[::-1])),
    "names that differ in case only": ("data.source.person", "persons-spelt-alike", copied("sub-1")),
}  # fmt: skip


@pytest.mark.parametrize("fault", WARNINGS)
def test_a_doubtful_file_is_named_by_doctor(healthy, judge, fault):
    file, check, damage = WARNINGS[fault]
    damage(healthy)
    found = judge(healthy, train=False).of(check)
    assert len(found) == 1
    assert found[0]["severity"] == "warning"
    assert found[0]["file"] in (file, str(healthy / file))


def test_one_scan_of_two_persons_is_an_error(healthy, judge):
    copied("sub-77")(healthy)
    found = judge(healthy, train=False).of("duplicated-person")
    assert [finding["severity"] for finding in found] == ["error"]
    assert "sub-01" in found[0]["found"]
    assert "sub-77" in found[0]["found"]


def test_a_link_to_nothing_is_not_passed_over(healthy, judge):
    (healthy / "images/sub-88.nii.gz").symlink_to("annex/not-fetched.nii.gz")
    verdict = judge(healthy)
    (found,) = verdict.of("missing-image")
    assert (found["severity"], found["file"]) == ("error", str(healthy / "images/sub-88.nii.gz"))
    assert "sub-88" in verdict.refusal


def test_links_out_of_the_root_are_refused(healthy, judge, tmp_path):
    (healthy / IMAGE).rename(tmp_path / "elsewhere.nii.gz")
    (healthy / IMAGE).symlink_to(tmp_path / "elsewhere.nii.gz")
    verdict = judge(healthy)
    assert verdict.status == 1
    assert IMAGE in verdict.findings[0]["found"]
    assert IMAGE in verdict.refusal


def test_a_mask_that_is_off_has_millimetres_and_a_picture(healthy, judge):
    moved(MASK, shifted(0.5))(healthy)
    (found,) = judge(healthy).of("affine-mismatch")
    assert "0.5 mm (0.5 voxels)" in found["found"]
    assert Path(found["picture"]).read_bytes()[:4] == b"\x89PNG"
