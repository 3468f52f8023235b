"""Which runs make an ensemble, and how that is written down."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from spinelab.data.splits import ALL_FOLDS, Split
from spinelab.errors import RunError
from spinelab.run import Run, run_hash


@dataclass(frozen=True)
class Plan:
    """An ensemble to make.

    Attributes:
        members: Its runs, by fold and seed.
        split: What is recorded as its split; the test side are persons whom no member has seen.
        id: Hash of what determines the members.
    """

    members: tuple[Run, ...]
    split: Split
    id: str

    def run(self, out: Path | None) -> Run:
        """The ensemble's run folder, in a folder or beside the first member."""
        first = self.members[0]
        parent = first.folder.absolute().parent if out is None else out
        return Run(parent / f"{first.config().name}-ensemble-{self.id}", self.id)

    def config(self, folder: Path) -> DictConfig:
        """What the members' configurations share, with the first one's data, scoring and seed, and the members.

        Args:
            folder: The ensemble's; members are named relative to it, so that both can be moved together.
        """
        first, *others = (_plain(member) for member in self.members)
        shared = first
        for other in others:
            shared = _shared(shared, other)
        own: dict[str, Any] = {key: first[key] for key in ("data", "scoring", "seed") if key in first}
        own["name"] = f"{first['name']} ensemble of {len(self.members)}"
        paths = (os.path.relpath(member.folder.resolve(), folder.resolve()) for member in self.members)
        own["members"] = [Path(path).as_posix() for path in paths]
        return OmegaConf.create(shared | own)

    def costs(self) -> dict[str, Any]:
        """Parameters and seconds of training of all members together; None where a member has not recorded them."""
        told = [json.loads((member.folder / "environment.json").read_text()) for member in self.members]
        known = {key: [facts.get(key) for facts in told] for key in ("parameters", "seconds", "gpu")}
        total = {key: None if None in known[key] else sum(known[key]) for key in ("parameters", "seconds")}
        return total | {"gpu": known["gpu"][0] if len(set(known["gpu"])) == 1 else None}


def plans(runs: Sequence[Run]) -> list[Plan]:
    """Group runs by name, protocol and test persons.

    A run has neither trained on its own test persons nor validated with them. So by grouping, only those members take
    part who have not seen a person, whatever the protocol.

    Raises:
        RunError: A run is the only one of its group.
    """
    grouped: dict[tuple[Any, ...], dict[str, Run]] = {}
    for run in runs:
        split = Split.load(run.split)
        members = grouped.setdefault((str(run.config().name), split.protocol, split.test), {})
        members.setdefault(run_hash(_plain(run)), run)  # a copy of a run has no second vote
    _refuse_single([run for members in grouped.values() for run in members.values() if len(members) == 1])
    made = [_plan(members) for members in grouped.values()]
    return sorted(made, key=lambda plan: (str(plan.members[0].folder.name), plan.id))


def _refuse_single(runs: Sequence[Run]) -> None:
    if not runs:
        return
    names = ", ".join(run.folder.name for run in runs[:3]) + (" and others" if len(runs) > 3 else "")
    raise RunError(
        f"a single network is no ensemble: no other run shares name, protocol and test persons with {names}; the runs "
        "of other folds were trained on those persons or validated with them, so they cannot be scored on them",
        "add further seeds of the same split, leave the run out, or train with protocol=kfold_test, whose folds share "
        "their test persons",
        runs[0].folder,
    )


def _plan(members: dict[str, Run]) -> Plan:
    splits = {identity: Split.load(run.split) for identity, run in members.items()}
    order = sorted(members, key=lambda identity: (splits[identity].fold, members[identity].config().seed, identity))
    identity = hashlib.sha256(",".join(sorted(members)).encode()).hexdigest()[:8]
    return Plan(tuple(members[key] for key in order), _joined([splits[key] for key in order]), identity)


def _joined(splits: Sequence[Split]) -> Split:
    """The split, if it is the same; else its test side, and all whom a member was trained on or validated with."""
    first = splits[0]
    if len({split.hash for split in splits}) == 1:
        return first
    seen = {person for split in splits for person in split.train + split.val}
    return Split(first.protocol, first.seed, ALL_FOLDS, tuple(seen), (), first.test)


def _plain(run: Run) -> dict[str, Any]:
    return OmegaConf.to_container(run.config(), resolve=True)  # type: ignore[return-value]


def _shared(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What two nested dictionaries agree on."""
    alike: dict[str, Any] = {}
    for key in (key for key in first if key in second):
        if isinstance(first[key], dict) and isinstance(second[key], dict):
            alike[key] = _shared(first[key], second[key])
        elif first[key] == second[key]:
            alike[key] = first[key]
    return alike
