"""Small data sets in every layout: sagittal scans with thick slices and two labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

SHAPE = (6, 40, 48)
"""Right, front, up: 4 mm slices of 0.8 mm pixels."""
AFFINE = np.diag([4.0, 0.8, 0.8, 1.0])


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, SHAPE).astype(np.int16)


def mask(*values: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for position, value in enumerate(values):
        array[1:5, 10 + 8 * position : 15 + 8 * position, 20:30] = value
    return array


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".mha"):
        scan = sitk.GetImageFromArray(array.transpose(2, 1, 0))
        scan.SetSpacing([float(affine[i, i]) for i in range(3)])
        scan.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
        sitk.WriteImage(scan, str(path))
    elif path.name.endswith(".png"):
        Image.fromarray(array).save(path)
    else:
        nib.save(nib.Nifti1Image(array, affine), path)
    return path


def spider(root: Path) -> None:
    for number in (1, 2, 3):
        for contrast in ("t1", "t2"):
            save(root / f"images/{number}_{contrast}.mha", image(number))
            save(root / f"masks/{number}_{contrast}.mha", mask(1, 100, 201))
    (root / "overview.csv").write_text("new_file_name,subset\n1_t1,training\n")


def decathlon(root: Path) -> None:
    pairs = [{"image": f"./imagesTr/sp_{n:03d}.nii.gz", "label": f"./labelsTr/sp_{n:03d}.nii.gz"} for n in range(4)]
    for number, pair in enumerate(pairs):
        save(root / pair["image"], image(number))
        save(root / pair["label"], mask(1, 2))
    named = {"0": "background", "1": "vertebral body", "2": "disc"}
    content = {"modality": {"0": "MRI"}, "labels": named, "training": pairs, "test": []}
    (root / "dataset.json").write_text(json.dumps(content))


def nnunet(root: Path) -> None:
    for number in range(4):
        for channel in (0, 1):
            save(root / f"imagesTr/spine_{number:03d}_{channel:04d}.nii.gz", image(number + channel))
        save(root / f"labelsTr/spine_{number:03d}.nii.gz", mask(1, 2))
    labels = {"background": 0, "vertebra": 1, "disc": 2}
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz", "numTraining": 4}
    (root / "dataset.json").write_text(json.dumps(content))


def bids(root: Path) -> None:
    for person in ("sub-01", "sub-02"):
        for session in ("ses-1", "ses-2"):
            stem = f"{person}/{session}/anat/{person}_{session}"
            for contrast in ("T1w", "T2w"):
                save(root / f"{stem}_{contrast}.nii.gz", image(3))
            save(root / f"derivatives/labels/{stem}_T2w_dseg.nii.gz", mask(1, 2))
    (root / "derivatives/labels/dseg.tsv").write_text("index\tname\n0\tbackground\n1\tvertebra\n2\tdisc\n")
    (root / "dataset_description.json").write_text("{}")
    (root / "participants.tsv").write_text("participant_id\tsite\nsub-01\tA\nsub-02\tB\n")


def manifest(root: Path) -> None:
    rows = ["person,image,mask,site"]
    for number in range(3):
        save(root / f"a/x{number}.nii.gz", image(number))
        save(root / f"b/y{number}.nii.gz", mask(5))
        rows.append(f"anna{number},a/x{number}.nii.gz,b/y{number}.nii.gz,A")
    (root / "scans.csv").write_text("\n".join(rows))


def folders(root: Path) -> None:
    for number in range(3):
        save(root / f"scans/patient{number}_t2.nii.gz", image(number))
        save(root / f"masks/patient{number}_t2.nii.gz", mask(1, 2))


def beside(root: Path) -> None:
    """Masks beside the images: two of them, the lesion inside the cord."""
    for number in range(3):
        save(root / f"sub-{number}.nii.gz", image(number))
        save(root / f"sub-{number}_cord-seg.nii.gz", mask(1, 1))
        save(root / f"sub-{number}_lesion-mask.nii.gz", mask(0, 1))


def by_person(root: Path) -> None:
    """A folder a person, the same file names in each."""
    for person in ("anna", "bert", "carl"):
        save(root / f"{person}/T2.nii.gz", image(len(person)))
        save(root / f"{person}/segmentation.nii.gz", mask(1, 2))


def mirrored(root: Path) -> None:
    """A tree of images and the same tree of masks."""
    for person in ("p1", "p2", "p3"):
        save(root / f"images/{person}/scan.nii.gz", image(1))
        save(root / f"labels/{person}/scan.nii.gz", mask(1, 2))


def pictures(root: Path) -> None:
    for number in range(3):
        for position in (9, 10, 11):
            save(root / f"images/sub-{number}_slice-{position}.png", image(number)[3].astype(np.uint8))
            save(root / f"masks/sub-{number}_slice-{position}.png", mask(1, 2)[3])


Make = Callable[[Path], None]
LAYOUTS: dict[str, Make] = {
    layout.__name__: layout
    for layout in (spider, decathlon, nnunet, bids, manifest, folders, beside, by_person, mirrored, pictures)
}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    """Make a data set in a layout."""

    def made(layout: str) -> Path:
        root = tmp_path / "my data"
        LAYOUTS[layout](root)
        return root

    return made
