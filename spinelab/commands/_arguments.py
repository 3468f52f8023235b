"""Arguments of the commands that do not train: `key=value` words and paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spinelab.errors import ConfigError, near


def options(arguments: Iterable[str], known: Sequence[str], required: Sequence[str] = ()) -> dict[str, str]:
    """Read `key=value` words.

    Raises:
        ConfigError: A word is no `key=value`, a key is unknown, or a required one is missing.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument!r} is not of the form key=value", f"keys: {', '.join(known)}")
        if key not in known:
            raise ConfigError(f"there is no option {key!r}", near(key, known))
        found[key] = value
    if missing := [key for key in required if key not in found]:
        raise ConfigError(f"{missing[0]}= is missing", f"give {' '.join(f'{key}=...' for key in missing)}")
    return found


def flag(value: str) -> bool:
    """A yes or a no.

    Raises:
        ConfigError: It is neither.
    """
    if value.lower() not in ("true", "false", "yes", "no", "1", "0"):
        raise ConfigError(f"{value!r} is neither true nor false", "write true or false")
    return value.lower() in ("true", "yes", "1")
