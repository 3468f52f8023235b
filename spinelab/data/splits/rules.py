"""What a protocol needs, and what is said when it is not there."""

from __future__ import annotations

from spinelab.errors import ConfigError


class NoSuchFold(ConfigError):
    """The protocol has no fold of this number; whoever counts folds stops here."""


def require(found: int, needed: int, protocol: str, advice: str = "") -> None:
    """Raise `ConfigError` if there are fewer persons than a protocol needs."""
    if found < needed:
        others = "protocol=holdout needs 3 persons, protocol=leave_one_person_out 2 with protocol.val_persons=0"
        raise ConfigError(
            f"the data set has {found} person{'s' * (found != 1)}, protocol {protocol} needs at least {needed}",
            f"add data, {advice + ', ' if advice else ''}or choose another protocol ({others})",
        )


def require_fold(fold: int, folds: int, protocol: str) -> None:
    """Raise `NoSuchFold` if a protocol has no such fold."""
    if not 0 <= fold < folds:
        raise NoSuchFold(
            f"protocol {protocol} has no fold {fold}; its folds are 0 to {folds - 1}", "choose one with protocol.fold"
        )


def require_outside(found: int, folds: int, protocol: str, advice: str) -> None:
    """Raise `ConfigError` if fewer persons are left outside the test side than there are folds to make of them."""
    if found < folds:
        raise ConfigError(
            f"protocol {protocol} leaves {found} person{'s' * (found != 1)} outside the test side for {folds} folds",
            f"add data, or {advice}",
        )
