"""Persons dealt to the sides of a split, so that each side is like the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinelab.types import Case

AND = " + "
"""Stands between the sites (or groups) of a person who has several."""

Values = Mapping[str, str] | None
"""Person -> site, or person -> group."""


def by_person(cases: Iterable[Case]) -> dict[str, dict[str, str]]:
    """What protocols are called with: ``{"sites": {person: site}, "groups": {person: group}}``.

    A person with several sites (or groups) gets their names joined by `AND`, a stratum of its own; unknown is "".
    """
    found: dict[str, dict[str, set[str]]] = {"sites": {}, "groups": {}}
    for case in cases:
        for key, value in (("sites", case.site), ("groups", case.group)):
            found[key].setdefault(case.person, set()).update({value} - {""})
    return {
        key: {person: AND.join(sorted(values)) for person, values in persons.items()} for key, persons in found.items()
    }


def deal(
    persons: Iterable[str], counts: Sequence[int], rng: np.random.Generator, sites: Values = None, groups: Values = None
) -> list[tuple[str, ...]]:
    """Deal persons to sides of given sizes at random, each site and each group in proportion.

    Persons are ordered site by site, within a site group by group, and dealt as evenly along that order as whole
    numbers allow. Where there are groups, sides then swap persons for as long as that brings the number of each site,
    each group and each group at a site nearer to its share (least squares). So strata of one or two persons do no
    harm, and as many persons as whole numbers allow are where they should be.

    Args:
        persons: The persons; their order does not matter.
        counts: Sizes of the sides; they add up to the number of persons.
        rng: Source of the order.
        sites: Person -> site.
        groups: Person -> group.
    """
    known = sorted(set(persons))
    labels = {person: ((sites or {}).get(person, ""), (groups or {}).get(person, "")) for person in known}
    order = _by_stratum(labels, rng)
    sides = _along(len(order), counts)
    if any(group for _, group in labels.values()):
        sides = _swapped(sides, [labels[person] for person in order])
    return [tuple(order[place] for place in np.flatnonzero(sides == side)) for side in range(len(counts))]


def _by_stratum(labels: Mapping[str, tuple[str, str]], rng: np.random.Generator) -> list[str]:
    """Persons site by site, group by group; sites, groups, and persons within them, in random order."""
    order: list[str] = []
    for site in _shuffled(sorted({site for site, _ in labels.values()}), rng):
        groups = sorted({group for own, group in labels.values() if own == site})
        for group in _shuffled(groups, rng) if len(groups) > 1 else groups:
            order += _shuffled([person for person, own in labels.items() if own == (site, group)], rng)
    return order


def _shuffled(names: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [names[place] for place in rng.permutation(len(names))]


def whole(total: int, fractions: Sequence[float]) -> list[int]:
    """Whole numbers nearest to the fractions of a total, none of them 0 unless its fraction is."""
    exact = [total * fraction for fraction in fractions]
    counts = [int(part + 1e-9) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda side: (round(counts[side] - exact[side], 9), side))
    for side in by_remainder[: total - sum(counts)]:
        counts[side] += 1
    for side, fraction in enumerate(fractions):
        if fraction > 0 and counts[side] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[side] = 1
    return counts


def nearest(total: int, fraction: float) -> int:
    """How many of a total validate: the nearest whole number, at least one and not all, unless the fraction is 0."""
    return min(max(1, round(fraction * total)), total - 1) if fraction else 0


def _along(length: int, counts: Sequence[int]) -> NDArray[np.int64]:
    """Side of each place in an order; each stretch of it reaches the sides in about the proportion of the whole."""
    turns = sorted(((turn + 0.5) / count, side) for side, count in enumerate(counts) for turn in range(count))
    return np.array([side for _, side in turns[:length]], dtype=np.int64)


def _swapped(sides: NDArray[np.int64], labels: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Swap the two persons that gain most, again and again, until no swap gains."""
    names = [(("site", site), ("group", group), ("both", site, group)) for site, group in labels]
    columns = sorted({name for own in names for name in own})
    has = np.array([[name in own for name in columns] for own in names], dtype=np.float64)
    apart = 6 - 2 * has @ has.T  # squared distance, as each person has three labels
    place = np.arange(len(sides))
    while True:
        member = (sides == np.arange(sides.max() + 1)[:, None]).astype(np.float64)
        excess = member @ has - member.mean(1, keepdims=True) * has.sum(0)  # of each label on each side
        pull = has @ excess.T
        own, other = pull[place, sides], pull[:, sides]
        gain = own[:, None] + own[None] - other - other.T - apart  # half of what the squares of the excess lose
        first, second = np.unravel_index(np.argmax(gain), gain.shape)
        if gain[first, second] <= 1e-9:
            return sides
        sides = sides.copy()
        sides[[first, second]] = sides[[second, first]]
