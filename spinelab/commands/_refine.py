"""What refines a network's output, as part of a run: fitted once the network is trained, and kept beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from torch import nn

from spinelab import build
from spinelab.classical.tuning import evenly
from spinelab.commands._members import plain_network
from spinelab.commands._validation import validation_dice
from spinelab.config import compose_config
from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import SliceDataset
from spinelab.data.splits import Split
from spinelab.errors import ConfigError, RunError
from spinelab.files import copy_atomically, write_atomically
from spinelab.refine.network import Refined
from spinelab.refine.refiner import Example, Refiner
from spinelab.run import Run, run_hash
from spinelab.run_state import run_state
from spinelab.tasks.ensemble import softmax
from spinelab.tasks.seal import intact
from spinelab.types import LabelMap

FILE = "refine.json"
"""What was fitted, in the run's folder; training is over when it is there."""


def check(config: DictConfig) -> None:
    """Find out before a training whether what it ends with can be.

    Raises:
        ConfigError: There is no network, or the refinement cannot be built.
    """
    if config.get("classical"):
        found = f"{config.name} is no network, and refine changes the output of one"
        raise ConfigError(found, "leave out refine, or classical")
    build.refiner_channel(config)


def refine_trained(
    config: DictConfig, run: Run, network: nn.Module, cache: Cache, split: Split, labels: LabelMap
) -> tuple[Refined, float]:
    """Fit what refines a trained network, unless that was done before.

    Args:
        config: Of the run.
        run: Keeps what was fitted.
        network: Trained.
        cache: Slices of at least the training and the validation persons.
        split: Who they are.
        labels: The classes.

    Returns:
        Network and refiner, and their Dice of the validation persons (NaN without any).

    Raises:
        ConfigError: No slice to fit on shows any foreground.
        RunError: What was fitted before cannot be read.
    """
    if not (run.folder / FILE).is_file():
        fitted = fit_refiner(config, network, cache, split, labels)
        write_atomically(run.folder / FILE, json.dumps(fitted.state, allow_nan=False))
    refined = refined_network(run, network)
    return refined, validation_dice(refined, cache, split, labels)


def refined_network(run: Run, network: nn.Module) -> Refined:
    """A run's network with what refines it, as that was fitted.

    Raises:
        RunError: It was not fitted yet, or its file is not what a fit writes.
    """
    config, path = run.config(), run.folder / FILE
    if not path.is_file():
        raise RunError("what refines the run's network is not fitted yet", "train it first", path)
    refiner, classes = build.refiner(config), build.labels(config).count
    try:
        refiner.restore(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read: {error}", "delete the file and train again", path) from error
    if (found := refiner.state["classes"]) != classes:
        raise RunError(
            f"was fitted for {found} classes, the run has {classes}", "delete the file and train again", path
        )
    return Refined(network, refiner, build.refiner_channel(config))


def fit_refiner(config: DictConfig, network: nn.Module, cache: Cache, split: Split, labels: LabelMap) -> Refiner:
    """Fit on slices with foreground of the training or the validation persons, as the refiner wants it.

    Where nobody validates, what is to be fitted on validation persons is fitted on the training persons.

    Raises:
        ConfigError: No such slice shows any foreground.
    """
    refiner, channel = build.refiner(config), build.refiner_channel(config)
    persons = split.val if refiner.fitted_on == "val" and split.val else split.train
    volumes = cache.volumes_of(persons)
    rows = np.concatenate([np.flatnonzero(cache.table["volume"] == volume) for volume in volumes])
    shown = np.flatnonzero(cache.pixels[rows, 1:].any(axis=1))
    if not len(shown):
        found = f"no slice of the {len(persons)} persons to fit on shows any foreground"
        raise ConfigError(found, "leave out refine, or correct protocol.* or data.preprocessing.slices")
    whose = [cache.volumes[cache.table["volume"][rows[index]]].person for index in shown]
    chosen = evenly(whose, refiner.slices, np.random.default_rng(config.seed))
    examples = _examples(network, SliceDataset(cache, volumes), [int(shown[i]) for i in chosen], channel)
    return refiner.fit(examples, labels.count, seed=config.seed)


@torch.inference_mode()
def _examples(network: nn.Module, slices: SliceDataset, chosen: list[int], channel: int) -> list[Example]:
    device = next(network.parameters()).device
    network.eval()
    examples = []
    for index in track(chosen, description="refining", transient=True):
        batch = slices.__getitems__([index])
        likely = softmax(network, batch["image"].to(device))[0].cpu().numpy()
        person = slices.volumes[int(batch["volume"][0])].person
        examples.append(Example(batch["image"][0, channel].numpy(), likely, batch["mask"][0].numpy(), person))
    return examples


def refined_anew(run: Run, config: DictConfig, overrides: Sequence[str]) -> tuple[nn.Module, str]:
    """A trained run's network, refined in another way than when it was trained.

    Args:
        run: Of one network.
        config: The run's configuration, where its data lie now.
        overrides: ``refine=NAME`` and ``refine.KEY=VALUE``; ``refine=none`` gives the network alone.

    Returns:
        The network, and what the refinement is called: "" where it changes nothing.

    Raises:
        ConfigError: There is no such refinement, it does not take such a value, or the run is not one network.
    """
    if config.get("members") or config.get("classical"):
        raise ConfigError(f"{config.name} is not one network, and refine changes the output of one", "leave out refine")
    composed = compose_config(list(overrides))
    network = plain_network(run)
    if not composed.get("refine"):
        return network, "unrefined" if config.get("refine") else ""
    config = OmegaConf.merge(config, {"refine": None})  # type: ignore[assignment]
    config.refine = composed.refine
    labels, split = build.labels(config), Split.load(run.split)
    slices = build.cache(config, [case for case in build.cases(config) if case.person in split.train + split.val])
    refiner = fit_refiner(config, network, slices, split, labels)
    return Refined(network, refiner, build.refiner_channel(config)), composed.choices.refine


def keep(network: nn.Module, folder: Path) -> None:
    """Write what was fitted to refine a network, if it is refined."""
    if isinstance(network, Refined):
        write_atomically(folder / FILE, json.dumps(network.refiner.state, allow_nan=False))


def already_trained(config: DictConfig, run: Run) -> bool:
    """Whether the network that is to be refined need not be trained.

    It is trained if it was refined already, or if the run that differs in nothing but the refinement is finished, whose
    checkpoint and course are then copied.
    """
    if (run.folder / FILE).is_file() and any(run.checkpoints.glob("*.ckpt")):
        return True
    (run.folder / FILE).unlink(missing_ok=True)  # it belongs to weights that are gone
    source = _same_network(config, run)
    if source is None:
        return False
    for path in (source.weights(), source.metrics):
        if path.is_file():
            copy_atomically(path, run.folder / path.relative_to(source.folder))
    print(f"the network is that of {source.folder}")
    return True


def _same_network(config: DictConfig, run: Run) -> Run | None:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    identity = run_hash({str(key): value for key, value in plain.items() if key != "refine"})
    for folder in sorted(run.folder.parent.glob(f"*-{identity}")):
        if run_state(folder).name in ("done", "fitted") and (folder / "config.yaml").is_file():
            source = Run.open(folder)
            try:
                if intact(source.weights()):
                    return source
            except (OSError, RunError):
                continue
    return None
