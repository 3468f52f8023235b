"""Real files, broken on purpose; and what is written is what a foreign reader sees."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from spinelab.data.volumes.io import read_mask, read_volume, write_mask
from spinelab.errors import ConfigError, DataError
from spinelab.types import LabelMap, MaskFiles

LABELS = LabelMap(("vertebra", "disc"))


def stack(folder: Path, slices: list[np.ndarray], mode: str | None = None) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    files = tuple(folder / f"{i}.png" for i in range(len(slices)))
    for file, array in zip(files, slices, strict=True):
        Image.fromarray(array, mode).save(file)
    return files


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_unscaled_values_keep_their_type(write, grey, name, dtype):
    volume = read_volume((write(name, grey.astype(dtype)),))
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, grey.astype(dtype))
    np.testing.assert_allclose(volume.affine, np.diag([2.0, 0.5, 0.75, 1.0]))


def test_scaled_integers_become_float32(tmp_path, grey):
    image = nib.Nifti1Image(grey, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume((tmp_path / "a.nii",))
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, nib.load(tmp_path / "a.nii").get_fdata(), rtol=1e-6)


def test_big_endian_and_nifti2(tmp_path, grey):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Image(grey, np.eye(4), header), tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    nib.save(nib.Nifti2Image(grey, np.eye(4)), tmp_path / "two.nii")
    for name in ("big.nii", "two.nii"):
        volume = read_volume((tmp_path / name,))
        assert volume.array.dtype == np.dtype(np.int16)
        np.testing.assert_array_equal(volume.array, grey)


def test_a_single_volume_series_is_squeezed_and_a_real_one_refused(write, grey):
    assert read_volume((write("one.nii", grey[..., None]),)).array.shape == grey.shape
    with pytest.raises(DataError, match=r"\(5, 12, 9, 2\), not three dimensions"):
        read_volume((write("two.nii", np.stack([grey, grey], -1)),))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_cut_files(write, grey, name, share):
    path = write(name, grey)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"copy or convert the file again") as caught:
        read_volume((path,))
    assert caught.value.file == path


def test_a_damaged_header_never_raises_anything_else(write, grey):
    rng, path = np.random.default_rng(0), write("a.nii", grey)
    whole = path.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for position in rng.integers(0, 352, 3):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            assert read_volume((path,)).array.ndim == 3


def test_a_flipped_bit_in_a_compressed_file_is_found(write):
    path = write("a.nii.gz", np.arange(1000, dtype=np.int32).reshape(10, 10, 10))
    raw = gzip.decompress(path.read_bytes())
    data = bytearray(gzip.compress(raw, compresslevel=0))  # stored, so that only the check sum can tell
    data[-100] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match="CRC"):
        read_volume((path,))


def test_not_an_image(tmp_path):
    for name in ("a.nii", "a.nii.gz", "a.png"):
        (tmp_path / name).write_text("a table of results\n" * 100)
        with pytest.raises(DataError, match="no whole"):
            read_volume((tmp_path / name,))
    (tmp_path / "a.xyz").write_text("x")
    with pytest.raises(DataError, match="not supported"):
        read_volume((tmp_path / "a.xyz",))
    with pytest.raises(DataError, match="does not exist"):
        read_volume((tmp_path / "none.nii",))


def test_nan_and_infinity_are_counted(write, grey):
    array = grey.astype(np.float32)
    array[1, 2, 3], array[4, 0, 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"2 voxels are NaN or infinite, the first at \(1, 2, 3\)"):
        read_volume((write("a.nii", array),))


def test_empty_image(write):
    with pytest.raises(DataError, match="every voxel is 7"):
        read_volume((write("a.nii", np.full((3, 4, 5), 7, np.int16)),))


def test_singular_affine(tmp_path, grey):
    image = nib.Nifti1Image(grey, np.eye(4))
    image.header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), code=1)
    nib.save(nib.Nifti1Image(grey, None, image.header), tmp_path / "a.nii")
    with pytest.raises(DataError, match="not invertible"):
        read_volume((tmp_path / "a.nii",))


def test_picture_stacks(tmp_path):
    rng = np.random.default_rng(1)
    slices = [rng.integers(0, 255, (6, 8), np.uint8) for _ in range(3)]
    volume = read_volume(stack(tmp_path / "grey", slices))
    assert volume.affine is None
    np.testing.assert_array_equal(volume.array, slices)
    deep = [s.astype(np.uint16) * 200 for s in slices]
    assert read_volume(stack(tmp_path / "deep", deep)).array.max() == np.max(deep)
    grey_as_rgb = read_volume(stack(tmp_path / "rgb", [np.repeat(s[..., None], 3, -1) for s in slices]))
    np.testing.assert_array_equal(grey_as_rgb.array, slices)
    with pytest.raises(DataError, match="colour"):
        read_volume(stack(tmp_path / "colour", [rng.integers(0, 255, (6, 8, 3), np.uint8)]))


def test_slices_of_different_size(tmp_path):
    files = stack(tmp_path / "s", [np.eye(6, 8, dtype=np.uint8), np.eye(6, 7, dtype=np.uint8)])
    with pytest.raises(DataError, match=r"\(6, 7\).*0\.png.*\(6, 8\)") as caught:
        read_volume(files)
    assert caught.value.file == files[1]


def test_a_cut_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    file = stack(tmp_path / "s", [noise])[0]
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(DataError, match="no whole picture"):
        read_volume((file,))


def test_several_pictures_in_one_file(tmp_path):
    pages = [Image.fromarray(np.eye(5, dtype=np.uint8) * i) for i in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="holds 3 pictures"):
        read_volume((tmp_path / "a.tif",))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_raw_values_are_mapped_by_name(write, dtype):
    raw = np.array([0, 3, 10, 200], dtype).reshape(2, 2, 1)
    mask = MaskFiles((write("m.nii", raw),), {3: "disc", 10: "vertebra", 200: "background"})
    found = read_mask(mask, LABELS)
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == [0, 2, 1, 0]


def test_palette_masks_are_read_as_numbers(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "m.png")
    assert read_mask(MaskFiles((tmp_path / "m.png",), {1: "vertebra", 2: "disc"}), LABELS).tolist() == [
        [[0, 1], [2, 1]]
    ]


def test_unknown_values_are_listed(write):
    raw = np.array([0, 1, 5, 5, 5, 300], np.int16).reshape(1, 2, 3)
    path = write("m.nii", raw)
    with pytest.raises(DataError, match=r"5 \(3 voxels\), 300 \(1 voxels\); known are 0 and \[1\]") as caught:
        read_mask(MaskFiles((path,), {1: "disc"}), LABELS)
    assert caught.value.file == path


@pytest.mark.parametrize("odd", [0.5, np.nan])
def test_label_values_are_whole_numbers(write, odd):
    raw = np.array([0, 1, odd, 1], np.float32).reshape(1, 2, 2)
    with pytest.raises(DataError, match="1 voxels hold no whole number"):
        read_mask(MaskFiles((write("m.nii", raw),), {1: "disc"}), LABELS)


def test_a_name_that_is_no_class(write):
    with pytest.raises(ConfigError, match=r"'dics'.*\['vertebra', 'disc'\]"):
        read_mask(MaskFiles((write("m.nii", np.ones((2, 2, 2), np.uint8)),), {1: "dics"}), LABELS)


def test_a_mask_of_another_shape(write, grey):
    image = read_volume((write("a.nii", grey),))
    with pytest.raises(DataError, match=r"\(5, 12, 8\), the image's is \(5, 12, 9\)"):
        read_mask(
            MaskFiles((write("m.nii", (grey[..., :8] > 500).astype(np.uint8)),), {1: "disc"}), LABELS, image=image
        )


def test_a_mask_beside_its_image(write, grey):
    affine = np.diag([2.0, 0.5, 0.75, 1.0])
    image, mask = read_volume((write("a.nii", grey, affine),)), (grey > 500).astype(np.uint8)
    affine[0, 3] += 0.25  # an eighth of a voxel
    read_mask(MaskFiles((write("near.nii", mask, affine),), {1: "disc"}), LABELS, image=image)
    affine[0, 3] += 1.0
    with pytest.raises(DataError, match=r"1\.25 mm \(0\.62 voxels\)"):
        read_mask(MaskFiles((write("far.nii", mask, affine),), {1: "disc"}), LABELS, image=image)


def test_a_turned_mask_is_found_by_its_corners(write, grey):
    image = read_volume((write("a.nii", grey, np.eye(4)),))
    turned = nib.affines.from_matvec(nib.eulerangles.euler2mat(z=0.05), [0, 0, 0])
    with pytest.raises(DataError, match="beside the image's"):
        read_mask(MaskFiles((write("m.nii", (grey > 9).astype(np.uint8), turned),), {1: "disc"}), LABELS, image=image)


def test_too_few_mask_slices(tmp_path):
    image = read_volume(stack(tmp_path / "i", [np.eye(4, dtype=np.uint8)] * 3))
    masks = stack(tmp_path / "m", [np.eye(4, dtype=np.uint8)] * 2)
    with pytest.raises(DataError, match="2 slices, the image has 3"):
        read_mask(MaskFiles(masks, {1: "disc"}), LABELS, image=image)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_written_mask_lies_in_the_scans_own_grid(tmp_path, grey, kind, suffix):
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 0.3) * [2, 0.5, 0.7], [5, -9, 3])
    scan = kind(grey[..., None], turn)
    scan.header.set_slope_inter(0.25, 3)
    scan.set_sform(turn, code=4)
    scan.set_qform(turn, code=2)
    nib.save(scan, tmp_path / f"scan{suffix}")
    labels = (grey % 7).astype(np.int64)
    write_mask(tmp_path / "new" / f"mask{suffix}", labels, tmp_path / f"scan{suffix}")
    mask = nib.load(tmp_path / "new" / f"mask{suffix}")
    assert mask.get_data_dtype() == np.uint8
    assert mask.shape == scan.shape
    assert int(mask.header["sform_code"]) == 4
    assert int(mask.header["qform_code"]) == 2
    np.testing.assert_array_equal(mask.get_sform(), scan.get_sform())
    np.testing.assert_array_equal(mask.get_qform(), scan.get_qform())
    np.testing.assert_array_equal(mask.get_fdata()[..., 0], labels)
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"mask{suffix}"]


def test_a_scan_without_sform_stays_without(tmp_path, grey):
    scan = nib.Nifti1Image(grey, np.eye(4))
    scan.set_sform(None, code=0)
    scan.set_qform(np.diag([-1.0, 1, 2, 1]), code=1)
    nib.save(scan, tmp_path / "scan.nii")
    write_mask(tmp_path / "mask.nii", grey % 2, tmp_path / "scan.nii")
    mask = nib.load(tmp_path / "mask.nii")
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (0, 1)
    np.testing.assert_array_equal(mask.affine, nib.load(tmp_path / "scan.nii").affine)


def test_a_mask_stack_has_the_slices_names(tmp_path):
    files = stack(tmp_path / "i", [np.eye(4, 5, dtype=np.uint8) * 9] * 2)
    labels = np.arange(40, dtype=np.uint8).reshape(2, 4, 5) % 3
    write_mask(tmp_path / "out", labels, files)
    for file, wanted in zip(files, labels, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / file.name)), wanted)
    write_mask(tmp_path / "one.png", labels[:1], files[0])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), labels[0])


def test_what_cannot_be_written(write, grey, tmp_path):
    scan = write("scan.nii", grey)
    for bad in (grey[..., 1:] % 2, grey.astype(float), grey * 0 - 1, grey.astype(int) * 0 + 256):
        with pytest.raises(ValueError, match="mask"):
            write_mask(tmp_path / "m.nii", bad, scan)
    with pytest.raises(ValueError, match=r"\.nii or \.nii\.gz"):
        write_mask(tmp_path / "m.png", grey % 2, scan)
    assert not (tmp_path / "m.nii").exists()


def test_a_failed_write_leaves_the_old_file(write, grey, tmp_path, monkeypatch):
    scan, old = write("scan.nii", grey), write("mask.nii", (grey % 2).astype(np.uint8)).read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_mask(tmp_path / "mask.nii", grey % 3, scan)
    assert (tmp_path / "mask.nii").read_bytes() == old
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mask.nii", "scan.nii"]
