"""Hydra composes each job twice, once for the sweeper and once for the launcher; here it does so once."""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

KEPT = 512
"""Compositions, some 50 kB each."""


class ComposesOnce:
    """A config loader that remembers the compositions of jobs.

    Args:
        loader: Hydra's own.
        config: The composed configuration of the multirun.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self._composed = lru_cache(KEPT)(self._compose)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The configuration of a job, one's own to change."""
        return pickle.loads(self._composed(tuple(sweep_overrides)))  # what this process wrote down

    def _compose(self, overrides: tuple[str, ...]) -> bytes:
        return pickle.dumps(self.loader.load_sweep_config(self.config, list(overrides)))

    def __reduce__(self) -> tuple[type[ComposesOnce], tuple[ConfigLoader, DictConfig]]:
        """Cross process borders without what is remembered."""
        return type(self), (self.loader, self.config)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
