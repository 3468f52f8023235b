"""MetaImage and NRRD: what SimpleITK itself says, and what it does not say of broken files."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from spinelab.data.volumes.header import parts, read_header
from spinelab.data.volumes.io import read_mask, read_volume, write_mask
from spinelab.errors import DataError
from spinelab.types import LabelMap, MaskFiles

TURN = nib.eulerangles.euler2mat(0.3, -0.2, 0.5)
NAMES = ["a.mha", "a.mhd", "a.nrrd", "a.nhdr"]


def oblique(array: np.ndarray) -> sitk.Image:
    """An ITK image (X, Y, Z), turned, of uneven spacing."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing((2 / 3, 0.5, 3.3))
    image.SetOrigin((-31.7, 42.123456789, 5.5))
    image.SetDirection(TURN.ravel().tolist())
    return image


def save(path: Path, array: np.ndarray, compress: bool = False) -> Path:
    sitk.WriteImage(oblique(array), str(path), compress)
    return path


def in_world(image: sitk.Image, index: tuple[int, int, int]) -> list[float]:
    """Where SimpleITK says that a voxel lies, in RAS+."""
    x, y, z = image.TransformIndexToPhysicalPoint(index)
    return [-x, -y, z]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64"])
def test_voxels_and_places_are_simpleitks(tmp_path, grey, name, compress, dtype):
    array = (grey % 100).astype(dtype)
    volume = read_volume((save(tmp_path / name, array, compress),))
    assert volume.array.dtype == ("float32" if dtype == "float64" else dtype)
    np.testing.assert_array_equal(volume.array, array)
    for index in ((0, 0, 0), (4, 0, 0), (0, 11, 0), (2, 5, 8)):
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], in_world(oblique(array), index), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_affine_is_the_one_that_nibabel_reads_from_itks_nifti(tmp_path, grey, name):
    sitk.WriteImage(oblique(grey), str(tmp_path / "a.nii.gz"))
    wanted = nib.load(tmp_path / "a.nii.gz")
    volume = read_volume((save(tmp_path / name, grey),))
    np.testing.assert_allclose(volume.affine, wanted.affine, atol=1e-4)
    np.testing.assert_array_equal(volume.array, wanted.get_fdata())


@pytest.mark.parametrize("source", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("target", ["m.mha", "m.mhd", "m.nrrd", "m.nhdr", "m.nii", "m.nii.gz"])
def test_masks_lie_on_the_scans_grid_in_every_format(tmp_path, grey, source, target):
    scan, labels = save(tmp_path / source, grey), (grey % 3).astype(np.int64)
    (tmp_path / "out").mkdir()
    write_mask(tmp_path / "out" / target, labels, (scan,))
    mask, image = sitk.ReadImage(str(tmp_path / "out" / target)), sitk.ReadImage(str(scan))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask).T, labels)
    assert mask.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), atol=1e-5)
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-5)
    found = read_mask(
        MaskFiles((tmp_path / "out" / target,), {1: "a", 2: "b"}), LabelMap(("a", "b")), image=read_volume((scan,))
    )
    np.testing.assert_array_equal(found, labels)
    assert not list(tmp_path.rglob(".*"))


def test_a_metaimage_mask_of_a_metaimage_is_on_it_exactly(tmp_path, grey):
    scan = save(tmp_path / "a.mha", grey)
    write_mask(tmp_path / "m.mha", grey % 2, (scan,))
    np.testing.assert_allclose(
        read_header((tmp_path / "m.mha",)).affine, read_header((scan,)).affine, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_headers_without_pixels(tmp_path, grey, name):
    header = read_header((save(tmp_path / name, grey),))
    assert (header.shape, header.dtype, header.claimed_bytes) == ((5, 12, 9), np.int16, 5 * 12 * 9 * 2)
    assert header.file_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert header.format == ("MetaImage" if "mh" in name else "NRRD")
    np.testing.assert_allclose(header.spacing_mm, (2 / 3, 0.5, 3.3), atol=1e-6)
    assert header.orientation == "".join(nib.aff2axcodes(header.affine))
    assert not header.is_4d


def test_the_files_of_a_volume(tmp_path, grey):
    for name, data in (("a.mhd", "a.raw"), ("b.nhdr", "b.raw"), ("c.mha", None), ("d.nii.gz", None)):
        path = save(tmp_path / name, grey)
        assert parts((path,)) == ((path,) if data is None else (path, tmp_path / data))


def damage(path: Path, what: str) -> Path:
    """Break the file that holds the voxels."""
    held = next((file for file in path.parent.iterdir() if file.suffix in (".raw", ".zraw", ".gz")), path)
    data = held.read_bytes()
    broken = {
        "cut in half": data[: len(data) // 2],
        "three bytes short": data[:-3],
        "garbage behind": data + b"garbage",
        "no bytes": b"",
        "text": b"a table of results\n" * 99,
    }[what]
    held.write_bytes(broken)
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("what", ["cut in half", "three bytes short", "garbage behind", "no bytes", "text"])
def test_broken_files(tmp_path, grey, capfd, name, compress, what):
    path = damage(save(tmp_path / name, grey, compress), what)
    with pytest.raises(DataError, match=r"whole|cut short|hold") as caught:
        read_volume((path,))
    assert caught.value.file == path
    assert len(str(caught.value)) < 400
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_in_compressed_voxels(tmp_path, grey, name):
    path = save(tmp_path / name, grey, compress=True)
    held = next((file for file in tmp_path.iterdir() if file.suffix in (".zraw", ".gz")), path)
    data = bytearray(held.read_bytes())
    data[-60] ^= 4
    held.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged|hold"):
        read_volume((path,))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"DimSize = 5 12 9", b"DimSize = 500000 120000 90000", r"claims 10.8 PB"),
        (b"DimSize = 5 12 9", b"DimSize = 5 12 10", r"claims 1.2 kB of voxels, the file can hold 1.1 kB"),
        (b"DimSize = 5 12 9", b"DimSize = 5 12 8", r"1080 bytes of voxels at least, not 960"),
        (b"DimSize = 5 12 9", b"DimSize = 5 -12 9", r"\[5, -12, 9\]"),
        (b"DimSize = 5 12 9", b"DimSize = 5 12", r"\[5, 12\]"),
        (b"NDims = 3", b"NDims = 99999", r"99999 axes"),
        (b"NDims = 3", b"NDims = three", r"three"),
        (b"MET_SHORT", b"MET_BANANA", "MET_BANANA"),
        (b"Offset = -31", b"Offset = nan -31", "endless"),
        (b"ElementSpacing = 0", b"ElementSpacing = -0", "spacing"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = ../secret", "another folder"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/passwd", "another folder"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw", "not there"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = a%03d.raw 1 9 1", "several files"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = LIST", "several files"),
        (b"ElementDataFile", b"Comment", "no ElementDataFile"),
    ],
)
def test_metaimage_headers_that_cannot_be(tmp_path, grey, capfd, old, new, reason):
    path = save(tmp_path / "a.mha", grey)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(DataError, match=reason):
        read_volume((path,))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"sizes: 5 12 9", b"sizes: 500000 120000 90000", "claims 10.8 PB"),
        (b"sizes: 5 12 9", b"sizes: 5 12", "parsed 2 values"),
        (b"type: short", b"type: banana", "banana"),
        (b"kinds: domain", b"kinds: vector", "domain axes"),
        (b"NRRD0004", b"XRRD0004", "does not begin with NRRD"),
        (b"encoding: raw", b"encoding: raw\ndata file: ../a.raw", "another folder"),
    ],
)
def test_nrrd_headers_that_cannot_be(tmp_path, grey, capfd, old, new, reason):
    path = save(tmp_path / "a.nrrd", grey)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(DataError, match=reason):
        read_volume((path,))
    assert capfd.readouterr().err == ""


def test_a_compressed_file_cannot_claim_more_than_deflate_can_shrink(tmp_path):
    path = save(tmp_path / "a.mha", np.zeros((50, 50, 50), np.uint8), compress=True)
    data = path.read_bytes().replace(b"DimSize = 50 50 50", b"DimSize = 900 900 900")
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"claims 729.0 MB of voxels, the file can hold .* at most"):
        read_volume((path,))


def test_a_stream_that_swells_is_left_at_its_claim(tmp_path):
    path = save(tmp_path / "a.mha", np.arange(1000, dtype=np.uint8).reshape(10, 10, 10) % 7, compress=True)
    start = path.read_bytes().split(b"LOCAL\n")[0].replace(b"CompressedDataSize", b"Comment")
    bomb = zlib.compressobj()
    path.write_bytes(start + b"LOCAL\n" + b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush())
    with pytest.raises(DataError, match="bytes of voxels at least, not 1000"):
        read_volume((path,))


def test_four_dimensions_and_colours(tmp_path, grey):
    sitk.WriteImage(sitk.JoinSeries(oblique(grey)), str(tmp_path / "one.mha"))
    assert read_volume((tmp_path / "one.mha",)).array.shape == grey.shape
    sitk.WriteImage(sitk.JoinSeries([oblique(grey)] * 2), str(tmp_path / "two.nrrd"))
    assert read_header((tmp_path / "two.nrrd",)).is_4d
    with pytest.raises(DataError, match=r"\(5, 12, 9, 2\), not three dimensions"):
        read_volume((tmp_path / "two.nrrd",))
    sitk.WriteImage(oblique(grey)[:, :, 3], str(tmp_path / "flat.mha"))
    with pytest.raises(DataError, match=r"\(5, 12\), not three dimensions"):
        read_volume((tmp_path / "flat.mha",))
    sitk.WriteImage(sitk.Compose([oblique(grey)] * 3), str(tmp_path / "rgb.mha"))
    with pytest.raises(DataError, match="not grey values"):
        read_volume((tmp_path / "rgb.mha",))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_damaged_headers_never_raise_anything_else(tmp_path, grey, name):
    rng, path = np.random.default_rng(0), save(tmp_path / name, grey)
    whole = path.read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for position in rng.integers(0, 300, 3):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            assert read_volume((path,)).array.ndim == 3


def test_real_scans_through_metaimage(tmp_path, shared):
    """The arrays and affines of nibabel, after SimpleITK has converted the scan."""
    files = sorted(shared.glob("gm_challenge/sub-*/anat/*.nii.gz")) + sorted(shared.glob("sct_testing/*/*.nii.gz"))
    assert len(files) > 8
    for file in files:
        wanted = nib.load(file)
        sitk.WriteImage(sitk.ReadImage(str(file)), str(tmp_path / "a.mha"), True)
        header = read_header((tmp_path / "a.mha",))
        assert header.shape == wanted.shape
        np.testing.assert_allclose(header.affine, wanted.affine, atol=1e-3, err_msg=str(file))
        if len(np.unique(wanted.get_fdata())) > 1:
            np.testing.assert_allclose(read_volume((tmp_path / "a.mha",)).array, wanted.get_fdata(), rtol=1e-6)


def test_an_nrrd_in_other_worlds(tmp_path, grey):
    """The header says which way its axes point; Slicer writes LPS, others RAS."""
    path = save(tmp_path / "a.nrrd", grey)
    lps = read_header((path,)).affine
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", b"right-anterior-superior"))
    np.testing.assert_allclose(read_header((path,)).affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-9)


def test_big_endian_voxels(tmp_path, grey):
    path = save(tmp_path / "a.mha", grey)
    start, voxels = path.read_bytes().split(b"LOCAL\n")
    start = start.replace(b"OrderMSB = False", b"OrderMSB = True") + b"LOCAL\n"
    path.write_bytes(start + np.frombuffer(voxels, "<i2").astype(">i2").tobytes())
    np.testing.assert_array_equal(read_volume((path,)).array, grey)
