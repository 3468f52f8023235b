"""Reads run folders: every table and figure comes from the files that runs leave behind, and from nothing else."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from spinelab.errors import RunError

COLUMNS = (
    "run", "model", "dataset", "protocol", "fold", "seed", "split_hash",
    "person", "site", "case", "class", "metric", "value", "unit", "state",
)  # fmt: skip
"""The columns of ``cases.parquet``."""
SWEEP = "sweep.json"
"""In the folder of a sweep: which runs belong to it."""


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        folder: Where it lies.
        config: The resolved configuration.
        split: ``split.json``: protocol, seed, fold, train, val, test, hash.
        environment: ``environment.json``; the tables use `parameters` (a count) and `seconds`, the page
            `commit`, `gpu`, `processor` and `cores`.
        curve: ``metrics.csv``, one row an epoch; empty if there is none.
        cases: ``cases.parquet``, tidy, `COLUMNS`.
    """

    folder: Path
    config: Mapping[str, Any]
    split: Mapping[str, Any]
    environment: Mapping[str, Any]
    curve: pd.DataFrame
    cases: pd.DataFrame

    def __getitem__(self, column: str) -> Any:
        """What a run's cases all share: `run["model"]`, `run["dataset"]`, `run["fold"]`, `run["seed"]`, ..."""
        return self.cases[column].iloc[0]

    @property
    def persons(self) -> frozenset[str]:
        """The persons that were scored."""
        return frozenset(self.cases["person"].unique())

    def setting(self, dotted: str) -> Any:
        """A value of the configuration, e.g. ``trainer.max_epochs``; None if it is not set."""
        value: Any = self.config
        for key in dotted.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def panels(self) -> dict[str, Path]:
        """Case name -> its picture (image, truth, prediction)."""
        return {file.stem: file for file in sorted((self.folder / "panels").glob("*.png"))}


@dataclass(frozen=True)
class Results:
    """Finished runs of one comparison.

    Attributes:
        runs: In the order of their folders.
        skipped: One sentence for each folder that was left out.
    """

    runs: tuple[Run, ...]
    skipped: tuple[str, ...] = ()

    @property
    def cases(self) -> pd.DataFrame:
        """The case tables of all runs, one below the other."""
        return pd.concat([run.cases for run in self.runs], ignore_index=True)


def read_runs(paths: Iterable[Path | str]) -> Results:
    """Reads runs from run folders, from folders that hold run folders at any depth, and from glob patterns.

    Args:
        paths: Folders (of runs, with runs in them, or of a sweep), or patterns such as ``runs/*``.

    Returns:
        The finished runs. Unfinished runs and copies of a run are skipped, with a sentence each.

    Raises:
        RunError: Nothing is there, no run is finished, a file is damaged, a person was both trained on and scored,
            or the runs score different classes.
    """
    paths = tuple(paths)
    places = {path: _expand(path) for path in paths}
    folders = sorted({run for place in places.values() for folder in place for run in _run_folders(folder)})
    # A folder without runs is let pass among others (a shell's runs/* names comparisons too), a path to nothing is not.
    missing = [str(path) for path in paths if not folders or not places[path]]
    if missing or not paths:
        raise RunError(
            f"no run was found in {', '.join(missing) or 'no path at all'}",
            "give a run folder (it holds config.yaml and cases.parquet) or a folder that contains such folders",
        )
    runs: dict[tuple[str, ...], Run] = {}
    skipped = []
    for folder in folders:
        if not (folder / "cases.parquet").is_file():
            skipped.append(f"{folder.name} was skipped: it is unfinished (it has no cases.parquet).")
            continue
        run = _read_run(folder)
        identity = tuple(str(run[column]) for column in ("run", "dataset", "protocol"))
        if identity in runs:
            skipped.append(f"{folder.name} was skipped: it is a copy of {runs[identity].folder.name}.")
            continue
        runs[identity] = run
    if not runs:
        raise RunError(
            f"none of {len(folders)} runs is finished (no cases.parquet), e.g. {folders[0]}",
            "let the training end, or run `spinelab evaluate run=...` on a run that has a checkpoint",
        )
    _check_classes(tuple(runs.values()))
    return Results(tuple(runs.values()), tuple(skipped))


def _expand(path: Path | str) -> list[Path]:
    # A folder whose name holds brackets is meant literally; only what does not exist is tried as a pattern.
    exists = Path(path).exists()
    return [Path(path).resolve()] if exists else [Path(found).resolve() for found in glob.glob(str(path))]  # noqa: PTH207


def _run_folders(top: Path) -> Iterator[Path]:
    """Run folders at and below `top`; what lies inside a run (W&B and Hydra keep a config.yaml too) is none.

    The folder of a sweep names its runs, which lie elsewhere.
    """
    if (top / SWEEP).is_file():
        yield from ((top / job["run"]).resolve() for job in _mapping(top / SWEEP).get("jobs", ()))
        return
    for folder, children, files in os.walk(top):
        if "cases.parquet" in files or "config.yaml" in files:
            children.clear()
            yield Path(folder)
        children[:] = [child for child in children if not child.startswith(".")]


def _read_run(folder: Path) -> Run:
    run = Run(
        folder=folder,
        config=_mapping(folder / "config.yaml"),
        split=_mapping(folder / "split.json"),
        environment=_mapping(folder / "environment.json"),
        curve=pd.read_csv(folder / "metrics.csv") if (folder / "metrics.csv").is_file() else pd.DataFrame(),
        cases=_read_cases(folder / "cases.parquet"),
    )
    both = run.persons & {str(person) for person in run.split.get("train", ())}
    if both:
        raise RunError(
            f"{len(both)} scored persons were also trained on, e.g. {sorted(both)[0]}",
            "evaluate the run on the test persons of its split; such scores say nothing about new persons",
            folder,
        )
    return run


def _mapping(file: Path) -> Mapping[str, Any]:
    """A YAML or JSON mapping; empty if the file is missing."""
    if not file.is_file():
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise RunError(f"cannot be read: {error}", "repair the file or leave this run out", file) from error
    if not isinstance(found, Mapping):
        raise RunError(f"holds a {type(found).__name__}, not named values", "leave this run out", file)
    return found


def _read_cases(file: Path) -> pd.DataFrame:
    try:
        cases = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read: {error}", "evaluate the run again", file) from error
    missing = [column for column in COLUMNS if column not in cases]
    if missing or cases.empty:
        found = f"lacks the columns {', '.join(missing)}" if missing else "holds no row"
        raise RunError(found, "evaluate the run again with this version of spinelab", file)
    cases["value"] = pd.to_numeric(cases["value"]).astype(float)
    if np.isinf(cases["value"]).any():
        raise RunError("holds infinite values", "evaluate the run again with this version of spinelab", file)
    cases[["person", "case", "class"]] = cases[["person", "case", "class"]].astype(str)
    # A distance in mm and one in pixels must never meet in a mean, so a metric with a unit carries it in its name.
    cases["metric"] = cases["metric"].where(cases["unit"] == "1", cases["metric"] + " (" + cases["unit"] + ")")
    return cases


def _check_classes(runs: tuple[Run, ...]) -> None:
    def classes(run: Run) -> set[str]:
        return set(run.cases["class"]) - {"all"}

    for run in runs[1:]:
        if classes(run) != classes(runs[0]):
            raise RunError(
                f"scores {', '.join(sorted(classes(run)))}, but {runs[0].folder} scores "
                f"{', '.join(sorted(classes(runs[0])))}",
                "compare runs of one data set and one label map at a time",
                run.folder,
            )
