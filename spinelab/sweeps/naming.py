"""A sweep's name: the same command finds its folder again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from spinelab.config import parse_overrides

SEARCHED = ("hydra/sweeper", "hydra.sweeper.params", "hydra.sweeper.sampler", "hydra.sweeper.seed")
"""What belongs to a sweep of Hydra's own keys; launchers, and how many trials there are, may change."""
IRRELEVANT = ("paths", "logger", "processes", "threads", "loader.num_workers", "callbacks.progress", "callbacks.panels")


def named(overrides: Sequence[str]) -> list[str]:
    """The overrides with ``sweep=NAME`` among them: the given name, or eight digits of a hash of what is swept."""
    parsed = parse_overrides(overrides)
    if any(override.key_or_group == "sweep" for override in parsed):
        return list(overrides)
    determining = sorted(str(override.input_line) for override in parsed if determines(override.key_or_group))
    return [*overrides, f"sweep={hashlib.sha256(' '.join(determining).encode()).hexdigest()[:8]}"]


def determines(key: str) -> bool:
    """Whether the key of an override belongs to what is swept, and not to who runs it or looks on."""
    if key.startswith("hydra"):
        return key.startswith(SEARCHED)
    return not any(key == name or key.startswith(f"{name}.") for name in IRRELEVANT)
