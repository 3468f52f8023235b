"""Persons into training, validation and test.

A protocol is a function ``(persons, *, ..., sites=None) -> Split``. It looks at names alone and sorts them first, so
that neither the order of files nor the data themselves change a split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spinelab.errors import ConfigError
from spinelab.files import write_atomically

SIDES = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Which persons are trained on, chosen by and tested on; each side sorted.

    Attributes:
        protocol: Name of the rule that made it.
        seed: Its seed.
        fold: Which of its folds, 0 if there is one only.
        train: Persons to train on.
        val: Persons to choose the checkpoint by; may be empty.
        test: Persons to report.

    Raises:
        ConfigError: A person is named twice.
    """

    protocol: str
    seed: int
    fold: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for side in SIDES:
            object.__setattr__(self, side, tuple(sorted(getattr(self, side))))
        persons = self.persons
        if twice := sorted({person for person in persons if persons.count(person) > 1}):
            raise ConfigError(f"named twice in the split: {', '.join(twice)}", "leave each person on one side only")

    @property
    def persons(self) -> tuple[str, ...]:
        """All persons, side by side."""
        return self.train + self.val + self.test

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write the split and its hash as JSON, whole or not at all."""
        write_atomically(path, json.dumps({**asdict(self), "hash": self.hash}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split from JSON; one written by hand needs ``train``, ``val`` and ``test`` only.

        Raises:
            ConfigError: The file is missing or no split, a person is named twice, or the hash is of other content.
        """
        try:
            content = json.loads(path.read_text())
            sides = [tuple(str(person) for person in content[side]) for side in SIDES]
            header = (str(content.get("protocol", "file")), int(content.get("seed", 0)), int(content.get("fold", 0)))
            split = cls(*header, *sides)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = 'give a JSON file: {"train": [...], "val": [...], "test": [...]}'
            raise ConfigError(f"not a split ({type(error).__name__}: {error})", remedy, path) from error
        except ConfigError as error:
            raise ConfigError(error.found, error.remedy, path) from error
        if content.get("hash", split.hash) != split.hash:
            raise ConfigError("the split was changed after it was written", "remove the line with the hash", path)
        return split


def holdout(
    persons: Iterable[str],
    *,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    sites: Mapping[str, str] | None = None,
) -> Split:
    """One random split, each site in proportion.

    Whole numbers come from the largest remainders, the earlier side first when they are equal: 31 persons at
    0.7, 0.15, 0.15 are 22, 5 and 4. A side with a fraction above 0 gets at least one person.

    Args:
        persons: All persons.
        fractions: Training, validation and test; they add up to 1. Validation may be 0.
        seed: Seed of the shuffle.
        sites: Person -> site.

    Raises:
        ConfigError: There are too few persons.
        ValueError: The fractions are no fractions of a whole.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or 0 in (fractions[0], fractions[2]):
        raise ValueError(f"fractions must be three that add up to 1, the first and last above 0, not {fractions}")
    rng = np.random.default_rng(seed)
    order = _by_site(persons, sites, rng)
    _require(len(order), sum(part > 0 for part in fractions), "holdout")
    train, val, test = _deal(order, _whole(len(order), fractions))
    return Split("holdout", seed, 0, train, val, test)


def kfold(
    persons: Iterable[str],
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    val_fraction: float = 0.15,
    sites: Mapping[str, str] | None = None,
) -> Split:
    """One of several splits, in which each person is tested exactly once over all folds, each site in proportion.

    Args:
        persons: All persons.
        folds: Number of folds.
        fold: Which of them, from 0.
        seed: Seed of the shuffle, the same for all folds.
        val_fraction: Part of the persons outside the test side that validates: the nearest whole number, at least
            one unless it is 0.
        sites: Person -> site.

    Raises:
        ConfigError: There is no such fold, or there are too few persons.
        ValueError: There are fewer than two folds, or the fraction is not in [0, 1).
    """
    if folds < 2 or not 0 <= val_fraction < 1:
        raise ValueError(f"needs two folds or more and a fraction in [0, 1), not {folds} and {val_fraction}")
    _require_fold(fold, folds, "kfold")
    rng = np.random.default_rng(seed)
    order = _by_site(persons, sites, rng)
    _require(len(order), max(folds, 3 if val_fraction else 2), "kfold")
    test = order[fold::folds]
    rest = [person for person in order if person not in test]
    count = min(max(1, round(val_fraction * len(rest))), len(rest) - 1) if val_fraction else 0
    val, train = _deal(_by_site(rest, sites, np.random.default_rng((seed, fold))), (count, len(rest) - count))
    return Split("kfold", seed, fold, train, val, tuple(test))


def leave_one_person_out(
    persons: Iterable[str],
    *,
    fold: int = 0,
    val_persons: int = 1,
    sites: Mapping[str, str] | None = None,
) -> Split:
    """Test on one person; for data sets of a few persons.

    Args:
        persons: All persons.
        fold: Which person is tested, in sorted order from 0.
        val_persons: How many persons validate, those after the tested one in sorted order (from the end on to the
            beginning). 0 means that there is no validation.
        sites: Not used.

    Raises:
        ConfigError: There is no such person, or there are too few.
        ValueError: `val_persons` is negative.
    """
    if val_persons < 0:
        raise ValueError(f"val_persons must not be negative, not {val_persons}")
    order = sorted(set(persons))
    _require(len(order), val_persons + 2, "leave_one_person_out", "lower protocol.val_persons")
    _require_fold(fold, len(order), "leave_one_person_out")
    test, *rest = order[fold:] + order[:fold]
    return Split("leave_one_person_out", 0, fold, tuple(rest[val_persons:]), tuple(rest[:val_persons]), (test,))


def split_file(persons: Iterable[str], *, path: Path | str, sites: Mapping[str, str] | None = None) -> Split:
    """A split that was written before, by hand or by `Split.save`.

    Args:
        persons: All persons; the file must name each of them and no other.
        path: The JSON file.
        sites: Not used.

    Raises:
        ConfigError: The file is no split, names other persons than the data set has, or leaves a side empty that is
            needed.
    """
    split, known = Split.load(Path(path)), set(persons)
    if unknown := sorted(set(split.persons) - known):
        raise ConfigError(f"not in the data set: {', '.join(unknown)}", "use a split made for this data set", path)
    if forgotten := sorted(known - set(split.persons)):
        raise ConfigError(f"on no side: {', '.join(forgotten)}", "add each person to one side", path)
    if not split.train or not split.test:
        raise ConfigError("train or test is empty", "name at least one person on each", path)
    return split


def _by_site(persons: Iterable[str], sites: Mapping[str, str] | None, rng: np.random.Generator) -> list[str]:
    """Persons site by site; sites, and persons within a site, in random order."""
    groups: dict[str, list[str]] = {}
    for person in sorted(set(persons)):
        groups.setdefault((sites or {}).get(person, ""), []).append(person)
    names = sorted(groups)
    return [
        groups[names[group]][member]
        for group in rng.permutation(len(names))
        for member in rng.permutation(len(groups[names[group]]))
    ]


def _whole(total: int, fractions: Sequence[float]) -> list[int]:
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


def _deal(order: Sequence[str], counts: Sequence[int]) -> list[tuple[str, ...]]:
    """Deal persons to sides of given sizes, as evenly along the order as whole numbers allow.

    Each stretch of the order, hence each site, reaches the sides in about the proportion of the whole.
    """
    turns = sorted(((turn + 0.5) / count, side) for side, count in enumerate(counts) for turn in range(count))
    sides: list[list[str]] = [[] for _ in counts]
    for person, (_, side) in zip(order, turns, strict=True):
        sides[side].append(person)
    return [tuple(side) for side in sides]


def _require(found: int, needed: int, protocol: str, advice: str = "") -> None:
    if found < needed:
        others = "protocol=holdout needs 3 persons, protocol=leave_one_person_out 2 with protocol.val_persons=0"
        raise ConfigError(
            f"the data set has {found} person{'s' * (found != 1)}, protocol {protocol} needs at least {needed}",
            f"add data, {advice + ', ' if advice else ''}or choose another protocol ({others})",
        )


def _require_fold(fold: int, folds: int, protocol: str) -> None:
    if not 0 <= fold < folds:
        raise ConfigError(
            f"protocol {protocol} has no fold {fold}; its folds are 0 to {folds - 1}", "choose one with protocol.fold"
        )
