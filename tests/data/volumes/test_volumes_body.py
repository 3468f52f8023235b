from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from spinelab.data.volumes.body import body_box
from spinelab.data.volumes.geometry import from_slices
from spinelab.data.volumes.prepare import Preprocessing, native_truth, prepare_case
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap, MaskFiles

CONF = Path(__file__).resolve().parents[3] / "conf" / "data"
LABELS = LabelMap(("bone",))


def scan() -> np.ndarray:
    """Noise; a body on rows 30 to 69 and columns 20 to 59 that fades to a tenth; and a brighter, smaller speck."""
    rng = np.random.default_rng(0)
    slices = rng.rayleigh(3, (6, 100, 90))
    slices[1:5, 30:70, 20:60] += np.linspace(500, 50, 40)
    slices[2, 90:93, 80:83] = 2000
    return slices.astype(np.int16)


def test_the_box_is_the_body_and_a_margin_in_millimetres():
    assert body_box(scan(), (3.0, 0.5, 2.0), margin_mm=0) == ((30, 70), (20, 60))
    assert body_box(scan(), (3.0, 0.5, 2.0), margin_mm=4) == ((22, 78), (18, 62))
    assert body_box(scan(), (3.0, 0.5, 2.0), margin_mm=500) == ((0, 100), (0, 90))
    nan = float("nan")
    assert body_box(scan(), (nan, nan, nan), margin_mm=4) == ((26, 74), (16, 64))


@pytest.fixture
def case(write) -> Case:
    # raw axes such that sagittal slices lie as in `scan`: rows run down, columns backwards
    truth = np.zeros((6, 100, 90), np.uint8)
    truth[1:5, 35:50, 30:44] = 1
    flip = np.diag([3.0, -0.8, -0.9, 1.0])[:, [0, 2, 1, 3]]
    return Case("a", "a", ((write("a.nii", scan(), flip),),), (MaskFiles((write("m.nii", truth, flip),), {1: "bone"}),))


def test_the_crop_is_recorded_and_undone(case):
    volume = prepare_case(case, LABELS, Preprocessing(body=True))
    assert volume.geometry.corner == (30 - 12, 20 - 13)  # 10 mm of 0.9 and of 0.8 mm
    assert volume.image.shape == (6, 40 + 24, 40 + 26, 1)
    back = from_slices(volume.mask, volume.geometry)
    np.testing.assert_array_equal(back, native_truth(case, LABELS)[0])


def test_crop_is_central_in_the_body_and_resampling_keeps_it(case):
    volume = prepare_case(case, LABELS, Preprocessing(body=True, crop=(20, 30)))
    assert volume.geometry.corner == (18 + 22, 7 + 18)
    fine = prepare_case(case, LABELS, Preprocessing(body=True, spacing_mm=(0.45, 0.4)))
    assert fine.geometry.corner == (36, 14)
    assert fine.image.shape == (6, 128, 132, 1)
    np.testing.assert_array_equal(from_slices(fine.mask, fine.geometry), native_truth(case, LABELS)[0])


def test_cutting_truth_off_is_refused(case, write):
    truth = np.zeros((6, 100, 90), np.uint8)
    truth[0, 2, 5:8] = 1
    mask = write("far.nii", truth, np.diag([3.0, -0.8, -0.9, 1.0])[:, [0, 2, 1, 3]])
    odd = Case("a", "a", case.images, (MaskFiles((mask,), {1: "bone"}),))
    with pytest.raises(DataError, match="cuts off 3 voxels of the mask"):
        prepare_case(odd, LABELS, Preprocessing(body=True))
    assert prepare_case(odd, LABELS, Preprocessing(body=True), with_mask=False).mask is None


@pytest.mark.parametrize("name", ["gm_challenge", "sct_testing", "spider_t2space"])
def test_real_spines_lie_in_their_bodies(name: str, shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPINELAB_DATA", str(shared))
    config = OmegaConf.create({"data": OmegaConf.load(CONF / f"{name}.yaml"), "paths": {"data": "none"}})
    data: dict[str, Any] = instantiate(config.data, _convert_="all", _execution_whitelist_=["spinelab.*"])
    kept = []
    for case in data["source"].cases():  # a box that cut truth off would raise
        volume = prepare_case(case, data["labels"], Preprocessing(plane=data["preprocessing"].plane, body=True))
        kept.append(np.prod(volume.geometry.slice_shape) / np.prod(volume.geometry.resampled))
    if name != "sct_testing":  # those are small crops inside of the body
        assert np.mean(kept) < 0.9
