"""`spinelab predict` on every format that a scan may have, with one run: the same voxels give the same mask."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from tests_dicom import OBLIQUE, write_series
from tests_shared import disc_overrides, write_disc

from spinelab.cli import main
from spinelab.commands._scoring import write_prediction
from spinelab.config import compose_config
from spinelab.data.volumes.header import read_header
from spinelab.data.volumes.io import read_mask, read_volume
from spinelab.run import Run
from spinelab.types import Case, LabelMap, MaskFiles

DISC = LabelMap(("disc",))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Run, Path]:
    """A run on the discs, trained until it sees them, and its data."""
    folder = tmp_path_factory.mktemp("finished")
    for number in range(5):
        write_disc(folder / "discs", f"sub-{number}", np.random.default_rng(number))
    overrides = [*disc_overrides(folder / "discs", folder / "runs"), "trainer.max_epochs=6", "scheduler=constant"]
    assert main(["train", *overrides]) == 0
    return Run.of(compose_config(overrides)), folder / "discs"


@pytest.fixture(scope="module")
def series(finished, tmp_path_factory) -> tuple[Path, ...]:
    """A scan as an oblique DICOM series whose files are out of order."""
    array = np.asarray(nib.load(next((finished[1] / "images").glob("*.nii.gz"))).dataobj)
    slices = np.flip(array.transpose(0, 2, 1), (1, 2)).clip(0).astype(np.uint16)  # rows run down, columns to the back
    return write_series(
        tmp_path_factory.mktemp("scan") / "series", slices, orientation=OBLIQUE, spacing=(1, 1), gap=3,
        order=[3, 0, 5, 1, 4, 2],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("scan.mha", "mask.mha"),
        ("scan.mhd", "mask.nii.gz"),
        ("scan.nrrd", "mask.nrrd"),
        ("scan.nii.gz", "mask.mha"),
        ("series", "mask.nii.gz"),
        ("series", "mask.dcm"),
    ],
)
def test_one_scan_in_every_format(finished, series, tmp_path, name, output):
    scan = series[0].parent if name == "series" else tmp_path / name
    volume = read_volume(series)
    if name != "series":
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series[0].parent)))
        sitk.WriteImage(reader.Execute(), str(scan))
    assert main(["predict", f"run={finished[0].folder}", f"input={scan}", f"output={tmp_path / output}"]) == 0
    mask = read_mask(MaskFiles((tmp_path / output,), {1: "disc"}), DISC, image=volume)
    assert mask.shape == volume.array.shape
    assert 100 < mask.sum() < mask.size / 3
    assert volume.array[mask == 1].mean() > volume.array[mask == 0].mean() + 50  # discs are 100 brighter
    assert json.loads((tmp_path / "mask.json").read_text())["labels"] == {"0": "background", "1": "disc"}
    if output != "mask.dcm":
        np.testing.assert_allclose(read_header((tmp_path / output,)).affine, volume.affine, atol=1e-3)


@pytest.mark.parametrize("output", ["mask.png", "mask.dcm", "mask"])
def test_names_that_a_mask_cannot_have(finished, tmp_path, capsys, output):
    scan = next((finished[1] / "images").glob("*.nii.gz"))
    assert main(["predict", f"run={finished[0].folder}", f"input={scan}", f"output={tmp_path / output}"]) != 0
    assert ".nii or .nii.gz" in "".join(capsys.readouterr())
    assert not list(tmp_path.iterdir())


def test_predictions_of_an_evaluation_have_the_scans_format(series, tmp_path):
    labels = (read_volume(series).array > 120).astype(np.uint8)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.T))
    for name, wanted in (("a.mhd", "c.mha"), ("a.nhdr", "c.nrrd"), ("a.nii", "c.nii.gz")):
        sitk.WriteImage(image, str(tmp_path / name))
        path = write_prediction(labels, Case("c", "p", ((tmp_path / name,),)), tmp_path / "out")
        assert path == tmp_path / "out" / wanted
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, labels)
    assert write_prediction(labels, Case("d", "p", (series,)), tmp_path / "out").name == "d.nii.gz"
