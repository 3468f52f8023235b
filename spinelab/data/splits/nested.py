"""Folds within folds: settings are chosen among the training persons of a fold, who alone are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spinelab.data.splits.random import dealt, even
from spinelab.data.splits.rules import require_outside
from spinelab.data.splits.split import Split
from spinelab.data.splits.strata import deal
from spinelab.errors import ConfigError


def nested(
    persons: Iterable[str],
    *,
    folds: int = 5,
    fold: int = 0,
    inner: int | None = None,
    inner_folds: int = 3,
    seed: int = 0,
    val_fraction: float = 0.15,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """Nested cross-validation: what is tuned on the inner splits of a fold has not seen that fold's test persons.

    The outer folds are those of `kfold` with the same seed. An inner split shares out the persons whom its outer fold
    trains on and validates with. Its test side is empty: the outer test persons occur nowhere in it.

    Args:
        persons: All persons.
        folds: Number of outer folds; over all of them each person is tested exactly once.
        fold: Which of them, from 0.
        inner: Which inner split of that fold, from 0; None is the outer fold itself, to train with what was chosen.
        inner_folds: Number of inner splits; over all of them each of their persons validates exactly once.
        seed: Seed of the shuffle, the same for all folds.
        val_fraction: Part of the persons outside the outer test side that validates in the outer fold itself.
        sites: Person -> site.
        groups: Person -> what to stratify by beside the site, such as the kind of lesion.

    Raises:
        ConfigError: There is no such fold or inner split, or there are too few persons.
        ValueError: There are fewer than two folds or inner folds, or the fraction is not in [0, 1).
    """
    outer = dealt("nested", persons, folds, fold, seed, val_fraction, sites, groups)
    if inner_folds < 2:
        raise ValueError(f"needs two inner folds or more, not {inner_folds}")
    if inner is None:
        return outer
    if not 0 <= inner < inner_folds:
        found = f"protocol nested has no inner split {inner}; they are 0 to {inner_folds - 1}, and null"
        raise ConfigError(found, "choose one with protocol.inner")
    rest = outer.train + outer.val
    require_outside(len(rest), inner_folds, "nested", "lower protocol.inner_folds")
    # a stream of its own: the outer fold draws its validation persons from (seed, fold)
    rng = np.random.default_rng((seed, fold, 1))
    val = deal(rest, even(len(rest), inner_folds), rng, sites, groups)[inner]
    return Split("nested", seed, fold, tuple(set(rest) - set(val)), val, ())
