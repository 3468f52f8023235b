"""Headers without pixels, and what is refused before a byte of voxels is allocated."""

from __future__ import annotations

import gzip
import math
import os
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from PIL import Image

from spinelab.data.volumes.formats import size_text
from spinelab.data.volumes.header import read_header
from spinelab.data.volumes.io import read_volume
from spinelab.errors import DataError


def claim(path: Path, shape: tuple[int, ...]) -> Path:
    """Make a NIfTI header claim another shape."""
    packed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    dim = np.array([len(shape), *shape, *[1] * (7 - len(shape))], "<i2")
    data[40:56] = dim.tobytes()
    path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_what_a_nifti_header_says(tmp_path, grey, name, kind):
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 1.7) * [2, 0.5, 0.7], [5, -9, 3])
    nib.save(kind(grey.astype(np.float32), affine), tmp_path / name)
    header = read_header((tmp_path / name,))
    loaded = nib.load(tmp_path / name)
    assert (header.format, header.shape, header.dtype) == ("NIfTI", (5, 12, 9), np.float32)
    assert header.claimed_bytes == 5 * 12 * 9 * 4
    assert header.file_bytes == (tmp_path / name).stat().st_size
    np.testing.assert_array_equal(header.affine, loaded.affine)
    np.testing.assert_allclose(header.spacing_mm, (2, 0.5, 0.7), rtol=1e-6)
    assert header.orientation == "".join(nib.aff2axcodes(loaded.affine))
    assert not header.is_4d
    assert header.sform_qform_differ_mm is None


def test_four_dimensions(write, grey):
    assert not read_header((write("one.nii", grey[..., None]),)).is_4d
    header = read_header((write("two.nii.gz", np.stack([grey, grey], -1)),))
    assert header.is_4d
    assert header.shape == (5, 12, 9, 2)


def test_how_far_sform_and_qform_differ(tmp_path, grey):
    image = nib.Nifti1Image(grey, np.eye(4))
    image.set_sform(np.eye(4), code=1)
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "same.nii")
    assert read_header((tmp_path / "same.nii",)).sform_qform_differ_mm == pytest.approx(0, abs=1e-5)
    image.set_qform(nib.affines.from_matvec(np.diag([1, 1, 2.0]), [3, 0, 0]), code=1)
    nib.save(image, tmp_path / "apart.nii")
    assert read_header((tmp_path / "apart.nii",)).sform_qform_differ_mm == pytest.approx(math.hypot(3, 8))
    image.header["quatern_b"] = 5
    nib.save(image, tmp_path / "odd.nii")
    assert read_header((tmp_path / "odd.nii",)).sform_qform_differ_mm == math.inf


def test_pictures_have_no_affine(tmp_path):
    for index in range(3):
        Image.fromarray(np.eye(6, 8, dtype=np.uint16) * 500).save(tmp_path / f"{index}.png")
    header = read_header(tuple(sorted(tmp_path.iterdir())))
    assert (header.format, header.shape, header.dtype) == ("picture", (3, 6, 8), np.uint16)
    assert header.affine is header.spacing_mm is header.orientation is None
    assert header.claimed_bytes == 3 * 6 * 8 * 2


def test_a_header_is_read_without_its_pixels(tmp_path, grey):
    path = tmp_path / "a.nii.gz"
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).integers(0, 9, (200, 200, 200)).astype(np.int16), np.eye(4)), path
    )
    path.write_bytes(path.read_bytes()[:20000])  # the voxels are gone
    tracemalloc.start()
    assert read_header((path,)).claimed_bytes == 200**3 * 2
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize("read", [read_volume, read_header])
def test_what_is_no_file(tmp_path, read, monkeypatch):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "none.mha").touch()
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "link.nii").symlink_to(tmp_path / "gone.nii")
    for name, reason in (
        ("folder.nii", "folder, not a file"),
        ("none.mha", "0 bytes"),
        ("pipe.nii", "no regular file"),
        ("link.nii", "does not exist"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            read((tmp_path / name,))
        assert caught.value.file == tmp_path / name
    (tmp_path / "locked.nii").write_bytes(b"x" * 400)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    with pytest.raises(DataError, match="permission"):
        read((tmp_path / "locked.nii",))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_claims_beyond_the_file_allocate_nothing(write, grey, name):
    path = claim(write(name, grey), (30000, 30000, 30000))
    assert read_header((path,)).claimed_bytes == 30000**3 * 2
    tracemalloc.start()
    with pytest.raises(DataError, match=r"claims 54\.0 TB of voxels, the file can hold .* at most"):
        read_volume((path,))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_claims_beyond_the_memory(write, grey, monkeypatch):
    path = write("a.nii.gz", grey)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("memory", (), {"available": 1000}))
    with pytest.raises(DataError, match=r"claims 1\.\d kB of voxels, 1\.0 kB of memory are free"):
        read_volume((path,))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("shape", [(5, 12, 10), (5, 12, 8), (5, 12), (5, 12, 0), (5, -12, 9)])
def test_another_shape_than_the_files(write, grey, name, shape):
    with pytest.raises(DataError, match=r"cut short|goes on beyond|three dimensions|claims the shape"):
        read_volume((claim(write(name, grey), shape),))


def test_garbage_behind_the_voxels(write, grey):
    for name in ("a.nii", "a.nii.gz"):
        path = write(name, grey)
        path.write_bytes(path.read_bytes() + b"garbage")
        with pytest.raises(DataError, match=r"beyond its 1432 bytes|no whole NIfTI"):
            read_volume((path,))
    path = write("b.nii.gz", grey)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"garbage"))
    with pytest.raises(DataError, match="beyond its 1432 bytes"):
        read_volume((path,))


def test_gzip_files_of_several_members_and_padded_ones(write, grey):
    path = write("a.nii.gz", grey)
    data = gzip.decompress(path.read_bytes())
    for packed in (
        b"".join(gzip.compress(data[i : i + 100]) for i in range(0, len(data), 100)),
        gzip.compress(data) + bytes(512),
    ):
        path.write_bytes(packed)
        np.testing.assert_array_equal(read_volume((path,)).array, grey)
        path.write_bytes(packed.rstrip(b"\0")[:-9])
        with pytest.raises(DataError, match="no whole NIfTI"):
            read_volume((path,))


def test_a_stream_that_swells_is_left_at_its_claim(write, grey):
    path = write("a.nii.gz", grey)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(200_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on beyond its 1432 bytes"):
        read_volume((path,))
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_wrong_magic(write, grey):
    path = write("a.nii", grey)
    data = bytearray(path.read_bytes())
    data[344:348] = b"ni1\0"  # half of a pair of files
    path.write_bytes(data)
    with pytest.raises(DataError, match="magic"):
        read_volume((path,))


def test_a_picture_that_claims_too_much(tmp_path):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = __import__("zlib").crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=r"no whole picture.*decompression bomb"):
        read_volume((tmp_path / "a.png",))


def test_what_is_asked_of_the_caller():
    with pytest.raises(ValueError, match="at least one file"):
        read_header(())


def test_sizes_for_people():
    assert [size_text(n) for n in (0, 999, 1000, 1_500_000, 3 * 10**12, 10**20)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.5 MB", "3.0 TB", "100000.0 PB"
    ]  # fmt: skip


def test_real_headers(shared):
    """Shape, type, affine and codes as nibabel loads them, for every real file."""
    files = sorted(shared.glob("gm_challenge/**/*.nii.gz")) + sorted(shared.glob("sct_testing/*/*.nii.gz"))
    assert len(files) > 20
    for file in files:
        header, wanted = read_header((file,)), nib.load(file)
        assert (header.shape, header.dtype) == (wanted.shape, wanted.get_data_dtype())
        np.testing.assert_array_equal(header.affine, wanted.affine)
        assert header.orientation == "".join(nib.aff2axcodes(wanted.affine))
        if len(np.unique(wanted.get_fdata())) > 1:
            np.testing.assert_array_equal(read_volume((file,)).array, wanted.get_fdata().astype(np.float32))
