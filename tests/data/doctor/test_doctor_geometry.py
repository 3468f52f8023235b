"""Headers, grids and mirrored masks, against nibabel and against real scans."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.data.doctor.files import read_as_is
from spinelab.data.doctor.grid import check_grid, directions, offset
from spinelab.data.doctor.header import parse, read_header
from spinelab.data.doctor.mirror import check_mirrored, edge_strengths
from spinelab.data.doctor.picture import overlay
from spinelab.data.volumes.io import RawVolume

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"


def random_affine(rng: np.random.Generator) -> np.ndarray:
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.5, 4, 3)
    affine[:3, 3] = rng.normal(size=3) * 50
    return affine


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_orientations_are_those_that_nibabel_reads(tmp_path, seed, kind):
    rng = np.random.default_rng(seed)
    image = kind(np.zeros((3, 4, 5), np.float32), None)
    image.set_sform(random_affine(rng), 1)
    image.set_qform(random_affine(rng), 1)
    file = tmp_path / "a.nii.gz"
    nib.save(image, file)
    header, again = read_header(file), nib.load(file)
    assert header is not None
    assert header.shape == (3, 4, 5)
    np.testing.assert_allclose(header.sform, again.get_sform(), atol=1e-4)
    np.testing.assert_allclose(header.qform, again.get_qform(), atol=1e-3)
    assert directions(header.sform) == "".join(nib.aff2axcodes(header.sform))


def test_big_endian_headers_and_headers_of_nothing(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_shape((7, 8, 9))
    assert parse(header.binaryblock).shape == (7, 8, 9)
    assert parse(b"no header" * 99) is None
    (tmp_path / "a.nii.gz").write_bytes(b"\x1f\x8bnothing")
    assert read_header(tmp_path / "a.nii.gz") is None


def test_offset_is_the_largest_over_all_corners():
    reference = np.diag([1.0, 0.5, 4.0, 1.0])
    turned = reference.copy()
    turned[0, 2] = 0.1  # 0.1 mm to the side a slice
    mm, voxels = offset(turned, reference, (10, 10, 6))
    assert mm == pytest.approx(0.5)
    assert voxels == pytest.approx(0.5)


def test_a_grid_that_is_off_by_less_than_a_voxel_can_be_mended():
    image = RawVolume(np.zeros((4, 5, 6)), np.eye(4))
    for shift, mending in ((0.6, "affine"), (1.5, None)):
        moved = np.eye(4)
        moved[1, 3] = shift
        (finding,) = check_grid(RawVolume(image.array, moved), image, Path("m"))
        assert finding.mending == mending
        assert f"{shift:g} mm" in finding.found
    assert list(check_grid(image, image, Path("m"))) == []


def test_edge_strength_is_a_ratio_of_means():
    image = np.zeros((10, 10, 10))
    image[2:7, 2:7, 2:7] = 3
    labels = (image > 0).astype(np.uint8)
    steps = np.concatenate([np.abs(np.diff(image, axis=axis)).ravel() for axis in range(3)])
    found, nothing = edge_strengths(image, [labels, np.zeros_like(labels)])
    assert found == pytest.approx(3 / steps.mean())
    assert nothing is None


def real_cases(shared: Path) -> list[tuple[RawVolume, np.ndarray]]:
    found = []
    for file in sorted((shared / "gm_challenge").glob("sub-*/anat/*.nii.gz")):
        base = shared / "gm_challenge/derivatives/labels" / file.parent.relative_to(shared / "gm_challenge")
        mask = base / file.name.replace(".nii.gz", "_seg-manual.nii.gz")
        found.append((read_as_is((file,), mask=False), read_as_is((mask,), mask=True).array))
    return found


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_real_cord_masks_raise_an_alarm_when_and_only_when_they_are_mirrored(shared, axis):
    cases = real_cases(shared)
    assert len(cases) == 6
    for image, labels in cases:
        assert list(check_mirrored(image, labels, Path("m"))) == []
        (finding,) = check_mirrored(image, np.flip(labels, axis), Path("m"))
        assert ("left-right", "front-back", "head-foot")[axis] in finding.found


def test_an_overlay_shows_where_the_header_puts_the_mask(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    image = RawVolume(rng.normal(100, 10, (40, 40, 5)), np.diag([1.0, 1, 5, 1]))
    mask = np.zeros((40, 40, 5), np.uint8)
    mask[10:20, 10:20] = 1
    moved = image.affine.copy()
    moved[0, 3] = 12
    overlay(image, RawVolume(mask, moved), tmp_path / "a/b.png")
    picture = np.asarray(Image.open(tmp_path / "a/b.png")).astype(int)
    half = picture.shape[1] // 2
    scale = half // 40
    colour = picture[..., 0] - picture[..., 1]
    red, green = np.argwhere(colour[:, :half] > 150), np.argwhere(colour[:, half:] < -150)
    assert abs((red - green).mean(0)).max() // scale == 12
