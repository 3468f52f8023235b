"""BIDS: which contrast has masks, where they lie, and what they are called."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from spinelab.data.adopt.found import Found, Missed
from spinelab.data.adopt.persons import guess
from spinelab.data.adopt.tree import Tree, bare, shorten
from spinelab.data.sources.bids import EXTENSIONS
from spinelab.data.sources.tables import read_table
from spinelab.errors import SpinelabError


class _Mask(NamedTuple):
    """A mask's contrast and kind, and the place of its derivatives."""

    suffix: str
    kind: str
    derivatives: str


def bids(tree: Tree) -> Found | Missed:
    """``sub-*/**/*_<suffix>.nii.gz``, masks of the same name and a further suffix among the derivatives."""
    scans = [file for file in tree.volumes if file.parts[0].startswith("sub-") and file.name.endswith(EXTENSIONS)]
    scans = [file for file in scans if len(file.parts) > 1 and "_" in bare(file)]
    if not scans:
        lacks = "folders sub-<name> in it with files sub-<name>_..._<contrast>.nii.gz"
        return Missed("bids", lacks, 0.3 * tree.has("dataset_description.json") + 0.3 * tree.has("participants.tsv"))
    suffixes = Counter(_suffix(file) for file in scans)
    masks = _masks(tree, {file.parent / bare(file): _suffix(file) for file in scans})
    suffix, derivatives, kinds = _chosen(suffixes, masks)
    chosen = [file for file in scans if _suffix(file) == suffix]
    persons = guess([str(file) for file in chosen], r"(sub-[^_/]+)")
    arguments = {"suffix": suffix, "person": persons.pattern}
    if derivatives and derivatives != "derivatives/labels":
        arguments["derivatives"] = derivatives
    with_masks = {kind: masks[_Mask(suffix, kind, derivatives)] for kind in kinds}
    return Found(
        "bids",
        f"{len(scans)} scans sub-*/.../*_<contrast>, " + (f"masks below {derivatives}" if derivatives else "no masks"),
        "spinelab.data.sources.bids.BidsSource",
        arguments,
        {
            "suffix": f"contrasts: {', '.join(f'{count} {name}' for name, count in suffixes.most_common())}",
            "person": persons.reason,
        },
        masks=tuple(kinds),
        names=_dseg_names(tree),
        person=persons.reason,
        notes=(*_other_contrasts(suffixes, suffix, masks), *_missing(chosen, with_masks)),
    )


def _suffix(file: PurePosixPath) -> str:
    return bare(file).rsplit("_", 1)[1]


def _masks(tree: Tree, scans: dict[PurePosixPath, str]) -> dict[_Mask, set[PurePosixPath]]:
    """Kind of mask -> the scans (without extension) that have one."""
    found: dict[_Mask, set[PurePosixPath]] = defaultdict(set)
    for file in tree.volumes:
        place = next((i for i, part in enumerate(file.parts) if i and part.startswith("sub-")), None)
        if file.parts[0] != "derivatives" or place is None or not file.name.endswith(EXTENSIONS):
            continue
        below = PurePosixPath(*file.parts[place:])
        words = bare(below).split("_")
        for cut in range(len(words) - 1, 0, -1):
            scan = below.parent / "_".join(words[:cut])
            if scan in scans:
                kind = _Mask(scans[scan], "_".join(words[cut:]), "/".join(file.parts[:place]))
                found[kind].add(scan)
                break
    return found


def _chosen(suffixes: Counter[str], masks: dict[_Mask, set[PurePosixPath]]) -> tuple[str, str, list[str]]:
    """The contrast and the place with most masks, and the kinds of mask that (nearly) all its scans have."""
    if not masks:
        return suffixes.most_common(1)[0][0], "", []
    best = max(masks, key=lambda kind: (len(masks[kind]), kind.suffix))  # T2w before T1w
    there = {k: scans for k, scans in masks.items() if (k.suffix, k.derivatives) == (best.suffix, best.derivatives)}
    usual = [kind for kind, scans in there.items() if len(scans) >= 0.9 * len(masks[best])]
    return best.suffix, best.derivatives, sorted(kind.kind for kind in usual)


def _other_contrasts(suffixes: Counter[str], chosen: str, masks: dict[_Mask, set[PurePosixPath]]) -> list[str]:
    told = []
    for suffix in suffixes:
        kinds = sorted({f"{kind.kind} ({len(scans)})" for kind, scans in masks.items() if kind.suffix == suffix})
        if suffix != chosen:
            told.append(f"left out: {suffixes[suffix]} {suffix}, masks: {shorten(kinds) or 'none'}")
    return told


def _missing(chosen: list[PurePosixPath], masks: dict[str, set[PurePosixPath]]) -> list[str]:
    told = []
    for kind, scans in masks.items():
        without = [bare(file) for file in chosen if file.parent / bare(file) not in scans]
        if without:
            told.append(f"CHECK: {len(without)} scans have no mask {kind}: {shorten(without)}; add or remove them")
    return told


def _dseg_names(tree: Tree) -> dict[int, str]:
    """Raw value -> name from a ``dseg.tsv`` (BIDS derivatives: columns index and name)."""
    for file in (file for file in tree.files if file.name.endswith("dseg.tsv")):
        try:
            rows = list(read_table(tree.root / Path(file)).values())
            names = {int(float(row["index"])): re.sub(r"\W+", "_", row["name"]).strip("_") for row in rows}
        except (SpinelabError, KeyError, ValueError):
            continue
        return {value: name for value, name in names.items() if value != 0}
    return {}
