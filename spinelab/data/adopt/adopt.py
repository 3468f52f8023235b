"""From a folder to the configuration that reads it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spinelab.data.adopt.fingerprint import Fingerprint, measure
from spinelab.data.adopt.found import Found
from spinelab.data.adopt.naming import name_labels, source_arguments
from spinelab.data.adopt.recognise import recognise
from spinelab.data.adopt.suggest import Suggestion, suggest
from spinelab.data.adopt.tree import list_tree, shorten
from spinelab.data.adopt.write import configuration
from spinelab.errors import DataError
from spinelab.types import Case


@dataclass(frozen=True)
class Adopted:
    """A data set that was looked at.

    Attributes:
        text: The configuration, as yaml with comments.
        found: Its layout.
        cases: Its cases.
        facts: Its fingerprint.
        advice: What the configuration was filled in with.
    """

    text: str
    found: Found
    cases: list[Case]
    facts: Fingerprint
    advice: Suggestion


def adopt(root: Path, name: str, step: Callable[[str], None] = lambda what: None) -> Adopted:
    """Look at a folder and write the configuration that reads it.

    Args:
        root: The folder.
        name: What the data set is called.
        step: Told what is read next.

    Raises:
        DataError: The folder is not recognised, or none of its scans can be used.
    """
    tree = list_tree(root)
    found = recognise(tree)
    placeholder = [{1: "label_1"} for _ in found.masks]
    module, _, target = found.target.rpartition(".")
    source = getattr(importlib.import_module(module), target)(tree.root, **source_arguments(found, placeholder))
    cases: list[Case] = source.cases()
    facts = measure(cases, step)
    if not facts.headers:
        reasons = [f"{case}: {why}" for case, why in facts.left_out.items()]
        told = f"none of {len(cases)} cases can be used: {shorten(reasons)}"
        raise DataError(told, "mend the first of them", tree.root)
    found, facts = _largest_first(found, facts)
    advice, names = suggest(facts), name_labels(found, facts.labels)
    return Adopted(configuration(name, str(tree.root), found, cases, facts, names, advice), found, cases, facts, advice)


def _largest_first(found: Found, facts: Fingerprint) -> tuple[Found, Fingerprint]:
    """Kinds of masks in the order in which they are drawn: what is small lies inside what is large."""
    pairs = sorted(zip(found.masks, facts.labels, strict=True), key=lambda pair: -pair[1].voxels.total())
    masks, labels = tuple(kind for kind, _ in pairs), [seen for _, seen in pairs]
    return replace(found, masks=masks), replace(facts, labels=labels)


def plain_name(folder: Path) -> str:
    """A folder's name as the name of a data set."""
    return re.sub(r"\W+", "_", folder.absolute().name).strip("_").lower() or "data"
