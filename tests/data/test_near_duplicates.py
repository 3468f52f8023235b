from __future__ import annotations

import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from spinelab.data.near_duplicates import THRESHOLD, across_sides, describe, near_duplicates
from spinelab.data.slices.build import build
from spinelab.data.sources.folder import FolderSource
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap, MaskFiles

SHARED = Path(__file__).resolve().parents[2] / "../shared/data/spider_t2space"
LABELS = LabelMap(("vertebra",))


def scan(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    smooth = gaussian_filter(rng.normal(size=(4, 80, 100)), (0, 2, 2))
    return 500 + 400 * smooth / smooth.std()


def cache_of(folder: Path, scans: dict[str, np.ndarray]):
    cases = []
    for name, array in scans.items():
        files = (folder / f"{name}.nii", folder / f"{name}_mask.nii")
        for path, values in zip(files, (array, array > 600), strict=True):
            nib.save(nib.Nifti1Image(values.astype(np.int16), np.eye(4)), path)
        truth = MaskFiles((files[1],), {1: "vertebra"})
        cases.append(Case(name, name.split("-")[0], ((files[0],),), (truth,)))
    return build(cases, LABELS, Preprocessing(), folder / "cache", progress=False)


def test_copies_under_another_name_are_found(tmp_path):
    noise = np.random.default_rng(9).normal(0, 40, (4, 80, 100))
    scans = {"a": scan(0), "b": scan(1), "c": scan(2), "d": scan(3), "e": scan(4)}
    scans |= {"f": 2 * scan(0) + 100 + noise, "g": scan(1)[1:3]}
    pairs = near_duplicates(cache_of(tmp_path, scans))
    assert {(pair.first, pair.second) for pair in pairs} == {("a", "f"), ("b", "g")}
    assert all(pair.persons == (pair.first, pair.second) for pair in pairs)
    by_name = {pair.first: pair for pair in pairs}
    assert by_name["b"].slices in ((1, 0), (2, 1))
    assert by_name["b"].correlation > by_name["a"].correlation > THRESHOLD
    assert pairs == sorted(pairs, key=lambda pair: -pair.correlation)


def test_scans_of_one_person_are_no_duplicates(tmp_path):
    assert near_duplicates(cache_of(tmp_path, {"a-1": scan(0), "a-2": scan(0)})) == []


def test_blocks_and_thinning_do_not_change_the_pairs(tmp_path, monkeypatch):
    cache = cache_of(tmp_path, {"c": scan(0), "b": scan(1), "a": scan(0)})
    whole = near_duplicates(cache)
    assert [(pair.first, pair.second) for pair in whole] == [("c", "a")]
    monkeypatch.setattr("spinelab.data.near_duplicates.BLOCK", 3)
    assert near_duplicates(cache) == whole
    monkeypatch.setattr("spinelab.data.near_duplicates.MOST", 9)
    assert [(pair.first, pair.second) for pair in near_duplicates(cache)] in ([], [("c", "a")])


def test_only_pairs_across_sides_matter_to_a_split(tmp_path):
    pairs = near_duplicates(cache_of(tmp_path, {"a": scan(0), "b": scan(0), "c": scan(1)}))
    assert across_sides(pairs, Split("x", 0, 0, ("a", "b"), (), ("c",))) == []
    assert across_sides(pairs, Split("x", 0, 0, ("a", "c"), ("b",), ())) == pairs
    assert across_sides(pairs, Split("x", 0, 0, ("a",), (), ("c",))) == []
    assert "a slice 0 and b slice 0: 1.000" in describe(pairs)


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_bad_threshold(tmp_path, threshold):
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(cache_of(tmp_path, {"a": scan(0)}), threshold)


@pytest.fixture(scope="module")
def spider(tmp_path_factory):
    if not SHARED.exists():
        pytest.skip("needs the SPIDER slices in ../shared/data")
    cases = _spider_cases()
    labels = LabelMap(("vertebra", "disc", "canal"))
    return build(cases, labels, Preprocessing(), tmp_path_factory.mktemp("cache"), progress=False)


def _spider_cases() -> list[Case]:
    return FolderSource(
        root=str(SHARED),
        image="images/*.png",
        person=r"(sub-\d+)",
        slice=r"slice-(\d+)",
        mask="masks/{name}",
        labels={1: "vertebra", 2: "canal", 3: "disc"},
    ).cases()


def test_spider_persons_are_apart_and_it_is_quick(spider):
    assert len(spider) == 333
    begin = time.perf_counter()
    assert near_duplicates(spider) == []
    assert time.perf_counter() - begin < 1
    closest = near_duplicates(spider, 0.4)[0]
    assert 0.5 < closest.correlation < 0.6  # what the documentation of the threshold says


def test_a_shifted_copy_of_a_spider_scan_is_found(spider):
    from spinelab.data.near_duplicates import thumbnails

    images = [spider.image(row)[..., 0] for row in range(333)]
    shifted = [np.roll(image, (1, 1), (0, 1)) for image in images]
    alike = (thumbnails(images) * thumbnails(shifted)).sum(1)
    best = [alike[spider.table["volume"] == volume].max() for volume in range(31)]
    assert min(best) > THRESHOLD
