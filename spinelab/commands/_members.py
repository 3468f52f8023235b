"""The networks (or techniques) of finished runs, refined where they are: one alone, or several together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from spinelab import build
from spinelab.errors import RunError
from spinelab.run import Run
from spinelab.tasks.ensemble import Ensemble
from spinelab.tasks.weights import load_weights


def members_of(runs: Iterable[Run]) -> list[Run]:
    """The trained runs behind some runs: of an ensemble its members, of any other the run itself; each once.

    Raises:
        RunError: An ensemble's member is not where the ensemble says.
    """
    found: dict[Path, Run] = {}
    for run in runs:
        for folder in run.config().get("members") or ["."]:
            member = Path(os.path.normpath(run.folder.absolute() / folder))
            if not (member / "config.yaml").is_file():
                remedy = "move the members along with the ensemble, or make it again: spinelab ensemble RUN RUN ..."
                raise RunError(f"its member {folder} is not there", remedy, run.folder)
            found.setdefault(member.resolve(), Run.open(member))
    return list(found.values())


def trained_network(runs: Sequence[Run]) -> nn.Module:
    """The network that some trained runs are together: its weights loaded, an `Ensemble` if they are several.

    Raises:
        RunError: A run has no weights, or the runs do not go together (see `require_alike`).
    """
    require_alike(runs)
    networks = [_network(run) for run in runs]
    return networks[0] if len(networks) == 1 else Ensemble(networks)


def require_alike(runs: Sequence[Run], *, scored: bool = False) -> None:
    """Refuse runs whose networks see other slices or know other classes; their probabilities have no mean.

    Args:
        runs: What is to be averaged.
        scored: Whether data set and scored regions have to be the same, too.

    Raises:
        RunError: Two runs differ; both are named with what differs.
    """
    first, *others = runs
    usual = _facts(first.config(), scored)
    for other in others:
        own = _facts(other.config(), scored)
        if differing := [f"{key} ({own[key]}, not {usual[key]})" for key in usual if own[key] != usual[key]]:
            raise RunError(
                f"differs from {first.folder} in {', '.join(differing)}",
                "average runs that share data set, classes, channels and preprocessing",
                other.folder,
            )


def _facts(config: DictConfig, scored: bool) -> dict[str, Any]:
    labels = build.labels(config)
    facts = {"classes": list(labels.classes), "channels": config.channels}
    facts |= {f"preprocessing.{key}": value for key, value in asdict(build.preprocessing(config)).items()}
    if scored:
        regions = {name: list(united) for name, united in labels.regions.items()}
        facts |= {"data set": config.data.name, "regions": regions, "lesions": list(labels.lesions)}
    return facts


def _network(run: Run) -> nn.Module:
    config = run.config()
    if config.get("classical"):
        from spinelab.commands._classical import fitted_technique  # imports scikit-image

        return fitted_technique(run)
    network = plain_network(run)
    if config.get("refine"):
        from spinelab.commands._refine import refined_network  # imports scikit-image

        return refined_network(run, network)
    return network


def plain_network(run: Run) -> nn.Module:
    """The network of a trained run, its weights loaded; without what refines it.

    Raises:
        ConfigError: The run is a technique without a network, or an ensemble.
        RunError: The run has no weights.
    """
    config = run.config()
    network = build.network(_without_download(config), build.labels(config))
    load_weights(network, run.weights())
    return network


def _without_download(config: DictConfig) -> DictConfig:
    """Weights come from the checkpoint, so pretrained ones need not be fetched."""
    return OmegaConf.merge(config, {"encoder": {"weights": None}, "model": _model_weights(config)})  # type: ignore[return-value]


def _model_weights(config: DictConfig) -> dict[str, object]:
    return {"encoder": {"weights": None}} if config.model.get("encoder") else {}
