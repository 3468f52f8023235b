"""Protocols that deal persons at random: one holdout, folds that test, or folds beside one test side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spinelab.data.splits.rules import require, require_fold, require_outside
from spinelab.data.splits.split import Split
from spinelab.data.splits.strata import Values, deal, nearest, whole


def holdout(
    persons: Iterable[str],
    *,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """One random split, each site and group in proportion.

    Whole numbers come from the largest remainders, the earlier side first when they are equal: 31 persons at
    0.7, 0.15, 0.15 are 22, 5 and 4. A side with a fraction above 0 gets at least one person.

    Args:
        persons: All persons.
        fractions: Training, validation and test; they add up to 1. Validation may be 0.
        seed: Seed of the shuffle.
        sites: Person -> site.
        groups: Person -> what to stratify by beside the site, such as the kind of lesion.

    Raises:
        ConfigError: There are too few persons.
        ValueError: The fractions are no fractions of a whole.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or 0 in (fractions[0], fractions[2]):
        raise ValueError(f"fractions must be three that add up to 1, the first and last above 0, not {fractions}")
    known = sorted(set(persons))
    require(len(known), sum(part > 0 for part in fractions), "holdout")
    train, val, test = deal(known, whole(len(known), fractions), np.random.default_rng(seed), sites, groups)
    return Split("holdout", seed, 0, train, val, test)


def kfold(
    persons: Iterable[str],
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    val_fraction: float = 0.15,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """One of several splits; over all of them each person is tested exactly once, each site and group in proportion.

    Args:
        persons: All persons.
        folds: Number of folds.
        fold: Which of them, from 0.
        seed: Seed of the shuffle, the same for all folds.
        val_fraction: Part of the persons outside the test side that validates: the nearest whole number, at least
            one unless it is 0.
        sites: Person -> site.
        groups: Person -> what to stratify by beside the site, such as the kind of lesion.

    Raises:
        ConfigError: There is no such fold, or there are too few persons.
        ValueError: There are fewer than two folds, or the fraction is not in [0, 1).
    """
    return dealt("kfold", persons, folds, fold, seed, val_fraction, sites, groups)


def dealt(
    protocol: str,
    persons: Iterable[str],
    folds: int,
    fold: int,
    seed: int,
    val_fraction: float,
    sites: Values,
    groups: Values,
) -> Split:
    """The split of `kfold` under the name of the protocol that builds on it; raises as `kfold` does."""
    if folds < 2 or not 0 <= val_fraction < 1:
        raise ValueError(f"needs two folds or more and a fraction in [0, 1), not {folds} and {val_fraction}")
    require_fold(fold, folds, protocol)
    known = sorted(set(persons))
    require(len(known), max(folds, 3 if val_fraction else 2), protocol)
    test = deal(known, even(len(known), folds), np.random.default_rng(seed), sites, groups)[fold]
    rest = sorted(set(known) - set(test))
    count = nearest(len(rest), val_fraction)
    val, train = deal(rest, (count, len(rest) - count), np.random.default_rng((seed, fold)), sites, groups)
    return Split(protocol, seed, fold, train, val, test)


def kfold_test(
    persons: Iterable[str],
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    test_fraction: float = 0.15,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """One test side for all folds; over the folds each other person validates exactly once.

    For ensembles: no fold's network has seen the test persons, so all of them together may be scored there, as
    nnU-Net (Isensee et al. 2021) does with its five folds.

    Args:
        persons: All persons.
        folds: Number of folds of the persons who are not tested.
        fold: Which of them validates, from 0; the others are trained on.
        seed: Seed of the shuffle, the same for all folds.
        test_fraction: Part of all persons that is tested: the nearest whole number, at least one.
        sites: Person -> site.
        groups: Person -> what to stratify by beside the site, such as the kind of lesion.

    Raises:
        ConfigError: There is no such fold, or there are too few persons.
        ValueError: There are fewer than two folds, or the fraction is not between 0 and 1.
    """
    if folds < 2 or not 0 < test_fraction < 1:
        raise ValueError(f"needs two folds or more and a fraction between 0 and 1, not {folds} and {test_fraction}")
    require_fold(fold, folds, "kfold_test")
    known, rng = sorted(set(persons)), np.random.default_rng(seed)
    require(len(known), folds + 1, "kfold_test", "lower protocol.folds")
    count = nearest(len(known), test_fraction)
    test, rest = deal(known, (count, len(known) - count), rng, sites, groups)
    require_outside(len(rest), folds, "kfold_test", "lower protocol.test_fraction or protocol.folds")
    val = deal(rest, even(len(rest), folds), rng, sites, groups)[fold]
    return Split("kfold_test", seed, fold, tuple(set(rest) - set(val)), val, test)


def even(total: int, parts: int) -> list[int]:
    """Sizes of parts that differ by one at most, the larger ones first."""
    return [len(range(first, total, parts)) for first in range(parts)]
