"""The ``dataset.json`` of the Medical Segmentation Decathlon and of nnU-Net.

The Decathlon (Antonelli et al. 2022) and nnU-Net 1 write ``"labels": {"1": "disc"}`` and ``"modality"``; nnU-Net 2
(Isensee et al. 2021) writes ``"labels": {"disc": 1}`` and ``"channel_names"``, and lets a name stand for a region of
several values: ``{"cord": [1, 2]}``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinelab.data.sources.tables import read_json
from spinelab.errors import DataError
from spinelab.types import LabelMap

REMEDY = "correct it, or say what the values mean with data.source.labels, such as {1: vertebra, 2: disc}"


def read_description(file: Path) -> dict[str, Any]:
    """The object in a ``dataset.json``.

    Raises:
        DataError: The file is missing or holds no JSON object.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        raise DataError("it holds no JSON object", "restore the file from the data set's source", file)
    return content


def raw_names(file: Path) -> dict[int, str]:
    """Raw value -> class name, without background; values that only regions name are called ``label_<value>``.

    Blanks and signs in names become ``_``, so that names can be used in configurations and tables.

    Raises:
        DataError: The file says nothing about labels, or what it says is contradictory; or it has nnU-Net's ``ignore``
            label, which marks voxels that nobody annotated.
    """
    named = _named_values(file)
    single = {values[0]: name for name, values in named.items() if len(values) == 1}
    values = sorted({value for values in named.values() for value in values})
    names = {value: single.get(value, f"label_{value}") for value in values}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice or sum(len(values) == 1 for values in named.values()) > len(single):
        raise DataError(f"labels are not told apart: {dict(named)}", REMEDY, file)
    return names


def label_map(file: Path | str) -> LabelMap:
    """Classes of a ``dataset.json`` in the order of their values, with its regions if it has any.

    Raises:
        DataError: As `raw_names`.
    """
    file = Path(file)
    names, named = raw_names(file), _named_values(file)
    regions = {name: tuple(names[value] for value in values) for name, values in named.items()}
    return LabelMap(tuple(names.values()), regions if any(len(united) > 1 for united in regions.values()) else {})


def channels(description: Mapping[str, Any], file: Path) -> list[str]:
    """Names of the image channels in order.

    Raises:
        DataError: The file does not name them.
    """
    named = description.get("channel_names", description.get("modality"))
    if not isinstance(named, dict) or not named or sorted(named) != sorted(str(i) for i in range(len(named))):
        raise DataError(
            f"the channels are {named!r}", 'name them as "channel_names": {"0": "T2w"} and number them from 0', file
        )
    return [str(named[str(i)]) for i in range(len(named))]


def _named_values(file: Path) -> dict[str, tuple[int, ...]]:
    """Name -> raw values, without background."""
    labels = read_description(file).get("labels")
    try:
        if not isinstance(labels, dict) or not labels:
            raise ValueError("no labels are named")
        by_value = all(str(key).isdecimal() for key in labels)
        pairs = [(str(value), key) if by_value else (str(key), value) for key, value in labels.items()]
        named = [(_plain(name), _whole(values)) for name, values in pairs]
    except (ValueError, TypeError) as error:
        raise DataError(f"its labels are not understood ({error}): {labels!r}", REMEDY, file) from error
    named = [(name, values) for name, values in named if values != (0,)]
    if len(dict(named)) < len(named):
        raise DataError(f"labels are not told apart: {labels!r}", REMEDY, file)
    if "ignore" in dict(named) and not by_value:
        raise DataError(
            "it has an `ignore` label: voxels that nobody annotated, which would be taken as background",
            "complete the annotation, or give data.source.labels if its value occurs in no mask",
            file,
        )
    return dict(named)


def _whole(values: Any) -> tuple[int, ...]:
    whole = tuple(int(value) for value in (values if isinstance(values, list) else [values]))
    if not whole or min(whole) < 0 or (len(whole) > 1 and 0 in whole):
        raise ValueError(f"{values!r} are no label values")
    return whole


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
