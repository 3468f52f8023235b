"""What a protocol needs, and what is said when it is not there."""

from __future__ import annotations

from spinelab.errors import ConfigError


def require(found: int, needed: int, protocol: str, advice: str = "") -> None:
    """Raise `ConfigError` if there are fewer persons than a protocol needs."""
    if found < needed:
        others = "protocol=holdout needs 3 persons, protocol=leave_one_person_out 2 with protocol.val_persons=0"
        raise ConfigError(
            f"the data set has {found} person{'s' * (found != 1)}, protocol {protocol} needs at least {needed}",
            f"add data, {advice + ', ' if advice else ''}or choose another protocol ({others})",
        )


def require_fold(fold: int, folds: int, protocol: str) -> None:
    """Raise `ConfigError` if a protocol has no such fold."""
    if not 0 <= fold < folds:
        raise ConfigError(
            f"protocol {protocol} has no fold {fold}; its folds are 0 to {folds - 1}", "choose one with protocol.fold"
        )
