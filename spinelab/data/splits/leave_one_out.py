"""Protocols that test on one person, or on one site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spinelab.data.splits.rules import require, require_fold
from spinelab.data.splits.split import Split
from spinelab.data.splits.strata import AND, deal, nearest
from spinelab.errors import ConfigError


def leave_one_person_out(
    persons: Iterable[str],
    *,
    fold: int = 0,
    val_persons: int = 1,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """Test on one person; for data sets of a few persons.

    Args:
        persons: All persons.
        fold: Which person is tested, in sorted order from 0.
        val_persons: How many persons validate, those after the tested one in sorted order (from the end on to the
            beginning). 0 means that there is no validation.
        sites: Not used.
        groups: Not used.

    Raises:
        ConfigError: There is no such person, or there are too few.
        ValueError: `val_persons` is negative.
    """
    if val_persons < 0:
        raise ValueError(f"val_persons must not be negative, not {val_persons}")
    order = sorted(set(persons))
    require(len(order), val_persons + 2, "leave_one_person_out", "lower protocol.val_persons")
    require_fold(fold, len(order), "leave_one_person_out")
    test, *rest = order[fold:] + order[:fold]
    return Split("leave_one_person_out", 0, fold, tuple(rest[val_persons:]), tuple(rest[:val_persons]), (test,))


def leave_one_site_out(
    persons: Iterable[str],
    *,
    fold: int = 0,
    seed: int = 0,
    val_fraction: float = 0.15,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """Test on one site and train on the others: how well a network does at a hospital that it has not seen.

    Over all folds each site, and so each person, is tested exactly once.

    Args:
        persons: All persons.
        fold: Which site is tested, in sorted order from 0.
        seed: Seed of the choice of validation persons.
        val_fraction: Part of the persons of the other sites that validates, each site in proportion: the nearest
            whole number, at least one unless it is 0.
        sites: Person -> site.
        groups: Person -> what the validation is stratified by beside the site.

    Raises:
        ConfigError: A person's site is unknown, a person has several, there is no such fold, or too few persons are
            left to train on.
        ValueError: The fraction is not in [0, 1).
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be in [0, 1), not {val_fraction}")
    known, sites = sorted(set(persons)), sites or {}
    _require_one_site(known, sites)
    names = sorted({sites[person] for person in known})
    if len(names) < 2:
        raise ConfigError(
            f"protocol leave_one_site_out needs at least 2 sites, the data set has {len(names)}",
            "choose another protocol, such as protocol=kfold",
        )
    require_fold(fold, len(names), "leave_one_site_out")
    test = tuple(person for person in known if sites[person] == names[fold])
    rest = [person for person in known if sites[person] != names[fold]]
    require(len(known), len(test) + (2 if val_fraction else 1), "leave_one_site_out", "set protocol.val_fraction=0")
    count = nearest(len(rest), val_fraction)
    val, train = deal(rest, (count, len(rest) - count), np.random.default_rng((seed, fold)), sites, groups)
    return Split("leave_one_site_out", seed, fold, train, val, test)


def _require_one_site(persons: list[str], sites: Mapping[str, str]) -> None:
    unknown = [person for person in persons if not sites.get(person)]
    several = [f"{person} ({sites[person]})" for person in persons if AND in sites.get(person, "")]
    if unknown or several:
        parts = [f"the site is unknown of {', '.join(unknown)}"] if unknown else []
        parts += [f"more than one site of {', '.join(several)}"] if several else []
        raise ConfigError(
            f"protocol leave_one_site_out: {'; '.join(parts)}",
            "give each person one site (column site of participants.tsv), or choose another protocol",
        )
