"""``protocol.fold=all``: one job for every fold that the data set has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from omegaconf import DictConfig, OmegaConf

ALL = "protocol.fold=all"


def with_folds(jobs: Iterable[Sequence[str]], compose: Callable[[Sequence[str]], DictConfig]) -> Iterator[list[str]]:
    """Jobs with ``protocol.fold=all`` once for every fold, the others as they are.

    Args:
        jobs: Overrides of each job.
        compose: Makes a job's configuration of its overrides.

    Raises:
        SpinelabError: The data set cannot be listed, or its persons are too few for the protocol.
    """
    known: dict[str, int] = {}
    for overrides in jobs:
        if ALL not in (override.lstrip("+") for override in overrides):
            yield list(overrides)
            continue
        config = compose(_fold(overrides, 0))
        key = json.dumps([OmegaConf.to_container(config[part], resolve=True) for part in ("data", "protocol")])
        if key not in known:
            known[key] = count(config)
        yield from (_fold(overrides, fold) for fold in range(known[key]))


def count(config: DictConfig) -> int:
    """Folds that a configuration's protocol makes of its persons.

    Raises:
        SpinelabError: The data set cannot be listed, or its persons are too few for the protocol.
    """
    from spinelab import build  # imports torch
    from spinelab.data.splits import by_person, fold_count

    listed = build.listing(config)
    persons = sorted({case.person for case in listed})
    return fold_count(build.make(config.protocol), persons, **by_person(listed))


def _fold(overrides: Sequence[str], fold: int) -> list[str]:
    return [f"protocol.fold={fold}" if override.lstrip("+") == ALL else override for override in overrides]
