"""Objects from a configuration: each function builds one thing and needs nothing that it does not name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from spinelab.callbacks.wandb_run import WandbRun
from spinelab.config import resolved
from spinelab.data.datamodule import SliceDataModule
from spinelab.data.slices.build import build as build_cache
from spinelab.data.slices.cache import Cache
from spinelab.data.sources.listing import require_files
from spinelab.data.splits import Split, by_person
from spinelab.data.splits.subset import few_train_persons
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import ConfigError
from spinelab.run import Run
from spinelab.tasks.checkpoint_io import CheckpointFiles
from spinelab.tasks.scoring import Scoring
from spinelab.tasks.segmentation import SegmentationTask
from spinelab.tasks.weights import start_from
from spinelab.types import Case, LabelMap

if TYPE_CHECKING:
    from spinelab.classical.technique import Technique
    from spinelab.refine.refiner import Refiner

# What a configuration may call. A run folder from elsewhere brings its own config.yaml, which must not call anything.
TRUSTED = ("spinelab.*", "torch.nn.*", "torch.optim.*", "lightning.*", "segmentation_models_pytorch.*", "monai.*")


def make(node: Any, **extra: Any) -> Any:
    """Instantiate a configuration node, with plain containers for its lists and dictionaries.

    Raises:
        ConfigError: The node names something outside the trusted packages, something that does not exist, or
            arguments that it does not take.
    """
    trusted = [*TRUSTED, *filter(None, os.environ.get("SPINELAB_TRUST", "").split(","))]
    try:
        return instantiate(node, _convert_="all", _execution_whitelist_=trusted, **extra)
    except (InstantiationException, TypeError, ValueError) as error:
        what = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(
            f"{node['_target_']} cannot be built: {what}",
            "correct its arguments; for a class of your own set SPINELAB_TRUST=yourpackage.*",
        ) from error


def labels(config: DictConfig) -> LabelMap:
    """Named classes and scored regions of the data set."""
    return make(config.data.labels)


def scoring(config: DictConfig) -> Scoring:
    """What is computed of a scored case; runs from before there was a choice have none in their configuration."""
    return make({"_target_": "spinelab.tasks.scoring.Scoring"} | dict(config.get("scoring") or {}))


def preprocessing(config: DictConfig) -> Preprocessing:
    """How volumes become slices."""
    return make(config.data.preprocessing)


def cases(config: DictConfig) -> list[Case]:
    """The data set's cases, all of whose files are there.

    Raises:
        DataError: Files are missing (all of them are counted, the first are named) or do not fit.
    """
    listed = listing(config)
    require_files(listed)
    return listed


def listing(config: DictConfig) -> list[Case]:
    """The data set's cases, missing files included; one that can be generated (the phantom) is made first.

    Raises:
        DataError: The data set cannot be listed.
    """
    resolved(config)  # an unset environment variable is reported as such, not by whoever first looks
    if "generate" in config.data:
        make(config.data.generate)
    return make(config.data.source).cases()


def cache(config: DictConfig, listed: list[Case]) -> Cache:
    """The prepared slices, built where they are not there yet."""
    folder = Path(config.paths.cache).expanduser()
    workers = config.get("processes") or os.cpu_count() or 1
    return build_cache(listed, labels(config), preprocessing(config), folder, workers=workers)


def split(config: DictConfig, listed: list[Case]) -> Split:
    """Persons on each side, by the protocol; of those to train on only `config.train_persons`, if that is set.

    Raises:
        ConfigError: The protocol's values make no split, or the persons are too few for it.
    """
    persons = sorted({case.person for case in listed})
    try:
        sides = make(config.protocol)(persons=persons, **by_person(listed))
    except ValueError as error:
        raise ConfigError(f"the protocol makes no split: {error}", "correct protocol.*") from error
    return few_train_persons(sides, config.get("train_persons"))


def datamodule(config: DictConfig, slices: Cache, sides: Split) -> SliceDataModule:
    """Loaders over the prepared slices.

    Raises:
        ConfigError: The data have another number of channels than the network, or sagittal slices would be flipped.
    """
    if slices.channels != config.channels:
        raise ConfigError(
            f"{config.data.name} has {slices.channels} channels, the network sees {config.channels}",
            f"set channels={slices.channels}",
        )
    _check_flip(config)
    augmentation = make(config.augmentation) if config.augmentation else None
    return SliceDataModule(slices, sides, augmentation=augmentation, seed=config.seed, **config.loader)


def _check_flip(config: DictConfig) -> None:
    """Left and right of the picture are front and back in a sagittal slice, which are not alike."""
    plane = config.data.preprocessing.get("plane", "sagittal")
    if plane == "sagittal" and config.augmentation and config.augmentation.get("flip_left_right"):
        raise ConfigError(
            "the augmentation flips left and right, and the slices are sagittal: front and back would change places",
            "use augmentation=default, or augmentation.flip_left_right=0",
        )


def network(config: DictConfig, named: LabelMap) -> torch.nn.Module:
    """The architecture, with random weights unless the encoder names some.

    Raises:
        ConfigError: A technique without a network was chosen.
    """
    if not config.model:
        raise ConfigError(f"{config.name} is no network", "choose a network: leave out classical")
    return make(config.model, in_channels=config.channels, classes=named.count)


def task(config: DictConfig, named: LabelMap) -> SegmentationTask:
    """Network (from the weights of `config.init`, if that names a run), loss, optimizer and schedule.

    Raises:
        ConfigError: A part cannot be built, or the encoder of a network without one has a learning rate of its own.
        RunError: `config.init` is no run, or one of another architecture.
    """
    parts = {"loss": make(config.loss), "optimizer": make(config.optimizer), "scheduler": make(config.scheduler)}
    started = network(config, named)
    if config.get("init"):
        start_from(started, Run.open(config.init).weights())
    options = {"channels_last": config.trainer.get("channels_last", False), "encoder_lr": config.get("encoder_lr", 1.0)}
    try:
        return SegmentationTask(started, **parts, **options)
    except ValueError as error:
        raise ConfigError(f"{config.name}: {error}", "leave out encoder_lr, or choose another model") from error


def technique(config: DictConfig) -> Technique:
    """The technique without a network, not fitted yet."""
    return make(config.classical)


def technique_channel(config: DictConfig) -> int:
    """Which channel a technique sees: of one contrast, the slice itself without its neighbours.

    Raises:
        ConfigError: There are several contrasts and none is chosen, or there is no such one.
    """
    return _single_channel(config, "classical", technique(config).channel)


def refiner(config: DictConfig) -> Refiner:
    """What is done to the network's output, not fitted yet."""
    return make(config.refine)


def refiner_channel(config: DictConfig) -> int:
    """Which channel a refiner sees, as with a technique.

    Raises:
        ConfigError: There are several contrasts and none is chosen, or there is no such one.
    """
    return _single_channel(config, "refine", refiner(config).channel)


def _single_channel(config: DictConfig, group: str, chosen: int | None) -> int:
    near = preprocessing(config).neighbours
    contrasts = config.channels // (2 * near + 1)
    if chosen is None and contrasts > 1:
        seer, remedy = "refine" if group == "refine" else config.name, f"choose one of them: {group}.channel=0"
        raise ConfigError(f"the slices have {contrasts} contrasts, and {seer} sees one", f"{remedy} to {contrasts - 1}")
    if (chosen or 0) not in range(contrasts):
        found = f"{group}.channel={chosen}: the slices have {contrasts} contrasts"
        raise ConfigError(found, "contrasts are numbered from 0")
    return (chosen or 0) * (2 * near + 1) + near


def logger(config: DictConfig, run: Run) -> WandbRun:
    """The W&B run of this job."""
    facts = {"id": run.id, "name": config.name, "folder": str(run.folder), "config": resolved(config)}
    group = config.logger.get("group") or config.get("sweep") or config.data.name
    tags = [f"seed{config.seed}", f"fold{config.protocol.get('fold', 0)}", config.data.name]
    # partial, since Hydra would go on to build everything that the recorded configuration describes
    return make(config.logger, _partial_=True)(**facts, group=group, tags=tags)


def trainer(config: DictConfig, run: Run, data: SliceDataModule, view: WandbRun) -> lightning.Trainer:
    """Lightning's trainer with the configured callbacks, told what only this run knows."""
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]
    options.pop("channels_last", None)
    options["enable_progress_bar"] = bool(config.callbacks.get("progress"))  # else Lightning adds one of its own
    options["precision"] = precision(options["precision"], options["accelerator"])
    watchers = callbacks(config, run, data)
    return make(options, callbacks=watchers, logger=view, plugins=[CheckpointFiles()], default_root_dir=str(run.folder))


def callbacks(config: DictConfig, run: Run, data: SliceDataModule) -> list[lightning.Callback]:
    """The callbacks of the group; those that look at validation fall away where there are no validation persons."""
    named = labels(config)
    nodes = {name: OmegaConf.to_container(node, resolve=True) for name, node in config.callbacks.items() if node}
    extra: dict[str, dict[str, Any]] = {
        "scores": {"labels": named, "persons": [volume.person for volume in data.val_set.volumes]},
        "metrics_file": {"path": run.metrics},
        "checkpoint": {"dirpath": str(run.checkpoints)},
        "panels": {"classes": named.classes},
    }
    if not data.val_set.volumes:
        nodes = {name: node for name, node in nodes.items() if name not in ("scores", "panels", "early_stopping")}
        extra["checkpoint"]["monitor"] = None
    watchers = [make(node, **extra.get(str(name), {})) for name, node in nodes.items()]
    return watchers + ([pruning(config.trial)] if config.get("trial") else [])


def pruning(trial: DictConfig) -> lightning.Callback:
    """What gives up a hopeless trial of a search."""
    from spinelab.callbacks.pruning import Pruning  # imports Optuna, which other trainings do without

    return Pruning(**{str(key): value for key, value in trial.items()})


def precision(wanted: str, accelerator: str) -> str:
    """`auto` is bfloat16 where the device multiplies in it, else full precision (float16 on older GPUs).

    Raises:
        ConfigError: A GPU is asked for where there is none.
    """
    gpu = torch.cuda.is_available()
    if accelerator in ("gpu", "cuda") and not gpu:
        raise ConfigError("trainer asks for a GPU and there is none", "use trainer=cpu, or trainer=auto")
    if wanted != "auto":
        return wanted
    if gpu and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and _bfloat16_processor() else "32-true"


def _bfloat16_processor() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
