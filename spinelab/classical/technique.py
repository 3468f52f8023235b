"""The interface of all techniques: fit on training persons, tune there, score a slice, keep the result as JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.grey import prepare
from spinelab.classical.tuning import best_weight, candidates, divide, evenly, weigh, within
from spinelab.classical.types import Grey, Labels, Scores, State

PREPARATION = ("smooth", "equalise")


class Technique(ABC):
    """A technique without a network.

    Lengths among the parameters are pixels: give slices of one spacing. A place is a fraction of the slice: give
    slices of about one field of view.

    Args:
        search: Parameter -> the values that tuning tries. `smooth` and `equalise` belong to the preparation of a slice
            (see `grey.prepare`), the others to the technique.
        known: The technique's own parameters.
        trials: Combinations of values that are tried at most; where there are more, so many are drawn.
        slices: Training slices that are used at most, equally many a person.
        limit_s: No further combination is tried after so many seconds. Only a search that this cuts short depends on
            the machine, and a warning says so.
        channel: Of slices with several contrasts the one that it is given, from 0; None: there is only one.

    Raises:
        ValueError: A parameter is not known, or a limit is not positive.
    """

    def __init__(
        self,
        search: Mapping[str, Sequence[Any]],
        known: Iterable[str],
        trials: int = 16,
        slices: int = 48,
        limit_s: float = 900.0,
        channel: int | None = None,
    ) -> None:
        known = (*known, *PREPARATION)
        if unknown := sorted(set(search) - set(known)):
            raise ValueError(f"search names {unknown}; the parameters are {', '.join(known)}")
        if trials < 1 or slices < 1 or limit_s <= 0:
            raise ValueError(f"trials ({trials}), slices ({slices}) and limit_s ({limit_s}) are positive")
        self.search, self.trials, self.slices, self.limit_s = dict(search), trials, slices, limit_s
        self.channel = channel
        self._state: State | None = None

    @abstractmethod
    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """Learn from prepared slices with given parameters."""

    @abstractmethod
    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """(K, H, W) scores of a prepared slice, which sum to 1, from what was learnt."""

    def fit(
        self,
        images: Sequence[NDArray[Any]],
        masks: Sequence[NDArray[Any]],
        persons: Sequence[str],
        classes: int,
        seed: int = 0,
    ) -> Self:
        """Tune the parameters on a third of the persons, having learnt from the others; then learn from all.

        Better is the larger mean of the classes' Dice, each from counts summed over slices. The time that it will take
        is logged after the first combination.

        Args:
            images: (H, W) slices on any grey scale, sizes may differ.
            masks: (H, W) class indices, one a slice.
            persons: Whose slice it is, one a slice.
            classes: K, background included.
            seed: Of every random choice.

        Raises:
            ValueError: The lists do not go together, or a mask has other classes.
        """
        _check(images, masks, persons, classes)
        rng = np.random.default_rng(seed)
        tried = candidates(self.search, self.trials, rng)
        chosen = evenly(persons, self.slices, rng)
        pictures = [images[i] for i in chosen]
        truths: list[Labels] = [np.asarray(masks[i], np.uint8) for i in chosen]
        learnt, held = divide([persons[i] for i in chosen], rng)
        state: State = {"classes": classes, "seed": seed, "tried": []}
        for parameters in within(self.limit_s, tried):
            state |= {"parameters": parameters, "foreground": 1.0}
            state["model"] = self._learn([pictures[i] for i in learnt], [truths[i] for i in learnt], state)
            found = (self._raw(pictures[i], state) for i in held)
            weight, dice = best_weight(found, [truths[i] for i in held], classes)
            state["tried"].append({"parameters": parameters, "foreground": weight, "dice": dice})
        state |= max(state["tried"], key=lambda trial: trial["dice"])  # the first of equals
        state["model"] = self._learn(pictures, truths, state)
        return self.restore(state)

    def scores(self, image: NDArray[Any]) -> Scores:
        """(K, H, W) scores of a slice (H, W), which sum to 1.

        Raises:
            ValueError: The technique was not fitted, or the slice is not (H, W) and finite.
        """
        return weigh(self._raw(image, self.state), self.state["foreground"])

    def predict(self, image: NDArray[Any]) -> Labels:
        """Class indices of a slice (H, W), or of a volume (S, H, W) slice by slice."""
        if image.ndim == 3:
            return np.stack([self.predict(part) for part in image])
        return self.scores(image).argmax(axis=0).astype(np.uint8)

    @property
    def state(self) -> State:
        """What was fitted, as JSON knows it.

        `parameters` are the chosen ones, `dice` is theirs on the persons held back from learning, `foreground` the
        weight of `tuning.weigh`, `model` what was learnt with them, `tried` has all combinations.

        Raises:
            ValueError: The technique was not fitted.
        """
        if self._state is None:
            raise ValueError("the technique was not fitted: call fit, or restore")
        return self._state

    def restore(self, state: State) -> Self:
        """Take over what another object of the same configuration fitted."""
        self._state = json.loads(json.dumps(state, allow_nan=False))  # `fit` too: what is kept is what is used
        return self

    def _learn(self, images: Sequence[NDArray[Any]], masks: Sequence[Labels], state: State) -> State:
        how, own = _parts(state["parameters"])
        return self.learn([prepare(image, **how) for image in images], masks, state["classes"], state["seed"], **own)

    def _raw(self, image: NDArray[Any], state: State) -> Scores:
        how, own = _parts(state["parameters"])
        return self.score(prepare(image, **how), state["model"], state["classes"], state["seed"], **own)


def _parts(parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of the preparation, and those of the technique itself."""
    how = {name: value for name, value in parameters.items() if name in PREPARATION}
    return how, {name: value for name, value in parameters.items() if name not in PREPARATION}


def _check(images: Sequence[Any], masks: Sequence[Any], persons: Sequence[str], classes: int) -> None:
    if not len(images) == len(masks) == len(persons) or not len(images):
        raise ValueError(f"{len(images)} images, {len(masks)} masks and {len(persons)} persons do not go together")
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        if image.shape != mask.shape or mask.min() < 0 or mask.max() >= classes:
            raise ValueError(f"slice {number}: {image.shape} with a mask {mask.shape} of classes up to {mask.max()}")
