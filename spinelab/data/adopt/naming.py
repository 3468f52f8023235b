"""What the values in masks are called, and the source's arguments that say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spinelab.data.adopt.fingerprint import Labels
from spinelab.data.adopt.found import Found
from spinelab.data.adopt.tree import split_words

Names = list[dict[int, str]]
"""For each kind of mask: raw value -> class name."""


def name_labels(found: Found, labels: Sequence[Labels]) -> Names:
    """Names of all values: the data set's own, also for values that were not seen, else ``label_<value>``.

    Masks of several kinds hold few values each, which are named after the kind. A ``dseg.tsv`` is about a ``dseg``.

    Args:
        found: The layout.
        labels: What was found in the masks, one entry a kind.
    """
    several = len(found.masks) > 1
    named = []
    for kind, entry in zip(found.masks, labels, strict=True):
        known = found.names if not several or kind.endswith("dseg") else {}
        told = kind if several else ""
        values = sorted({*entry.voxels, *known}) or [1]  # empty masks say nothing, and a source wants a name
        named.append({value: known.get(value) or _name(told, value, entry) for value in values})
    return named


def source_arguments(found: Found, names: Names) -> dict[str, Any]:
    """All arguments of the source but `root`, with what the masks' values mean written in the layout's own way.

    Args:
        found: The layout.
        names: From `name_labels`.
    """
    arguments = dict(found.arguments)
    if found.own_labels:
        return arguments | {"labels": None}
    if found.format == "bids":
        return arguments | {"masks": dict(zip(found.masks, names, strict=True))}
    if not found.masks:
        return arguments
    if found.format == "folder":
        arguments["mask"] = found.masks[0]
    arguments["labels"] = names[0]
    overlays = dict(zip(found.masks[1:], names[1:], strict=True))
    return arguments | ({"overlays": overlays} if overlays else {})


def classes(found: Found, names: Names) -> list[str]:
    """The class names in order: those that occur in the masks, or that the source names by itself."""
    given = [found.names.values()] if found.own_labels else [named.values() for named in names]
    return list(dict.fromkeys(name for group in given for name in group))


def unnamed(found: Found, names: Names) -> Mapping[int, str]:
    """Values in the masks that the source's own labels do not name."""
    if not found.own_labels:
        return {}
    return {value: name for named in names for value, name in named.items() if value not in found.names}


def _name(kind: str, value: int, entry: Labels) -> str:
    stem = re.sub(r"\{[a-z]+\}|\.nii(\.gz)?$|\.\w+$", "", kind.rpartition("/")[2])
    word = "_".join(split_words(stem)) or "_".join(split_words(kind.partition("/")[0].replace("{folder}", "")))
    word = re.sub(r"\W+", "_", word).strip("_")
    if not word:
        return f"label_{value}"
    return word if len(entry.voxels) == 1 else f"{word}_{value}"
