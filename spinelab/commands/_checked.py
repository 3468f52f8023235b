"""A run between its configuration and its scores: what was checked, and what was fitted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from omegaconf import DictConfig
from torch import nn

from spinelab import build
from spinelab.callbacks.wandb_run import WandbRun
from spinelab.data.datamodule import SliceDataModule
from spinelab.data.splits import Split
from spinelab.errors import ConfigError
from spinelab.run import Run
from spinelab.types import Case, LabelMap


@dataclass(frozen=True)
class Checked:
    """A run whose configuration and data were checked, and which has not begun."""

    config: DictConfig
    labels: LabelMap
    cases: list[Case]
    split: Split
    data: SliceDataModule

    def fitted(self, network: nn.Module, view: WandbRun, val_dice: float, main_process: bool = True) -> Fitted:
        """What became of it."""
        known = {field.name: getattr(self, field.name) for field in fields(Checked)}
        return Fitted(**known, network=network, view=view, val_dice=val_dice, main_process=main_process)


@dataclass(frozen=True)
class Fitted(Checked):
    """A trained network, or a fitted technique in the clothes of one, and what is needed to score it."""

    network: nn.Module
    view: WandbRun
    val_dice: float
    main_process: bool


def check_data(config: DictConfig) -> Checked:
    """Build all that every run needs, whatever is fitted.

    Raises:
        SpinelabError: Bad data or configuration.
    """
    if config.get("threads"):
        torch.set_num_threads(config.threads)
    build.scoring(config)  # a wrong choice is told now, not after the training
    if config.get("refine"):
        from spinelab.commands import _refine  # imports scikit-image

        _refine.check(config)
    labels, cases = build.labels(config), build.cases(config)
    split = build.split(config, cases)
    if config.get("test", True) and not split.test:
        raise ConfigError(
            f"protocol {split.protocol} tests nobody here", "train with test=false, or protocol.inner=null"
        )
    seen = split.persons if config.get("test", True) else split.train + split.val
    slices = build.cache(config, [case for case in cases if case.person in seen])
    data = build.datamodule(config, slices, split if config.get("test", True) else replace(split, test=()))
    return Checked(config, labels, cases, split, data)


def announce(checked: Checked, run: Run, what: str, *, goes_on: bool = False) -> None:
    """Say what is fitted (`what`, after its name), on whom, and where it goes."""
    config, split = checked.config, checked.split
    sides = f"{len(split.train)} / {len(split.val)} / {len(split.test)} persons to train / validate / test"
    print(
        f"{config.name}: {what}\n"
        f"{config.data.name}: {sides} (split {split.hash})\n"
        f"{'going on in' if goes_on else 'run folder'}: {run.folder}"
    )


def parameter_count(network: nn.Module) -> int | None:
    """Number of parameters, frozen ones included; None if nothing can be trained, as in a technique."""
    parameters = list(network.parameters())
    return sum(map(torch.numel, parameters)) if any(part.requires_grad for part in parameters) else None
