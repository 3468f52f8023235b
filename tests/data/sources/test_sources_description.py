from __future__ import annotations

import json

import pytest

from spinelab.data.sources.description import channels, label_map, raw_names
from spinelab.errors import DataError
from spinelab.types import LabelMap


@pytest.fixture
def described(tmp_path):
    """Write labels into a dataset.json."""

    def write(labels):
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
        return tmp_path / "dataset.json"

    return write


@pytest.mark.parametrize(
    "labels",
    [{"0": "background", "2": "disc", "1": "spinal canal"}, {"background": 0, "spinal canal": 1, "disc": [2]}],
)
def test_labels_both_ways_round(described, labels):
    file = described(labels)
    assert raw_names(file) == {1: "spinal_canal", 2: "disc"}
    assert label_map(file) == LabelMap(("spinal_canal", "disc"))


def test_regions(described):
    """BraTS as nnU-Net's documentation writes it."""
    file = described({"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing_tumor": 3})
    assert raw_names(file) == {1: "label_1", 2: "label_2", 3: "enhancing_tumor"}
    labels = label_map(file)
    assert labels.region_indices() == {"whole_tumor": (1, 2, 3), "tumor_core": (2, 3), "enhancing_tumor": (3,)}


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"background": 0, "disc": 1, "ignore": 2}, "`ignore` label"),
        ({"background": 0, "disc": 1, "vertebra": 1}, "not told apart"),
        ({"0": "background", "1": "disc", "2": "disc"}, "not told apart"),
        ({"a b": 1, "a-b": 2}, "not told apart"),
        ({"background": 0, "disc": "one"}, "not understood"),
        ({"background": 0, "disc": -1}, "not understood"),
        ({"background": 0, "disc": []}, "not understood"),
        ({"background": 0, "all": [0, 1]}, "not understood"),
        ({"background": 0, "disc": None}, "not understood"),
        ({}, "not understood"),
        (["disc"], "not understood"),
    ],
)
def test_labels_that_are_refused(described, labels, found):
    with pytest.raises(DataError, match=found) as caught:
        raw_names(described(labels))
    assert caught.value.file == described(labels)
    assert "data.source.labels" in caught.value.remedy


def test_channels(tmp_path):
    assert channels({"channel_names": {"1": "T1", "0": "T2"}}, tmp_path) == ["T2", "T1"]
    assert channels({"modality": {"0": "MRI"}}, tmp_path) == ["MRI"]
    for wrong in ({}, {"channel_names": {}}, {"channel_names": {"1": "T2"}}, {"modality": ["MRI"]}):
        with pytest.raises(DataError, match="the channels are"):
            channels(wrong, tmp_path)
