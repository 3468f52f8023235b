"""What runs must share to be held beside each other: label map, split, budget, and how the checkpoint was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spinelab.errors import RunError
from spinelab.reporting.results import Run

UNKNOWN = "not recorded"


def budget(run: Run) -> str:
    """How long a run could train, e.g. ``50 epochs, early stopping after 30``."""
    if not run.config:
        return UNKNOWN
    limits = {unit: run.setting(f"trainer.max_{unit}") for unit in ("epochs", "steps", "time")}
    parts = [f"{limit} {unit}" for unit, limit in limits.items() if limit not in (None, -1)]
    batches = run.setting("trainer.limit_train_batches")
    parts += [f"{batches} batches an epoch"] if batches not in (None, 1.0) else []
    patience = run.setting("callbacks.early_stopping.patience")
    # Patience that is longer than the training never stops it.
    stops = patience is not None and validates(run) and patience < (limits["epochs"] or float("inf"))
    parts += [f"early stopping after {patience}"] if stops else []
    return ", ".join(parts) or UNKNOWN


def selection(run: Run) -> str:
    """Which checkpoint was scored: ``highest val/dice``, or ``last epoch`` without monitor or validation persons."""
    if not run.config:
        return UNKNOWN
    monitor = run.setting("callbacks.checkpoint.monitor")
    if monitor is None or not validates(run):
        return "last epoch"
    return f"{'highest' if run.setting('callbacks.checkpoint.mode') == 'max' else 'lowest'} {monitor}"


def validates(run: Run) -> bool:
    """Whether there were validation persons; those of an ensemble's members are in the members' splits."""
    return run.split.get("val") != [] or bool(run.setting("members"))


def label_map(run: Run) -> dict[str, tuple[str, ...]] | None:
    """Scored region -> the classes that it unites, after the classes themselves (``""``); None if not recorded."""
    labels = run.setting("data.labels")
    if not isinstance(labels, Mapping) or not labels.get("classes"):
        return None
    classes = tuple(sorted(labels["classes"]))
    regions = labels.get("regions") or {name: (name,) for name in classes}
    return {"": classes} | {region: tuple(sorted(names)) for region, names in sorted(regions.items())}


def check_label_maps(runs: Iterable[Run]) -> None:
    """Refuses runs whose classes or scored regions mean different things.

    Raises:
        RunError: Two runs differ; both are named with what they score.
    """
    known = [(run, found) for run in runs if (found := label_map(run)) is not None]
    for run, found in known[1:]:
        if found != known[0][1]:
            raise RunError(
                f"scores {_describe(found)}, but {known[0][0].folder} scores {_describe(known[0][1])}",
                "compare runs of one label map at a time, or evaluate them with the same data.labels",
                run.folder,
            )


def _describe(labels: Mapping[str, tuple[str, ...]]) -> str:
    regions = [name if names == (name,) else f"{name} = {' + '.join(names)}" for name, names in labels.items() if name]
    return f"{', '.join(regions)} (classes {', '.join(labels[''])})"


def split_families(runs: Iterable[Run]) -> dict[tuple[str, str, str], int]:
    """(Data set, protocol, split hash) -> which partition of the persons the split is a fold of, numbered from 0.

    Splits belong together if they are different folds, share out the same persons and test no person twice (or, on
    another data set than the one that was trained on, all the same persons). Runs of different partitions are never
    pooled: their means would weigh some persons more than others.
    """
    families: dict[tuple[str, str], list[list[Run]]] = {}
    found: dict[tuple[str, str, str], int] = {}
    for run in sorted(runs, key=lambda run: (int(run.split.get("seed") or 0), int(run["fold"]), split_key(run))):
        if split_key(run) not in found:
            known = families.setdefault(split_key(run)[:2], [])
            index = next((i for i, family in enumerate(known) if _fits(run, family)), len(known))
            known += [[]] if index == len(known) else []
            known[index].append(run)
            found[split_key(run)] = index
    return found


def split_key(run: Run) -> tuple[str, str, str]:
    """Data set, protocol and split hash of a run."""
    return str(run["dataset"]), str(run["protocol"]), str(run["split_hash"])


def _fits(run: Run, family: list[Run]) -> bool:
    return all(
        run["fold"] != other["fold"]
        and (bool(run.config.get("train_persons")) or _everybody(run) == _everybody(other))  # some are left out
        and (run.persons == other.persons or not run.persons & other.persons)
        for other in family
    )


def _everybody(run: Run) -> frozenset[str]:
    return frozenset(str(person) for side in ("train", "val", "test") for person in run.split.get(side, ()))
