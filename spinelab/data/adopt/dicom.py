"""DICOM series, and their masks: DICOM-SEG that refer to them, or volumes named after their folders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from spinelab.data.adopt.found import Found, Missed
from spinelab.data.adopt.tree import Tree, bare, extension, shorten
from spinelab.data.volumes.dicom import Series, list_series, read_dicom
from spinelab.data.volumes.formats import is_dicom
from spinelab.errors import SpinelabError


def dicom(tree: Tree) -> Found | Missed:
    """DICOM files, whatever they are called."""
    files = [tree.root / file for file in tree.dicom if is_dicom(tree.root / file)]
    if not files:
        return Missed("dicom", "DICOM files")
    try:
        series, segmentations = list_series(files)
    except SpinelabError as error:
        return Missed("dicom", f"DICOM files that can be read: {error}", 0.8)
    if not series:
        return Missed("dicom", f"images among the {len(files)} DICOM files", 0.5)
    arguments: dict[str, Any] = {}
    template, masked = _template(tree, series)
    names: dict[int, str] = {}
    if segmentations and len(segmentations) >= len(masked):
        masked = {one.uid for one in series if one.uid in segmentations}
        names = _segment_names([file for found in segmentations.values() for file in found])
    elif template:
        arguments["mask"] = template
    if masked and (description := _telling(series, masked)):
        arguments["series"] = description
    kind = "DICOM-SEG" if names else "masks" if masked else "no masks"
    return Found(
        "dicom",
        f"{len(files)} DICOM files, {len(series)} series, {len(masked) or ''} {kind}".replace("  ", " "),
        "spinelab.data.sources.dicom.DicomSource",
        arguments | ({} if all(one.person for one in series) else {"person": r"^([^/]+)"}),
        {"series": "descriptions: " + shorten(_descriptions(series), 10)},
        masks=("",) if masked else (),
        names=names,
        person="by PatientID" if all(one.person for one in series) else "CHECK: by folder, as PatientID is empty",
        notes=tuple(_unmasked(series, masked, arguments)),
    )


def _template(tree: Tree, series: Sequence[Series]) -> tuple[str, set[str]]:
    """The pattern by which most volumes are named after series, and the UIDs of these."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in series:
        folder = PurePosixPath(one.files[0].parent.relative_to(tree.root).as_posix())
        for file in tree.volumes:
            if file.parent == folder:
                found[f"{{folder}}/{file.name}"].add(one.uid)
            for field, word in (("stem", folder.name), ("person", one.person)):
                tail = bare(file).removeprefix(word)
                if word and (not tail or tail[0] in "_-.") and bare(file).startswith(word):
                    found[f"{file.parent}/{{{field}}}{tail}{extension(file)}"].add(one.uid)
    best = max(found, key=lambda template: len(found[template]), default="")
    return best, found.get(best, set())


def _telling(series: Sequence[Series], masked: set[str]) -> str | None:
    """A pattern for the descriptions of the series with masks, where others have none."""
    with_mask = {one.description for one in series if one.uid in masked}
    others = {one.description for one in series if one.uid not in masked}
    if not others or "" in with_mask or with_mask & others:
        return None
    return f"^(?:{'|'.join(re.escape(text) for text in sorted(with_mask))})$"


def _unmasked(series: Sequence[Series], masked: set[str], arguments: dict[str, Any]) -> list[str]:
    without = [one for one in series if one.uid not in masked]
    if not masked or not without:
        return []
    told = f"{len(without)} series have no mask: {shorten(_descriptions(without), 10)}"
    return [told if "series" in arguments else f"CHECK: {told}; tell the others apart with data.source.series"]


def _descriptions(series: Sequence[Series]) -> list[str]:
    counts = Counter(one.description or "(no description)" for one in series)
    return [f"{count} {text}" for text, count in counts.most_common()]


def _segment_names(files: Sequence[Path]) -> dict[int, str]:
    """Segment number -> its label, of the first file that tells."""
    for file in files:
        segments = read_dicom(file, pixels=False).get("SegmentSequence", ())
        names = {int(one.SegmentNumber): re.sub(r"\W+", "_", str(one.SegmentLabel)).strip("_") for one in segments}
        if names:
            return names
    return {}
