"""The shipped data configurations on the real data sets: counts, geometry, and what the way back costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from spinelab.data.volumes.geometry import from_slices
from spinelab.data.volumes.io import write_mask
from spinelab.data.volumes.prepare import Preprocessing, native_truth, prepare_case

CONF = Path(__file__).resolve().parents[3] / "conf" / "data"


def configured(name: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SPINELAB_DATA", str(shared))
    config = OmegaConf.create({"data": OmegaConf.load(CONF / f"{name}.yaml"), "paths": {"data": "none"}})
    return instantiate(config.data, _convert_="all", _execution_whitelist_=["spinelab.*"])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.sum(a & b) / (np.sum(a) + np.sum(b))


@pytest.mark.parametrize(
    ("name", "cases", "persons", "slices"),
    [("gm_challenge", 6, 4, 117), ("sct_testing", 3, 1, 141), ("sct_t2s", 1, 1, 9), ("spider_t2space", 31, 31, 333)],
)
def test_counts(name, cases, persons, slices, shared, monkeypatch):
    data = configured(name, shared, monkeypatch)
    listed = data["source"].cases()
    assert len(listed) == cases
    assert len({case.person for case in listed}) == persons
    volumes = [prepare_case(case, data["labels"], data["preprocessing"]) for case in listed]
    assert sum(len(volume.image) for volume in volumes) == slices
    for volume in volumes:
        assert set(np.unique(volume.mask)) == set(range(data["labels"].count))
        assert np.isfinite(volume.intensity[0].apply(volume.image)).all()


def test_sessions_are_one_person_and_sites_are_known(shared, monkeypatch):
    listed = configured("gm_challenge", shared, monkeypatch)["source"].cases()
    assert {case.person for case in listed} == {"sub-9418", "sub-9604", "sub-9709", "sub-10062"}
    assert {case.site for case in listed} == {"UCL", "Philips", "Milan", "CEITEC"}


def test_only_slices_that_are_fully_annotated_are_usable(shared, monkeypatch):
    data = configured("gm_challenge", shared, monkeypatch)
    case = next(c for c in data["source"].cases() if c.person == "sub-9604")
    masks = [nib.load(mask.files[0]).get_fdata().any(axis=(0, 1)) for mask in case.masks]
    assert [int(m.sum()) for m in masks] == [14, 15]
    usable = prepare_case(case, data["labels"], data["preprocessing"]).usable
    np.testing.assert_array_equal(usable, masks[0] & masks[1])


def test_slices_of_a_person_are_in_the_tables_order(shared, monkeypatch):
    case = configured("spider_t2space", shared, monkeypatch)["source"].cases()[0]
    rows = (shared / "spider_t2space" / "slices.csv").read_text().splitlines()[1:]
    wanted = sorted((int(row.split(",")[2]), row.split(",")[0]) for row in rows if row.split(",")[1] == case.person)
    assert [file.name for file in case.images[0]] == [name for _, name in wanted]


@pytest.mark.parametrize("name", ["gm_challenge", "sct_testing", "sct_t2s"])
def test_without_resampling_the_truth_comes_back_exactly(name, shared, monkeypatch, tmp_path):
    data = configured(name, shared, monkeypatch)
    for case in data["source"].cases():
        for plane in ("sagittal", "axial", "coronal"):
            volume = prepare_case(case, data["labels"], Preprocessing(plane=plane))
            write_mask(tmp_path / "back.nii.gz", from_slices(volume.mask, volume.geometry), case.images[0][0])
            back, scan = nib.load(tmp_path / "back.nii.gz"), nib.load(case.images[0][0])
            np.testing.assert_array_equal(back.affine, scan.affine)
            for label, mask in enumerate(case.masks, start=1):
                inside = nib.load(mask.files[0]).get_fdata() > 0
                # later masks lie over earlier ones, so an earlier one's voxels have its label or a higher one
                assert (back.get_fdata()[inside] >= label).all()
            native = native_truth(case, data["labels"])[0]
            np.testing.assert_array_equal(back.get_fdata(), native)


def test_pictures_come_back_exactly(shared, monkeypatch, tmp_path):
    data = configured("spider_t2space", shared, monkeypatch)
    odd = next(c for c in data["source"].cases() if c.person == "sub-081")  # 256 x 310 pixels
    volume = prepare_case(odd, data["labels"], data["preprocessing"])
    write_mask(tmp_path / "out", from_slices(volume.mask, volume.geometry), odd.images[0])
    values = np.array([0, 1, 3, 2])  # the raw value of each class: vertebra, disc, canal
    for file in odd.masks[0].files:
        back = np.asarray(Image.open(tmp_path / "out" / file.name))
        np.testing.assert_array_equal(values[back], np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", ["gm_challenge", "sct_testing", "sct_t2s"])
def test_resampling_and_cropping_cost_little(name, shared, monkeypatch):
    """A perfect network would score this much: the truth as probabilities, through the slices and back."""
    data = configured(name, shared, monkeypatch)
    for case in data["source"].cases():
        volume = prepare_case(case, data["labels"], data["preprocessing"])
        certain = np.eye(data["labels"].count, dtype=np.float32)[volume.mask]
        back, truth = from_slices(certain, volume.geometry).argmax(-1), native_truth(case, data["labels"])[0]
        for region, indices in data["labels"].region_indices().items():
            floor = 0.97 if region == "grey_matter" else 0.99
            assert dice(np.isin(back, indices), np.isin(truth, indices)) > floor, (case.name, region)


def test_up_is_front_and_left_is_the_patients_right(shared, monkeypatch):
    """Against nibabel's own canonical order, in which x runs to the right, y forwards and z upwards."""
    data = configured("sct_testing", shared, monkeypatch)
    for case in data["source"].cases():
        picture = prepare_case(case, data["labels"], Preprocessing(plane="axial")).image[..., 0]
        canonical = np.asanyarray(nib.as_closest_canonical(nib.load(case.images[0][0])).dataobj)
        np.testing.assert_array_equal(picture, canonical[::-1, ::-1].transpose(2, 1, 0))
