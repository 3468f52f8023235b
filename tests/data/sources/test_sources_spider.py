from __future__ import annotations

from pathlib import Path

import pytest

from spinelab.data.sources.listing import require_files
from spinelab.data.sources.spider import SpiderSource, spider_labels
from spinelab.errors import ConfigError, DataError

SERIES = ["1_t1", "1_t2", "2_t1", "2_t2", "2_t2_SPACE", "10_t2"]
OVERVIEW = """new_file_name,subset,num_vertebrae,sex,Manufacturer,ManufacturerModelName
1_t1,training,7,F,SIEMENS,Aera
1_t2,training,7,F,SIEMENS,Aera
2_t1,validation,7,M,Philips,Ingenia
2_t2,validation,7,M,Philips,Ingenia
2_t2_SPACE,validation,7,M,Philips,Ingenia
10_t2,training,8,F,SIEMENS,
"""


@pytest.fixture
def spider(tmp_path: Path) -> Path:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in SERIES:
            (tmp_path / folder / f"{name}.mha").touch()
    (tmp_path / "overview.csv").write_text(OVERVIEW)
    return tmp_path


def test_each_series_is_a_case_of_its_person(spider):
    cases = SpiderSource(spider).cases()
    assert [(case.name, case.person, case.site) for case in cases] == [
        ("1_t1", "1", "Aera"), ("1_t2", "1", "Aera"), ("2_t1", "2", "Ingenia"), ("2_t2", "2", "Ingenia"),
        ("2_t2_SPACE", "2", "Ingenia"), ("10_t2", "10", ""),
    ]  # fmt: skip
    assert cases[-1].images == ((spider / "images/10_t2.mha",),)
    assert cases[-1].masks[0].files == (spider / "masks/10_t2.mha",)
    require_files(cases)


def test_labels_are_the_published_ones():
    """The list of the data set's own description: vertebrae, those cut off, canal, discs."""
    labels = spider_labels()
    assert len(labels) == 25 + 25 + 1 + 25
    for name, values in {"vertebra": (1, 9, 25, 101, 125), "canal": (100,), "disc": (201, 209, 225)}.items():
        assert {labels[value] for value in values} == {name}
    assert not {0, 26, 99, 126, 200, 226} & set(labels)


def test_other_labels(spider):
    (case, *_) = SpiderSource(spider, labels={"100": "canal", 1: "L5"}).cases()
    assert case.masks[0].labels == {100: "canal", 1: "L5"}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"contrasts": ["t2"]}, ["1_t2", "2_t2", "10_t2"]),
        ({"contrasts": ["t2_SPACE"]}, ["2_t2_SPACE"]),
        ({"subset": "training"}, ["1_t1", "1_t2", "10_t2"]),
        ({"subset": "validation", "contrasts": ["t1"]}, ["2_t1"]),
    ],
)
def test_contrasts_and_subsets(spider, changes, names):
    assert [case.name for case in SpiderSource(spider, **changes).cases()] == names


def test_without_the_overview(spider):
    (spider / "overview.csv").unlink()
    assert [case.site for case in SpiderSource(spider).cases()] == [""] * 6
    with pytest.raises(DataError, match=r"overview\.csv"):
        SpiderSource(spider, subset="training").cases()


def test_a_missing_mask_is_listed(spider):
    (spider / "masks/2_t1.mha").unlink()
    with pytest.raises(DataError, match=r"1 mask is missing: masks/2_t1\.mha"):
        require_files(SpiderSource(spider).cases())


def test_what_is_refused(spider):
    with pytest.raises(ConfigError, match=r"the contrasts are t3\n.*t1, t2, t2_SPACE"):
        SpiderSource(spider, contrasts=["t3"]).cases()
    with pytest.raises(ConfigError, match="the contrasts are none"):
        SpiderSource(spider, contrasts=[]).cases()
    with pytest.raises(DataError, match=r"in subset test; overview\.csv has training, validation"):
        SpiderSource(spider, subset="test").cases()
    with pytest.raises(ConfigError, match=r"no column Manufactuer; .*\n.*manufacturer"):
        SpiderSource(spider, site_column="Manufactuer").cases()
    (spider / "images/2_t2_SPACE.mha").unlink()
    with pytest.raises(DataError, match="no image of t2_SPACE"):
        SpiderSource(spider, contrasts=["t2_SPACE"]).cases()
    (spider / "images/11_t2.mha").touch()
    with pytest.raises(DataError, match=r"does not name 1 images, such as 11_t2\.mha"):
        SpiderSource(spider, subset="training").cases()
    (spider / "images/patient_t2.mha").touch()
    with pytest.raises(DataError, match=r"patient_t2\.mha: the name is not <number>_<t1 \| t2 \| t2_SPACE>"):
        SpiderSource(spider).cases()
