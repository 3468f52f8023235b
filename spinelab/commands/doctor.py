"""find everything that is wrong with a data set, in one pass, each with its remedy

usage: spinelab doctor data=NAME [data.KEY=VALUE ...] [json=FILE] [fix=FOLDER] [cost=false] [workers=N]

Reads every file whole and once. Nothing among the data is changed.
  json=FILE     writes all findings as JSON, and pictures of masks that do not lie on their image into FILE's folder
  fix=FOLDER    (or --fix FOLDER) writes corrected copies of what can be mended safely, and only those, at the same
                relative paths below FOLDER, with a list fixes.json; FOLDER must lie outside the data set:
                NaN and infinity to 0 in NIfTI images; a mask's affine from its image where the shapes agree and
                the offset is below one voxel; scaled or nearly whole labels to whole numbers; a trailing axis of length
                one dropped; an sform that is not set copied from the qform
  cost=false    leaves out what a training will cost (a few steps of the configured model are timed for that)
  workers=N     processes that read; by default one a core

Severities: error (training refuses, or would be wrong), warning (look at it), note (good to know).
Exit status: 0 no error, though there may be warnings; 1 errors were found; 2 the command itself is wrong.
Configuration groups are those of training; data=, protocol= and, for the cost, model= matter here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinelab.commands._arguments import flag, options
from spinelab.config import compose_config
from spinelab.errors import ConfigError, SpinelabError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from spinelab.data.doctor.examine import Examined
    from spinelab.data.doctor.finding import Finding
    from spinelab.data.splits import Split
    from spinelab.types import Case, LabelMap

OWN = ("fix", "json", "cost", "workers")


def main(arguments: Sequence[str]) -> int:
    """Report, mend if asked to, and say what training will cost."""
    own, overrides = _sorted(arguments)
    given = options(own, OWN)
    config = compose_config(overrides)
    workers = _count(given["workers"]) if "workers" in given else os.cpu_count() or 1
    return diagnose(
        config,
        json=Path(given["json"]) if "json" in given else None,
        target=Path(given["fix"]) if "fix" in given else None,
        cost=flag(given.get("cost", "true")),
        workers=workers,
    )


def diagnose(
    config: DictConfig, *, json: Path | None = None, target: Path | None = None, cost: bool = True, workers: int = 1
) -> int:
    """Examine the configured data set.

    Args:
        config: The composed configuration.
        json: Where to write the findings as JSON; pictures go beside it.
        target: Folder for corrected copies.
        cost: Whether to time a few training steps.
        workers: Processes that read.

    Returns:
        1 if there are errors, else 0.

    Raises:
        ConfigError: The folder for corrected copies overlaps the data set's.
    """
    from rich.console import Console

    from spinelab.data.doctor.fix import check_target, fix
    from spinelab.data.doctor.report import summary, table, write_json

    root = _root(config)
    if target is not None:
        check_target(target, root)
    pictures = json.with_name(f"{json.stem}_pictures") if json is not None else None
    findings, cases, examined, split, labels = _survey(config, root, pictures, workers)
    facts: dict[str, Any] = {"data": config.data.name, "root": str(root), "cases": len(cases)}
    console = Console()
    if findings:
        console.print(table(findings, root))
    persons = len({case.person for case in cases})
    print(f"{config.data.name}: {len(cases)} volumes of {persons} persons: {summary(findings)}")
    if target is not None:
        facts["fixes"] = [asdict(one) for one in fix(cases, findings, root, target)]
        for one in facts["fixes"]:
            print(f"{one['written'] or one['original']}: {'; '.join(one['done'])}")
        print(f"{sum(bool(one['written']) for one in facts['fixes'])} corrected copies in {target}")
    if cost and labels is not None and examined:
        facts["cost"] = _cost(config, labels, examined, split)
    if json is not None:
        write_json(json, findings, facts | {"persons": persons})
        print(f"findings: {json}")
    return int(any(finding.severity == "error" for finding in findings))


def _survey(
    config: DictConfig, root: Path, pictures: Path | None, workers: int
) -> tuple[list[Finding], list[Case], list[Examined], Split | None, LabelMap | None]:
    """Findings; where the cases cannot be listed at all, the reason is the only one."""
    from spinelab import build
    from spinelab.data.doctor.finding import from_exception
    from spinelab.data.doctor.survey import survey

    try:
        cases = build.listing(config)
        labels, preprocessing = build.labels(config), build.preprocessing(config)
    except SpinelabError as problem:
        return [from_exception("data-set", problem, root)], [], [], None, None
    except Exception as problem:  # a source of a person's own may raise anything
        return [from_exception("data-set", problem, root)], [], [], None, None
    findings, examined, split = survey(
        cases,
        labels,
        preprocessing,
        root,
        lambda: build.split(config, cases),
        channels=config.channels,
        pictures=pictures,
        workers=workers,
    )
    return findings, cases, examined, split, labels


def _cost(config: DictConfig, labels: LabelMap, examined: list[Examined], split: Split | None) -> dict[str, Any] | None:
    """Print and return the estimate; a model that cannot be built is told and is no fault of the data."""
    from spinelab.commands._cost import describe, estimate

    try:
        cost = estimate(config, labels, examined, split)
    except (SpinelabError, RuntimeError, ValueError) as problem:
        print(f"no estimate of the cost: {problem}")
        return None
    if cost is None:
        return None
    print(describe(cost))
    return asdict(cost)


def _root(config: DictConfig) -> Path:
    """The data set's folder; the working folder where the configuration names none."""
    try:
        root = config.data.source.get("root") or config.data.get("root") or "."
    except Exception:  # an environment variable that is not set: told as a finding
        root = "."
    return Path(str(root)).expanduser()


def _sorted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own options, and the overrides; `--fix FOLDER` is `fix=FOLDER`."""
    words = list(arguments)
    own: list[str] = []
    overrides: list[str] = []
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            if not equals and (not words or key not in OWN):
                raise ConfigError(f"{word} needs a value, or does not exist", f"options: {', '.join(OWN)}")
            own.append(f"{key}={value if equals else words.pop(0)}")
        else:
            (own if word.split("=")[0] in OWN else overrides).append(word)
    return own, overrides


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"workers={text} is no number of processes", "give a whole number from 1")
    return int(text)
