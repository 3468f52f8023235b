"""Which parameters, which slices, and what is better: the tuning on training persons that all techniques share."""

from __future__ import annotations

import inspect
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.types import Labels, Scores

Confusion = NDArray[np.int64]
FOREGROUND_WEIGHTS = (1.0, 1.5, 2.0, 3.0, 5.0)
log = logging.getLogger(__name__)


def keywords(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the keyword-only arguments of a function, which is how a technique names its parameters."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def candidates(search: Mapping[str, Sequence[Any]], trials: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """All combinations of the values, or as many drawn without repetition as there are trials.

    Raises:
        ValueError: A parameter has no values, or there are no trials.
    """
    if trials < 1 or (empty := [name for name, values in search.items() if not len(values)]):
        raise ValueError(f"trials is at least 1 ({trials}), and every parameter has values (none: {empty})")
    products = [dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())]
    if len(products) <= trials:
        return products
    return [products[i] for i in sorted(rng.choice(len(products), trials, replace=False))]


def divide(persons: Sequence[str], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Positions of the slices to learn from and to compare parameters on: a third of the persons, at least one.

    With one person there is no honest division: both lists are all slices.
    """
    names = sorted(set(persons))
    if len(names) == 1:
        return list(range(len(persons))), list(range(len(persons)))
    held = set(rng.permutation(names)[: max(1, len(names) // 3)])
    return [i for i, p in enumerate(persons) if p not in held], [i for i, p in enumerate(persons) if p in held]


def evenly(persons: Sequence[str], count: int, rng: np.random.Generator) -> list[int]:
    """Positions of at most `count` slices, drawn so that every person gives equally many, as far as he has them."""
    turns = []
    for person in sorted(set(persons)):
        mine = rng.permutation([i for i, name in enumerate(persons) if name == person])
        turns += [(turn, int(i)) for turn, i in enumerate(mine)]
    return sorted(i for _, i in sorted(turns, key=lambda turn: turn[0])[:count])


def confusion(truth: Labels, found: Labels, classes: int) -> Confusion:
    """(K, K) counts of pixels, truth by rows."""
    pairs = truth.astype(np.int64).ravel() * classes + found.ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def summed_dice(counts: Confusion) -> dict[int, float]:
    """Dice of every foreground class from counts summed over slices; a class that occurs nowhere is left out."""
    sizes = counts.sum(axis=0) + counts.sum(axis=1)
    return {k: float(2 * counts[k, k] / sizes[k]) for k in range(1, len(counts)) if sizes[k]}


def weigh(scores: Scores, foreground: float) -> Scores:
    """Scores with those of the foreground multiplied by a factor, summing to 1 again.

    A rare class is otherwise given up, because background is the safer guess for the single pixel, though not for Dice.
    """
    weighted = scores.copy()
    weighted[1:] *= foreground
    return weighted / weighted.sum(axis=0)


def best_weight(found: Iterable[Scores], truths: Sequence[Labels], classes: int) -> tuple[float, float]:
    """The weight of the foreground under which scores agree best with the truth, and the mean Dice that it gives.

    Args:
        found: (K, H, W) scores, one a slice, which may be made one by one.
        truths: (H, W) class indices.
        classes: K.
    """
    counts = np.zeros((len(FOREGROUND_WEIGHTS), classes, classes), np.int64)
    for scores, truth in zip(found, truths, strict=True):
        for total, weight in zip(counts, FOREGROUND_WEIGHTS, strict=True):
            total += confusion(truth, weigh(scores, weight).argmax(axis=0).astype(np.uint8), classes)
    dices = [float(np.mean(list(summed_dice(total).values()) or [0.0])) for total in counts]
    best = int(np.argmax(dices))
    return FOREGROUND_WEIGHTS[best], dices[best]


def within(limit_s: float, tried: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The combinations one by one until the time is over; the first is always given, and its time is told."""
    start = time.perf_counter()
    for number, parameters in enumerate(tried):
        spent = time.perf_counter() - start
        if number == 1:
            log.info("%d combinations: about %.0f s", len(tried), spent * (len(tried) + 1))
        if number and spent > limit_s:
            log.warning("%.0f s are over: %d of %d combinations were tried", spent, number, len(tried))
            return
        yield parameters
