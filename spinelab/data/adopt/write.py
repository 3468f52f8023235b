"""The configuration as a person reads it: every choice with its reason above it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from spinelab.data.adopt.fingerprint import Fingerprint, Labels
from spinelab.data.adopt.found import Found
from spinelab.data.adopt.naming import Names, classes, source_arguments, unnamed
from spinelab.data.adopt.suggest import Choice, Suggestion
from spinelab.data.adopt.tree import shorten
from spinelab.types import Case

WIDTH = 120


def configuration(
    name: str, root: str, found: Found, cases: Sequence[Case], facts: Fingerprint, names: Names, advice: Suggestion
) -> str:
    """The text of the data configuration.

    Args:
        name: Of the data set.
        root: Its folder.
        found: Its layout.
        cases: Its cases.
        facts: Its fingerprint.
        names: Of the values in its masks.
        advice: What to fill in.
    """
    lines = [
        *_comment(_head(name, root, found, cases, facts, advice)),
        f"name: {_value(name)}",
        f"root: {_value(root)}",
        "source:",
        f"  _target_: {found.target}",
        "  root: ${data.root}",
        *_source(found, facts, names),
        "labels:",
        "  _target_: spinelab.types.LabelMap",
        *_comment([_classes_hint(found)], 2),
        f"  classes: {_value(classes(found, names))}",
        "  # what is scored, such as {cord: [white_matter, grey_matter]}; null: each class by itself",
        f"  regions: {_value({name: list(united) for name, united in found.regions.items()} or None)}",
        "preprocessing:",
        "  _target_: spinelab.data.volumes.prepare.Preprocessing",
        *_chosen("plane", advice.plane),
        *_chosen("spacing_mm", advice.spacing_mm),
        *_chosen("crop", advice.crop),
        *_chosen("normalisation", advice.normalisation),
        *_chosen("slices", advice.slices),
    ]
    return "\n".join(lines) + "\n"


def _head(
    name: str, root: str, found: Found, cases: Sequence[Case], facts: Fingerprint, advice: Suggestion
) -> list[str]:
    persons = len({case.person for case in cases})
    lines = [
        f"{name}: written by `spinelab data adopt`. Read it, correct it: CHECK marks what could not be told for sure.",
        f"Recognised as {found.format}: {found.because}.",
        f"{len(cases)} cases of {persons} persons ({found.person}), {advice.count} slices {advice.plane.value}.",
        f"Suggested: loader.batch_size={advice.batch_size.value} ({advice.batch_size.reason})."
        + (f" channels={facts.channels}." if facts.channels > 1 else ""),
        *(f"{note}." for note in found.notes),
    ]
    if facts.left_out:
        reasons = [f"{case} ({why})" for case, why in facts.left_out.items()]
        lines.append(
            f"CHECK: {len(facts.left_out)} cases cannot be used; `spinelab prepare` stops at them until they are "
            f"mended or taken away: {shorten(reasons)}."
        )
    return lines


def _source(found: Found, facts: Fingerprint, names: Names) -> list[str]:
    lines: list[str] = []
    seen = dict(zip(found.masks, facts.labels, strict=True))
    for key, value in source_arguments(found, names).items():
        lines += _comment([found.comments[key]] if found.comments.get(key) else [], 2)
        if key == "labels" and found.own_labels:
            lines += [*_comment(_own_labels(found, facts, names), 2), "  labels: null"]
        elif key == "labels":
            lines += ["  labels:", *_named(value, facts.labels[0], 4)]
        elif key in ("masks", "overlays"):
            lines += _mask_kinds(key, value, seen)
        else:
            lines.append(f"  {key}: {_value(value)}")
    if not facts.labels:
        lines.append("  # No masks were found: this data set can only be predicted on.")
    return lines


def _mask_kinds(key: str, kinds: Mapping[str, Mapping[int, str]], seen: Mapping[str, Labels]) -> list[str]:
    if not kinds:
        return [f"  {key}: {{}}"]
    lines = _comment(["later masks are drawn over earlier ones"] if len(kinds) > 1 or key == "overlays" else [], 2)
    lines.append(f"  {key}:")
    for kind, named in kinds.items():
        lines += [f"    {_value(kind)}:", *_named(named, seen[kind], 6)]
    return lines


def _named(named: Mapping[int, str], seen: Labels, indent: int) -> list[str]:
    """One line a value, with how often it was seen."""
    space = " " * indent
    lines = _comment([_fractional(seen)] if seen.fractional else [], indent)
    if not seen.voxels:
        lines.append(f"{space}# CHECK: the {seen.read} masks read are empty")
    for value, name in named.items():
        count = f"{seen.voxels[value]:,} voxels, in {seen.masks[value]} of {seen.read} masks read"
        lines.append(f"{space}{value}: {_value(name)}  # {count}")
    return lines


def _own_labels(found: Found, facts: Fingerprint, names: Names) -> list[str]:
    seen = facts.labels[0]
    listed = [f"{value} {found.names.get(value, '?')} in {seen.masks[value]}" for value in sorted(seen.voxels)]
    lines = [f"null: as the data set names them; values in {seen.read} masks read: {shorten(listed, 40) or 'none'}"]
    if odd := unnamed(found, names):
        lines.append(f"CHECK: nothing names the values {sorted(odd)}; give labels here, or correct the data set")
    return lines + ([_fractional(seen)] if seen.fractional else [])


def _fractional(seen: Labels) -> str:
    return f"CHECK: {len(seen.fractional)} masks hold values that are no whole numbers: {shorten(seen.fractional)}"


def _classes_hint(found: Found) -> str:
    if found.own_labels or found.names:
        return "in the order of the class indices 1, 2, ..."
    return "give them names, the same as above (`background` above drops a value), in the order of the class indices"


def _chosen(key: str, choice: Choice) -> list[str]:
    return [*_comment([choice.reason], 2), f"  {key}: {_value(choice.value)}"]


def _comment(sentences: Sequence[str], indent: int = 0) -> list[str]:
    start = " " * indent + "# "
    wrapper = textwrap.TextWrapper(WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)
    return [line for sentence in sentences for line in wrapper.wrap(sentence)]


def _value(value: Any) -> str:
    """A value as yaml on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
