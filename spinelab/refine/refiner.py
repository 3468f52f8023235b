"""The interface of all refiners: fit on a few slices, change what a network decided, keep the result as JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""(H, W) normalised grey values."""
Likely = NDArray[np.float32]
"""(K, H, W) class probabilities that sum to 1 at every pixel, background first."""
Labels = NDArray[np.uint8]
"""(H, W) class indices, 0 is background."""
Inside = NDArray[np.bool_]
"""(H, W), true inside of something."""
State = dict[str, Any]
"""What was fitted, as JSON knows it: dictionaries, lists, numbers and strings."""
SURPLUS = 1e-6
"""Probability that is added to the decided class, so that it comes first among equals, too."""


class Example(NamedTuple):
    """A slice to fit on.

    Attributes:
        image: (H, W) the slice as the refiner will see it.
        likely: (K, H, W) what the network makes of it.
        mask: (H, W) the truth.
        person: Whose slice it is.
    """

    image: Picture
    likely: Likely
    mask: Labels
    person: str


class Refiner(ABC):
    """What changes the decision of a network.

    Args:
        slices: Slices that it is fitted on at most, equally many a person.
        channel: Of slices with several contrasts the one that it is given, from 0; None: there is only one.

    Attributes:
        fitted_on: The persons whose slices `fit` is to be given.

    Raises:
        ValueError: `slices` is not positive.
    """

    fitted_on: ClassVar[Literal["train", "val"]]

    def __init__(self, slices: int, channel: int | None) -> None:
        if slices < 1:
            raise ValueError(f"slices is positive, not {slices}")
        self.slices, self.channel = slices, channel
        self._state: State | None = None

    @abstractmethod
    def learn(self, examples: Sequence[Example], rng: np.random.Generator) -> State:
        """What is to be kept of some slices."""

    @abstractmethod
    def take(self, state: State) -> None:
        """Take over what `learn` gave.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is of another kind.
            ValueError: A part has a value that it cannot have.
        """

    @abstractmethod
    def labels(self, image: Picture, likely: Likely) -> Labels:
        """Class indices (H, W) of a slice, in place of the likeliest class."""

    def fit(self, examples: Sequence[Example], classes: int, seed: int = 0) -> Self:
        """Learn from slices of the persons of `fitted_on`.

        Args:
            examples: At least one; sizes may differ.
            classes: K, background included.
            seed: Of every random choice.

        Raises:
            ValueError: There is no slice, or one does not fit the others.
        """
        if not examples:
            raise ValueError("there is no slice to fit on")
        for number, example in enumerate(examples):
            _check(example, classes, f"slice {number}")
        return self.restore({"classes": classes} | self.learn(examples, np.random.default_rng(seed)))

    def refine(self, image: Picture, likely: Likely) -> NDArray[np.float64]:
        """Class probabilities (K, H, W) whose largest is what the refiner decided.

        Args:
            image: (H, W).
            likely: (K, H, W) of the network.

        Raises:
            ValueError: The refiner was not fitted, or for another number of classes.
        """
        if len(likely) != self.state["classes"]:
            raise ValueError(f"{len(likely)} classes; the refiner was fitted for {self.state['classes']}")
        return decide(likely, self.labels(image, likely))

    @property
    def state(self) -> State:
        """What was fitted.

        Raises:
            ValueError: The refiner was not fitted.
        """
        if self._state is None:
            raise ValueError("the refiner was not fitted: call fit, or restore")
        return self._state

    def restore(self, state: State) -> Self:
        """Take over what another object of the same configuration fitted.

        Raises:
            ValueError: It is not what this kind of refiner fits.
        """
        try:
            plain = json.loads(json.dumps(state, allow_nan=False))  # `fit` too: what is kept is what is used
            if not plain["classes"] >= 2:
                raise ValueError(f"{plain['classes']} classes")
            self.take(plain)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not what {type(self).__name__} fits ({type(error).__name__}: {error})") from error
        self._state = plain
        return self


def decide(likely: Likely, labels: Labels) -> NDArray[np.float64]:
    """Probabilities (K, H, W) whose largest is the given class.

    Where that is another one than the network's, the two exchange their probabilities; elsewhere the network's stay, so
    that they remain as well calibrated as they were.
    """
    decided = likely.astype(np.float64)
    first, chosen = likely.argmax(axis=0)[None], labels[None].astype(np.intp)
    np.put_along_axis(decided, first, np.take_along_axis(likely, chosen, 0), 0)
    np.put_along_axis(decided, chosen, np.take_along_axis(likely, first, 0), 0)
    np.put_along_axis(decided, chosen, np.take_along_axis(decided, chosen, 0) + SURPLUS, 0)
    return np.asarray(decided / decided.sum(axis=0))


def _check(example: Example, classes: int, name: str) -> None:
    size = example.image.shape
    if len(size) != 2 or example.mask.shape != size or example.likely.shape != (classes, *size):
        shapes = f"an image {size}, probabilities {example.likely.shape} and a mask {example.mask.shape}"
        raise ValueError(f"{name}: {shapes} do not go together with {classes} classes")
    if example.mask.max() >= classes:
        raise ValueError(f"{name}: class {example.mask.max()} of {classes}")
