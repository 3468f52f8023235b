"""What all sweepers share: an engine that runs jobs through whatever launcher Hydra was told to use."""

from __future__ import annotations

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from spinelab.sweeps.engine import Engine


class EngineSweeper(Sweeper):
    """A Hydra sweeper that leaves launching, watching and resuming to an `Engine`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """What Hydra gives each sweeper."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.engine = Engine(config, hydra_context, self.launcher)
