"""Broken stacks of pictures, and volumes in other formats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

Break = Callable[[Path], object]
IMAGE, MASK = "images/sub-01_slice-2.png", "masks/sub-01_slice-2.png"
PNG = ["data.source.image=images/*.png", r"data.source.slice=slice-(\d+)"]


def put(file: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(file)


def get(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def huge_png(file: Path) -> None:
    """A PNG whose header claims 60000 x 60000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def coloured(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey, grey, grey * 9], -1)


ERRORS: dict[str, tuple[str, Break]] = {
    "slice of no bytes": (IMAGE, lambda root: (root / IMAGE).write_bytes(b"")),
    "slice cut short": (IMAGE, lambda root: (root / IMAGE).write_bytes((root / IMAGE).read_bytes()[:-30])),
    "text in place of a slice": (IMAGE, lambda root: (root / IMAGE).write_text("no picture" * 30)),
    "slice in colour": (IMAGE, lambda root: put(root / IMAGE, np.arange(504, dtype=np.uint8).reshape(12, 14, 3))),
    "slice of another size": (IMAGE, lambda root: put(root / IMAGE, np.arange(100, dtype=np.uint8).reshape(10, 10))),
    "slice that claims gigabytes": (IMAGE, lambda root: huge_png(root / IMAGE)),
    "mask slice that is missing": (MASK, lambda root: (root / MASK).unlink()),
    "mask slice cut short": (MASK, lambda root: (root / MASK).write_bytes((root / MASK).read_bytes()[:-30])),
    "mask slice of another size": (MASK, lambda root: put(root / MASK, get(root / MASK)[1:])),
    "mask slice times 100": (MASK, lambda root: put(root / MASK, get(root / MASK) * 100)),
    "mask slice in colour": (MASK, lambda root: put(root / MASK, coloured(get(root / MASK)))),
    "mask slice with a colour for a label": (MASK, lambda root: put(root / MASK, 77 * np.minimum(get(root / MASK), 1))),
}  # fmt: skip


@pytest.mark.parametrize("fault", ERRORS)
def test_a_broken_slice_is_named_by_doctor_and_refused_by_training(slices, judge, fault):
    file, damage = ERRORS[fault]
    damage(slices)
    verdict = judge(slices, *PNG)
    errors = [finding for finding in verdict.findings if finding["severity"] == "error"]
    assert str(slices / file) in {finding["file"] for finding in errors}
    assert verdict.status == 1
    assert "sub-01" in verdict.refusal


def test_a_healthy_stack_has_no_finding_and_is_accepted(slices, judge):
    verdict = judge(slices, *PNG, "protocol=leave_one_person_out", "protocol.val_persons=0")
    assert (verdict.findings, verdict.refusal) == ([], "")


def test_masks_saved_with_losses_are_refused(slices, judge):
    for file in (slices / "masks").glob("*.png"):
        put(file.with_suffix(".jpg"), get(file) * 100)
    verdict = judge(slices, *PNG, "data.source.mask=masks/{stem}.jpg", "data.source.labels={100: vertebra, 200: disc}")
    assert verdict.of("unknown-labels")
    assert "unknown label" in verdict.refusal


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.preprocessing.spacing_mm=[0.5,0.5]"], "spacing"),
        ([r"data.source.slice=sub-(\d+)"], "slices 00"),
        ([r"data.source.slice=number-(\d+)"], "slice"),
    ],
)
def test_settings_that_do_not_go_with_pictures(slices, judge, overrides, words):
    verdict = judge(slices, *PNG, *overrides)
    assert verdict.status == 1
    assert words in str(verdict.findings)
    assert words in verdict.refusal


def other_format(root: Path, ending: str) -> None:
    for file in [*root.glob("images/*.nii.gz"), *root.glob("masks/*.nii.gz")]:
        array = np.array(nib.load(file).dataobj)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(file).replace(".nii.gz", ending))
        file.unlink()


def meta_claims(file: Path) -> None:
    data = file.read_bytes()
    start = data.index(b"DimSize")
    end = data.index(b"\n", start)
    file.write_bytes(data[:start] + b"DimSize = 90000 90000 90000" + data[end:])


OTHERS: dict[str, tuple[str, Break]] = {
    "MetaImage cut short": (".mha", lambda file: file.write_bytes(file.read_bytes()[:-200])),
    "MetaImage of no bytes": (".mha", lambda file: file.write_bytes(b"")),
    "text in place of a MetaImage": (".mha", lambda file: file.write_text("nothing" * 99)),
    "MetaImage that claims terabytes": (".mha", meta_claims),
    "NRRD cut short": (".nrrd", lambda file: file.write_bytes(file.read_bytes()[:-200])),
    "text in place of an NRRD": (".nrrd", lambda file: file.write_text("nothing" * 99)),
    "a file type that nothing reads": (".vtk", lambda file: None),
}


@pytest.mark.parametrize("fault", OTHERS)
def test_broken_files_of_other_formats(healthy, judge, fault):
    ending, damage = OTHERS[fault]
    other_format(healthy, ending)
    damage(healthy / f"images/sub-01{ending}")
    verdict = judge(healthy, f"data.source.image=images/*{ending}")
    errors = [finding for finding in verdict.findings if finding["severity"] == "error"]
    assert str(healthy / f"images/sub-01{ending}") in {finding["file"] for finding in errors}
    assert f"sub-01{ending}" in verdict.refusal
