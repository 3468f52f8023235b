"""How many folds a protocol has, asked of the protocol itself, so that a new one is entered nowhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from spinelab.data.splits.rules import NoSuchFold
from spinelab.data.splits.split import Split
from spinelab.data.splits.strata import Values
from spinelab.errors import ConfigError

MOST = 1000
"""Nobody trains more folds than this; a protocol that makes more of them has forgotten to raise `NoSuchFold`."""


def fold_count(
    protocol: Callable[..., Split], persons: Iterable[str], sites: Values = None, groups: Values = None
) -> int:
    """Number of folds: how many of ``fold=0, 1, ...`` make a split; 1 for a protocol without an argument `fold`.

    Args:
        protocol: The protocol, whose own settings may be bound (`functools.partial`).
        persons: All persons.
        sites: Person -> site.
        groups: Person -> group.

    Raises:
        ConfigError: A fold cannot be made of these persons, or the protocol does not say where its folds end.
    """
    if "fold" not in inspect.signature(protocol).parameters:
        return 1
    known = list(persons)
    for fold in range(MOST + 1):
        try:
            protocol(known, fold=fold, sites=sites, groups=groups)
        except NoSuchFold:
            return fold
    raise ConfigError(
        f"the protocol makes more than {MOST} folds", "let it raise spinelab.data.splits.NoSuchFold after its last"
    )
