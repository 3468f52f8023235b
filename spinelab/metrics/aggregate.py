"""From volumes to persons to one number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import TypedDict

from torch import Tensor

from spinelab.metrics.counts import State, region_counts, state
from spinelab.metrics.overlap import dice, overlap_scores

# The functional form, since `class` is the column of the case table and a keyword of Python.
Score = TypedDict("Score", {"volume": int, "class": str, "metric": str, "value": float | None, "state": State})
"""One score of one region of one volume; `value` is None where the state leaves it without one."""


def volume_scores(confusions: Tensor, regions: Mapping[str, Sequence[int]]) -> list[Score]:
    """All overlap scores of all regions of all volumes, one record each, by volume, then region, then metric.

    Args:
        confusions: (V, K, K), one matrix a volume.
        regions: Scored name -> class indices that it unites.

    Raises:
        ValueError: If a region does not fit the classes.
    """
    records: list[Score] = []
    for volume, confusion in enumerate(confusions.cpu()):
        for name, region in regions.items():
            counts = region_counts(confusion, region)
            records += [
                {"volume": volume, "class": name, "metric": metric, "value": value, "state": state(counts)}
                for metric, value in overlap_scores(counts).items()
            ]
    return records


def mean_over_persons(values: Sequence[float | None], persons: Sequence[Hashable]) -> tuple[float | None, int]:
    """Average volumes within a person, then persons, so that a person with many scans counts once.

    Args:
        values: One a volume; volumes without value are left out, and so is a person who has no others.
        persons: Who each volume shows.

    Returns:
        The mean (None if no volume has a value) and the number of persons in it.

    Raises:
        ValueError: If there is not one person a value.
    """
    if len(values) != len(persons):
        raise ValueError(f"one person a value expected, got {len(values)} values and {len(persons)} persons")
    by_person: dict[Hashable, list[float]] = defaultdict(list)
    for value, person in zip(values, persons, strict=True):
        if value is not None:
            by_person[person].append(value)
    means = [fmean(scores) for scores in by_person.values()]
    return (fmean(means) if means else None), len(means)


def foreground_dice(confusions: Tensor, regions: Mapping[str, Sequence[int]], persons: Sequence[Hashable]) -> float:
    """Mean over regions of the mean over persons of volume Dice: the number that training watches.

    Args:
        confusions: (V, K, K), one matrix a volume.
        regions: Scored name -> class indices that it unites.
        persons: Who each of the V volumes shows.

    Returns:
        In 0..1. Regions without value (neither true nor predicted in any volume) are left out. If none has a value it
        is 0: choosing a checkpoint needs a number, and one that saw nothing must not be chosen before one that did.

    Raises:
        ValueError: If a region does not fit the classes, or there is not one person a volume.
    """
    matrices = list(confusions.cpu())
    means = [
        mean_over_persons([dice(region_counts(matrix, region)) for matrix in matrices], persons)[0]
        for region in regions.values()
    ]
    return fmean([mean for mean in means if mean is not None] or [0.0])
