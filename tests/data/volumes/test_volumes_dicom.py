"""DICOM series and DICOM-SEG, made with pydicom and highdicom, compared with SimpleITK's own series reader."""

from __future__ import annotations

import builtins
import contextlib
import sys
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid
from tests_dicom import OBLIQUE, edit, slice_header, write_seg, write_series

from spinelab.data.volumes.dicom import list_series
from spinelab.data.volumes.header import read_header
from spinelab.data.volumes.io import check_output, mask_name, read_mask, read_volume, write_mask
from spinelab.errors import ConfigError, DataError
from spinelab.types import LabelMap, MaskFiles

LABELS = LabelMap(("vertebra", "disc"))
RAW = {1: "vertebra", 2: "disc"}
TURNED = (1.0, 0.0, 0.0, 0.0, 0.8, 0.6)


@pytest.fixture
def slices() -> np.ndarray:
    """Seven slices of 12 rows and 10 columns."""
    return np.random.default_rng(0).integers(0, 4000, (7, 12, 10)).astype(np.uint16)


@pytest.fixture
def segments() -> np.ndarray:
    """Two segments, on three of the seven slices."""
    mask = np.zeros((7, 12, 10), np.uint8)
    mask[2, 3:6, 4:8], mask[3, 4:9, 1:4], mask[5, 0, 0], mask[5, 11, 9] = 1, 2, 1, 2
    return mask


def by_simpleitk(folder: Path) -> sitk.Image:
    """The folder's series, ordered and read by SimpleITK."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("orientation", [OBLIQUE, TURNED, (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)])
def test_a_series_is_ordered_by_position(tmp_path, slices, orientation):
    names = np.random.default_rng(1).permutation(7)
    files = write_series(tmp_path, slices, orientation=orientation, order=names.tolist())
    volume = read_volume(tuple(sorted(files)))
    reference = by_simpleitk(tmp_path)
    np.testing.assert_array_equal(volume.array, slices.transpose(2, 1, 0))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(reference).T)
    assert volume.array.dtype == np.uint16
    for index in ((0, 0, 0), (9, 0, 0), (0, 11, 0), (3, 4, 6)):
        x, y, z = reference.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], (-x, -y, z), atol=1e-4)
    for other in (files[::-1], tuple(files[i] for i in names)):
        again = read_volume(other)
        np.testing.assert_array_equal(again.array, volume.array)
        np.testing.assert_array_equal(again.affine, volume.affine)


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
def test_transfer_syntaxes_and_types(tmp_path, slices, dtype, syntax):
    array = slices.astype(dtype) - (2000 if dtype == "int16" else 0)
    volume = read_volume(write_series(tmp_path, array, syntax=syntax))
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array.transpose(2, 1, 0))


def test_the_rescale_slope_of_each_slice(tmp_path, slices):
    files = write_series(tmp_path, slices)
    slopes = [1.0, 0.5, 2.25, 1.0, 0.125, 3.0, 1.5]
    for file, slope in zip(files, slopes, strict=True):
        edit(file, RescaleSlope=slope, RescaleIntercept=-7)
    volume = read_volume(files)
    assert volume.array.dtype == np.float32
    wanted = slices * np.array(slopes)[:, None, None] - 7
    np.testing.assert_allclose(volume.array, wanted.transpose(2, 1, 0), rtol=1e-6)


def test_files_without_extension(tmp_path, slices):
    files = write_series(tmp_path, slices)
    renamed = tuple(file.rename(file.with_suffix("")) for file in files)
    np.testing.assert_array_equal(read_volume(renamed).array, slices.transpose(2, 1, 0))


def test_a_single_slice_takes_its_thickness(tmp_path, slices):
    volume = read_volume(write_series(tmp_path, slices[:1], gap=3.5))
    assert volume.array.shape == (10, 12, 1)
    np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, 2]), 3.5)


def test_a_single_slice_without_thickness(tmp_path, slices):
    with pytest.raises(DataError, match="unknown thickness"):
        read_volume((edit(write_series(tmp_path, slices[:1])[0], SliceThickness=None),))


def test_headers_without_pixels(tmp_path, slices):
    files = write_series(tmp_path, slices)
    header = read_header(files[::-1])
    assert (header.format, header.shape, header.dtype) == ("DICOM", (10, 12, 7), np.uint16)
    assert header.claimed_bytes == slices.nbytes
    assert header.file_bytes == sum(file.stat().st_size for file in files)
    np.testing.assert_array_equal(header.affine, read_volume(files).affine)
    np.testing.assert_allclose(header.spacing_mm, (0.75, 0.5, 4.0), rtol=1e-5)
    assert header.orientation == "".join(nib.aff2axcodes(header.affine)) == "PIR"


def test_a_missing_slice(tmp_path, slices):
    files = write_series(tmp_path, slices)
    for missing in (1, 3, 5):
        with pytest.raises(DataError, match=r"4 to 8 mm apart.*slices are missing") as caught:
            read_volume(files[:missing] + files[missing + 1 :])
        assert caught.value.file == tmp_path
        assert f"im{missing - 1:03d}.dcm and im{missing + 1:03d}.dcm" in str(caught.value)


def test_one_missing_slice_of_many(tmp_path):
    files = write_series(tmp_path, np.random.default_rng(0).integers(0, 99, (120, 4, 4)).astype(np.uint16), gap=1.0)
    with pytest.raises(DataError, match="1 to 2 mm apart"):
        read_header(files[:60] + files[61:])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"SeriesInstanceUID": "9.9"}, r"files are of 2 series: 1\.2\.3\.4, 9\.9"),
        ({"ImagePositionPatient": [10.0, -20.0, 30.0]}, "lies where im000.dcm does"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "turned against that of im000.dcm"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"PixelSpacing": [0.6, 0.75]}, "differ from those of im000.dcm"),
        ({"NumberOfFrames": 2}, "multi-frame"),
        ({"ImagePositionPatient": None}, "places a slice"),
        ({"ImageOrientationPatient": None}, "places a slice"),
        ({"PixelSpacing": None}, "places a slice"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"PixelData": None}, "no pixels"),
        ({"Rows": None}, "no image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "DICOM-SEG"),
    ],
)
def test_files_that_make_up_no_volume(tmp_path, slices, values, reason):
    files = write_series(tmp_path, slices)
    edit(files[4], **values)
    with pytest.raises(DataError, match=reason) as caught:
        read_volume(files)
    assert caught.value.file in (files[4], tmp_path)


@pytest.mark.parametrize("syntax", [None, RLELossless])
@pytest.mark.parametrize(
    "keep", [slice(0, 0), slice(0, 100), slice(0, 400), slice(0, -150), slice(0, -9), slice(0, -1)]
)
def test_cut_files(tmp_path, slices, syntax, keep):
    files = write_series(tmp_path, slices, syntax=syntax)
    files[2].write_bytes(files[2].read_bytes()[keep])
    with pytest.raises(DataError, match=r"whole|claims|cut short") as caught:
        read_volume(files)
    assert caught.value.file == files[2]


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_garbage_behind_the_pixels(tmp_path, slices, syntax):
    files = write_series(tmp_path, slices, syntax=syntax)
    files[2].write_bytes(files[2].read_bytes() + b"garbage" * 9)
    with pytest.raises(DataError, match="whole"):
        read_volume(files)


def test_not_dicom(tmp_path, slices):
    (tmp_path / "a.dcm").write_text("a table of results\n" * 100)
    with pytest.raises(DataError, match="no whole DICOM file"):
        read_volume((tmp_path / "a.dcm",))


def test_a_claim_beyond_the_file(tmp_path, slices):
    files = write_series(tmp_path, slices)
    edit(files[1], Rows=60000, Columns=60000)
    with pytest.raises(DataError, match="differ"):
        read_volume(files)
    with pytest.raises(DataError, match=r"claims 7.2 GB of voxels, the file can hold 1\.\d kB"):
        read_volume(files[1:2])


def test_without_the_extra(tmp_path, slices, monkeypatch):
    files = write_series(tmp_path, slices)
    monkeypatch.delitem(sys.modules, "pydicom")
    real = builtins.__import__
    monkeypatch.setattr(
        "importlib.import_module",
        lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name)) if "dicom" in name else real(name),
    )
    with pytest.raises(ConfigError, match=r"pip install spinelab\[dicom\]"):
        read_volume(files)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_segment_numbers_are_the_raw_values(tmp_path, slices, segments, kind, omit):
    files = write_series(tmp_path / "scan", slices)
    seg = write_seg(tmp_path / "seg.dcm", files, segments, kind, omit_empty_frames=omit)
    found = read_mask(MaskFiles((seg,), RAW), LABELS, image=read_volume(files))
    np.testing.assert_array_equal(found, segments.transpose(2, 1, 0))
    with pytest.raises(DataError, match=r"unknown label values: 2 \(16 voxels\)"):
        read_mask(MaskFiles((seg,), {1: "disc"}), LABELS, image=read_volume(files))


def test_a_segmentation_of_some_slices_in_another_order(tmp_path, slices, segments):
    files = write_series(tmp_path / "scan", slices)
    some = [5, 2]
    seg = write_seg(tmp_path / "seg.dcm", [files[i] for i in some], segments[some])
    wanted = np.zeros_like(segments)
    wanted[some] = segments[some]
    found = read_mask(MaskFiles((seg,), RAW), LABELS, image=read_volume(files))
    np.testing.assert_array_equal(found, wanted.transpose(2, 1, 0))


def test_a_segmentation_on_a_converted_scan(tmp_path, slices, segments):
    """The scan was converted to NIfTI, and its axes reordered; highdicom's own volume says where segments lie."""
    files = write_series(tmp_path / "scan", slices)
    seg = write_seg(tmp_path / "seg.dcm", files, segments)
    volume = read_volume(files)
    moved = nib.as_closest_canonical(nib.Nifti1Image(volume.array, volume.affine))
    nib.save(moved, tmp_path / "scan.nii.gz")
    found = read_mask(MaskFiles((seg,), RAW), LABELS, image=read_volume((tmp_path / "scan.nii.gz",)))
    reference = highdicom.seg.segread(seg).get_volume(combine_segments=True)
    inside = np.argwhere(reference.array > 0)
    places = reference.map_indices_to_reference(inside) * [-1, -1, 1]
    indices = np.rint(nib.affines.apply_affine(np.linalg.inv(moved.affine), places)).astype(int)
    wanted = np.zeros_like(found)
    wanted[tuple(indices.T)] = reference.array[tuple(inside.T)]
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"origin": (10.0, -20.0, 31.5)}, r"lies up to .* mm \(.* voxels\) beside the image's"),
        ({"origin": (10.0, -20.0, 330.0)}, r"foreground reaches up to .* mm beyond the image"),
        ({"spacing": (1.0, 0.75)}, r"pixels are \[0\.75, 1\.0\] mm"),
        ({"orientation": (1, 0, 0, 0, 1, 0)}, "pixels are|beside"),
    ],
)
def test_a_segmentation_on_another_grid(tmp_path, slices, segments, changes, reason):
    files = write_series(tmp_path / "scan", slices)
    other = write_series(tmp_path / "other", slices, **changes)
    seg = write_seg(tmp_path / "seg.dcm", other, segments)
    with pytest.raises(DataError, match=reason) as caught:
        read_mask(MaskFiles((seg,), RAW), LABELS, image=read_volume(files))
    assert caught.value.file == seg


def test_segmentations_that_cannot_be_used(tmp_path, slices, segments):
    files = write_series(tmp_path / "scan", slices)
    image = read_volume(files)
    overlap = np.stack([segments == 1, segments >= 1], axis=-1).astype(np.uint8)
    both = [
        highdicom.seg.SegmentDescription(
            n, "s", pydicom.sr.codedict.codes.SCT.Organ, pydicom.sr.codedict.codes.SCT.Organ, "MANUAL"
        )
        for n in (1, 2)
    ]
    for kind, reason in (("BINARY", "overlap"), ("FRACTIONAL", "fractional")):
        seg = highdicom.seg.Segmentation(
            [pydicom.dcmread(f) for f in files], overlap, kind, both, generate_uid(), 9, generate_uid(), 1, "m", "m",
            "1", "0",
        )  # fmt: skip
        seg.save_as(tmp_path / "seg.dcm")
        with pytest.raises(DataError, match=reason):
            read_mask(MaskFiles((tmp_path / "seg.dcm",), RAW), LABELS, image=image)
    whole = write_seg(tmp_path / "whole.dcm", files, segments)
    with pytest.raises(DataError, match="needs an image"):
        read_mask(MaskFiles((whole,), RAW), LABELS)
    data = whole.read_bytes()
    for size in (len(data) - 5, len(data) // 2, 700):
        whole.write_bytes(data[:size])
        with pytest.raises(DataError, match="no whole DICOM file"):
            read_mask(MaskFiles((whole,), RAW), LABELS, image=image)


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nii", "m.mha", "m.nrrd", "m.dcm"])
def test_masks_lie_on_the_series_grid(tmp_path, slices, segments, name):
    files = write_series(tmp_path / "scan", slices, order=[3, 0, 6, 1, 5, 2, 4])
    check_output(tmp_path / name, files)
    write_mask(tmp_path / name, segments.transpose(2, 1, 0), files, {1: "vertebra", 2: "disc"})
    image = read_volume(files)
    found = read_mask(MaskFiles((tmp_path / name,), RAW), LABELS, image=image)
    np.testing.assert_array_equal(found, segments.transpose(2, 1, 0))
    if name != "m.dcm":
        np.testing.assert_allclose(read_header((tmp_path / name,)).affine, image.affine, atol=1e-5)


def test_a_written_segmentation_is_one_to_highdicom(tmp_path, slices, segments):
    files = write_series(tmp_path / "scan", slices)
    write_mask(tmp_path / "m.dcm", segments.transpose(2, 1, 0), files, {1: "vertebra", 2: "disc"})
    seg = highdicom.seg.segread(tmp_path / "m.dcm")
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["vertebra", "disc"]
    assert seg.PatientID == "P1"
    assert {str(uid[1]) for uid in seg.get_source_image_uids()} == {"1.2.3.4"}
    volume = seg.get_volume(combine_segments=True, allow_missing_positions=True)
    np.testing.assert_array_equal(volume.array.sum(), segments.sum(dtype=int))
    write_mask(tmp_path / "empty.dcm", np.zeros((10, 12, 7), int), files, {1: "vertebra", 2: "disc"})
    assert not read_mask(MaskFiles((tmp_path / "empty.dcm",), RAW), LABELS, image=read_volume(files)).any()


def test_which_names_a_mask_may_have(tmp_path, slices):
    files = write_series(tmp_path / "scan", slices)
    assert mask_name("case", files) == "case.nii.gz"
    with pytest.raises(ConfigError, match=r"\.nii or \.nii\.gz.* or \.dcm"):
        check_output(tmp_path / "m.png", files)
    for scan, name in (("a.nii", "c.nii.gz"), ("a.mhd", "c.mha"), ("a.nhdr", "c.nrrd"), ("a.png", "c")):
        assert mask_name("c", (tmp_path / scan,)) == name
        with pytest.raises(ConfigError):
            check_output(tmp_path / "m.dcm", (tmp_path / scan,))


def test_what_no_segmentation_can_refer_to(tmp_path, slices, segments):
    files = write_series(tmp_path / "scan", slices)
    for file in files:
        edit(file, StudyInstanceUID=None)
    with pytest.raises(DataError, match="no DICOM-SEG can refer to it"):
        write_mask(tmp_path / "m.dcm", segments.transpose(2, 1, 0), files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan"]


def test_a_header_without_pixels_is_no_slice(tmp_path):
    ds = slice_header()
    ds.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match="holds no image"):
        read_header((tmp_path / "report.dcm",))


@pytest.mark.filterwarnings("ignore")
def test_damaged_headers_never_raise_anything_else(tmp_path, slices):
    rng, files = np.random.default_rng(0), write_series(tmp_path, slices[:2])
    whole = files[0].read_bytes()
    for _ in range(200):
        data = bytearray(whole)
        for position in rng.integers(0, len(whole) - slices[0].nbytes, 3):
            data[position] = rng.integers(256)
        files[0].write_bytes(data)
        for read in (read_header, read_volume, list_series):
            with contextlib.suppress(DataError):
                read(files)


@pytest.mark.filterwarnings("ignore")
def test_damaged_segmentations_never_raise_anything_else(tmp_path, slices, segments):
    files = write_series(tmp_path / "scan", slices)
    rng, seg, image = np.random.default_rng(0), write_seg(tmp_path / "seg.dcm", files, segments), read_volume(files)
    whole = seg.read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            data[position] = rng.integers(256)
        seg.write_bytes(data)
        with contextlib.suppress(DataError):
            read_mask(MaskFiles((seg,), RAW), LABELS, image=image)
