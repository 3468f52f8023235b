"""What can be wrong with who is who: one person under two names, under two sites, or too few of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from spinelab.data.doctor.examine import Examined
from spinelab.data.doctor.finding import Finding, error, from_exception, warning
from spinelab.data.splits import Split
from spinelab.errors import SpinelabError
from spinelab.types import Case

ALIKE = 0.97
"""Correlation of thumbnails from which two scans are taken for one."""
FEW = 3
"""Persons on a side from which an average says something."""


def check_duplicates(examined: Sequence[Examined]) -> Iterator[Finding]:
    """One scan, or nearly the same one, under two names; one mask under two persons."""
    same = list(_same_scans(examined))
    yield from (finding for finding, _ in same)
    yield from _alike_scans(examined, {pair for _, pair in same})
    groups: dict[str, list[Examined]] = defaultdict(list)
    for one in examined:
        if one.truth and any(one.voxels.values()):
            groups[one.truth].append(one)
    for group in groups.values():
        if len({one.case.person for one in group}) > 1:
            yield warning(
                "same-mask",
                group[0].case.masks[0].files[0],
                f"the masks of {_names(group)} are identical",
                "at most one of them belongs to its scan",
                "look for a copy under a wrong name",
            )


def _same_scans(examined: Sequence[Examined]) -> Iterator[tuple[Finding, frozenset[str]]]:
    groups: dict[tuple[str, ...], list[Examined]] = defaultdict(list)
    for one in examined:
        if one.channels:
            groups[tuple(channel.digest for channel in one.channels)].append(one)
    for group in (group for group in groups.values() if len(group) > 1):
        persons = {one.case.person for one in group}
        found = f"the scans of {_names(group)} are identical, voxel by voxel"
        names = frozenset(one.case.name for one in group)
        if len(persons) > 1:
            remedy = "keep one of them, or give both one person in data.source.person"
            consequence = "the person can be trained on and tested on: the test would be too good"
            yield error("duplicated-person", group[0].channels[0].file, found, remedy, consequence), names
        else:
            file, consequence = group[0].channels[0].file, "the scan counts more than others"
            yield warning("duplicated-scan", file, found, consequence, "keep one of them"), names


def _alike_scans(examined: Sequence[Examined], told: set[frozenset[str]]) -> Iterator[Finding]:
    """Pairs of two persons whose first channels look the same, small and normalised."""
    readable = [one for one in examined if one.channels]
    if len(readable) < 2:
        return
    small = np.stack([one.channels[0].thumbnail for one in readable])
    for i in range(len(readable) - 1):
        for j in np.flatnonzero(small[i + 1 :] @ small[i] > ALIKE) + i + 1:
            one, other = readable[i], readable[int(j)]
            pair = {one.case.name, other.case.name}
            if one.case.person != other.case.person and not any(pair <= names for names in told):
                yield warning(
                    "alike-persons",
                    one.channels[0].file,
                    f"the scans of {_names([one, other])} correlate to {float(small[i] @ small[j]):.4f}",
                    "if they are of one person, the test would be too good",
                    "compare them by eye; give both one person in data.source.person, or keep one",
                )


def _names(group: Sequence[Examined]) -> str:
    return " and ".join(f"{one.case.name} (person {one.case.person})" for one in group)


def check_persons(cases: Sequence[Case]) -> Iterator[Finding]:
    """Names of persons that differ in nothing that matters, and persons with several sites."""
    sites: dict[str, set[str]] = defaultdict(set)
    spelt: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        sites[case.person].add(case.site)
        spelt[re.sub(r"0*(\d+)", r"\1", case.person.casefold())].add(case.person)
    for person, found in sorted(sites.items()):
        if len(found) > 1:
            yield warning(
                "several-sites",
                "data.source",
                f"person {person} has several sites: {', '.join(sorted(site or 'none' for site in found))}",
                "the split is stratified by the last of them, and the person counts for one site only",
                "give the person one site, or check that it is one person",
            )
    for group in (sorted(group) for _, group in sorted(spelt.items()) if len(group) > 1):
        yield warning(
            "persons-spelt-alike",
            "data.source.person",
            f"persons {', '.join(group)} differ only in case or leading zeros",
            "if they are one person, the test would be too good",
            "rename the files, or correct the pattern data.source.person",
        )


def check_split(cases: Sequence[Case], split: Callable[[], Split]) -> tuple[Split | None, list[Finding]]:
    """The split of the configured protocol, if it can be made, and what is wrong with it."""
    try:
        made = split()
    except SpinelabError as problem:
        return None, [from_exception("split", problem, problem.file or "protocol")]
    except Exception as problem:  # a protocol of a person's own may raise anything
        return None, [from_exception("split", problem, "protocol")]
    return made, list(_small_sides(made))


def _small_sides(split: Split) -> Iterator[Finding]:
    given = {"val": split.val, "test": split.test}
    sides = {"train": split.train} | {side: persons for side, persons in given.items() if persons}
    if "leave_one" in split.protocol:
        sides = {"train": split.train}
    small = {side: len(persons) for side, persons in sides.items() if len(persons) < FEW}
    if small:
        remedy = (
            "add persons"
            if "leave_one" in split.protocol
            else ("use protocol=kfold or protocol=leave_one_person_out and average over the folds, or add persons")
        )
        counted = ", ".join(f"{count} to {side}" for side, count in sorted(small.items()))
        yield warning(
            "few-persons",
            "protocol",
            f"protocol {split.protocol} leaves {counted}",
            f"an average over fewer than {FEW} persons says little, and its interval nothing",
            remedy,
        )
