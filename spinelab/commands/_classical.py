"""A technique without a network as a run: tuned and fitted on the training persons, then scored like any other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.progress import track

from spinelab import build
from spinelab.classical.network import AsNetwork
from spinelab.classical.technique import Technique
from spinelab.classical.tuning import evenly
from spinelab.commands._checked import Checked, Fitted, announce, check_data
from spinelab.commands._training import viewed
from spinelab.commands._validation import validation_dice
from spinelab.data.slices.dataset import SliceDataset
from spinelab.errors import ConfigError, RunError
from spinelab.files import write_atomically
from spinelab.run import Run

FILE = "technique.json"
"""What was fitted, in the run's folder."""


@dataclass(frozen=True)
class Ready(Checked):
    """A technique that is not fitted yet, and the channel of the slices that it sees."""

    technique: Technique
    channel: int


def check(config: DictConfig) -> Ready:
    """Build all that a fit needs, which finds out what is wrong with it; no file of the run is touched.

    Raises:
        SpinelabError: Bad data or configuration.
    """
    technique, channel = build.technique(config), build.technique_channel(config)
    return Ready(**vars(check_data(config)), technique=technique, channel=channel)


def fit(ready: Ready, run: Run) -> Fitted:
    """Fit on slices of the training persons; what was fitted before is read. Called within `working`.

    Raises:
        ConfigError: No training slice is there, or a library that the technique needs is not installed.
        RunError: What was fitted before cannot be read.
    """
    view = build.logger(ready.config, run)
    run.start(ready.config)
    ready.split.save(run.split)
    there = (run.folder / FILE).is_file()
    announce(ready, run, "a technique without a network", goes_on=there)
    with viewed(view):
        if not there:
            ready.data.prepare_data()
            write_atomically(run.folder / FILE, json.dumps(_fitted_state(ready), allow_nan=False))
        network = fitted_technique(run)
        val_dice = validation_dice(network, ready.data.cache, ready.split, ready.labels)
        view.log_metrics({"val/dice": val_dice}, step=0)
    return ready.fitted(network, view, val_dice)


def fitted_technique(run: Run) -> AsNetwork:
    """The technique of a run as it was fitted.

    Raises:
        RunError: The run's technique was not fitted, or its file is not what a fit writes.
    """
    config, path = run.config(), run.folder / FILE
    if not path.is_file():
        raise RunError("the run's technique is not fitted yet", "train it first", path)
    technique, classes = build.technique(config), build.labels(config).count
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        technique.restore(state)
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read: {error}", "delete the file and train again", path) from error
    if not isinstance(state, dict) or not {"parameters", "foreground", "model", "seed"} <= set(state):
        raise RunError("is not what was fitted", "delete the file and train again", path)
    if state.get("classes") != classes:
        found = f"was fitted for {state.get('classes')} classes, the run has {classes}"
        raise RunError(found, "delete the file and train again", path)
    return AsNetwork(technique, build.technique_channel(config))


def _fitted_state(ready: Ready) -> dict[str, Any]:
    """Tune and fit on as many slices as the technique takes, equally many a person."""
    cache = ready.data.cache
    volumes = cache.volumes_of(ready.split.train)
    slices = SliceDataset(cache, volumes)
    counts = [int(np.count_nonzero(cache.table["volume"] == volume)) for volume in volumes]
    whose = [cache.volumes[volume].person for volume, count in zip(volumes, counts, strict=True) for _ in range(count)]
    if not whose:
        raise ConfigError("there is no training slice", "correct protocol.* or data.preprocessing.slices")
    # the others would lie in memory in vain
    chosen = evenly(whose, ready.technique.slices, np.random.default_rng(ready.config.seed))
    samples = [slices[index] for index in track(chosen, description="reading", transient=True)]
    images = [sample["image"][ready.channel].numpy() for sample in samples]
    masks = [sample["mask"].numpy() for sample in samples]
    persons = [whose[index] for index in chosen]
    return ready.technique.fit(images, masks, persons, ready.labels.count, seed=ready.config.seed).state
