"""nnU-Net's own division into folds, ``splits_final.json``: a list of ``{"train": [cases], "val": [cases]}``.

nnU-Net trains on `train` with a fixed schedule, keeps the last checkpoint and reports the scores on `val`. So its `val`
is what a test side is here, and there is no validation unless some training persons are set apart for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.sources.patterns import SHOWN, extract
from spinelab.data.sources.tables import read_json
from spinelab.data.splits import NoSuchFold, Split
from spinelab.errors import ConfigError, DataError


def nnunet_split(
    persons: Iterable[str],
    *,
    path: Path | str,
    fold: int = 0,
    person: str = "(.+)",
    val_fraction: float = 0.0,
    seed: int = 0,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """One fold of nnU-Net's: its `train` is trained on, its `val` is tested on.

    Args:
        persons: All persons; each has to be on one side of the fold.
        path: The file, which nnU-Net keeps in ``nnUNet_preprocessed``.
        fold: Which of its folds, from 0.
        person: The source's pattern that finds the person in a case's name.
        val_fraction: Part of the training persons that chooses the checkpoint instead: the nearest whole number, at
            least one. 0 is nnU-Net's way: no validation, the last checkpoint is tested.
        seed: Seed of that choice; the folds themselves are fixed by the file.
        sites: Not used.
        groups: Not used.

    Raises:
        DataError: The file is missing or of another kind, or a person has cases on both sides.
        ConfigError: There is no such fold, or the fold and the data set do not have the same persons.
        ValueError: The fraction is not in [0, 1).
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction is in [0, 1), not {val_fraction}")
    path = Path(path)
    cases = _fold(read_json(path), fold, path)
    train, test = ({extract(person, case, "person", path) for case in cases[side]} for side in ("train", "val"))
    if both := sorted(train & test):
        raise DataError(
            f"fold {fold} has cases of {_listed(both)} in train and in val",
            "divide by person: write the file anew, or use protocol=kfold",
            path,
        )
    _require_same(set(persons), train | test, path)
    order = np.random.default_rng((seed, fold)).permutation(sorted(train)).tolist()
    count = min(max(1, round(val_fraction * len(order))), len(order) - 1) if val_fraction else 0
    return Split("nnunet", seed, fold, tuple(order[count:]), tuple(order[:count]), tuple(test))


def _fold(folds: Any, fold: int, path: Path) -> dict[str, list[str]]:
    remedy = 'give nnU-Net\'s splits_final.json: [{"train": [...], "val": [...]}, ...]'
    if not isinstance(folds, list) or not all(isinstance(entry, dict) for entry in folds):
        raise DataError("it holds no list of folds", remedy, path)
    if not 0 <= fold < len(folds):
        raise NoSuchFold(f"there is no fold {fold}, its folds are 0 to {len(folds) - 1}", "set protocol.fold", path)
    for side in ("train", "val"):
        cases = folds[fold].get(side)
        if not isinstance(cases, list) or not cases or not all(isinstance(case, str) for case in cases):
            raise DataError(f"fold {fold} has no list of cases {side!r}", remedy, path)
    return folds[fold]


def _require_same(known: set[str], divided: set[str], path: Path) -> None:
    if unknown := sorted(divided - known):
        raise ConfigError(f"not in the data set: {_listed(unknown)}", "use the file of this data set", path)
    if forgotten := sorted(known - divided):
        raise ConfigError(f"on no side: {_listed(forgotten)}", "add their cases to each fold", path)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
