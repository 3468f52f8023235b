"""A level set on a network: each class's contour starts from the network's mask and moves on its probability map.

After Rehman et al. (2019, https://doi.org/10.1109/ACCESS.2019.2936492, and 2020,
https://doi.org/10.1007/s10278-019-00216-0), with contours by morphology in place of their differential equation.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from spinelab.refine.contours import Method, contour
from spinelab.refine.refiner import Example, Labels, Likely, Picture, Refiner, State

On = Literal["probability", "image"]
KNOWN = ("method", "picture", "steps", "smoothing")


class LevelSet(Refiner):
    """Replaces each class's mask by a contour that started from it.

    It is tuned on the validation persons: to the training persons a network fits too well for its errors on others to
    be seen there. Better is the larger mean of the classes' Dice, each from counts summed over slices.

    Args:
        search: Parameter of `contour` -> the values that tuning tries, in all combinations.
        slices: See `Refiner`.
        channel: See `Refiner`; only ``picture: image`` looks at the image.

    Raises:
        ValueError: A parameter is not known, or has no values or impossible ones.
    """

    fitted_on = "val"

    def __init__(self, search: Mapping[str, Sequence[Any]], slices: int = 48, channel: int | None = None) -> None:
        super().__init__(slices, channel)
        if set(search) != set(KNOWN) or not all(len(values) for values in search.values()):
            raise ValueError(f"search gives values to each of {', '.join(KNOWN)}, not {dict(search)}")
        products = itertools.product(*search.values())
        self.tried = [_checked(dict(zip(search, values, strict=True))) for values in products]

    def learn(self, examples: Sequence[Example], rng: np.random.Generator) -> State:
        """The best parameters; `dice` is theirs, `raw` that of the network alone, `tried` has all combinations."""
        tried: list[State] = []
        for parameters in self.tried:
            found = [contours(example.image, example.likely, **parameters) for example in examples]
            tried.append({"parameters": parameters, "dice": mean_dice(examples, found)})
        raw = mean_dice(examples, [_likeliest(example.likely) for example in examples])
        best = max(tried, key=lambda trial: trial["dice"])  # the first of equals
        return {**best, "raw": raw, "tried": tried}

    def take(self, state: State) -> None:
        """Take over the best parameters."""
        self.parameters = _checked(state["parameters"])

    def labels(self, image: Picture, likely: Likely) -> Labels:
        """Class indices (H, W) by one contour a class."""
        return contours(image, likely, **self.parameters)


def contours(image: Picture, likely: Likely, **parameters: Any) -> Labels:
    """Class indices (H, W) from one contour a foreground class; where two overlap, the likelier one.

    Args:
        image: (H, W).
        likely: (K, H, W) probabilities.
        parameters: Those of `contour`; with ``picture: probability`` it moves on the probability map of its class,
            with ``image`` on the image.
    """
    picture, own = parameters["picture"], {key: value for key, value in parameters.items() if key != "picture"}
    decided = _likeliest(likely)
    inside = np.stack(
        [
            contour(image if picture == "image" else likely[k], decided == k, **own)
            for k in range(1, len(likely))
        ]
    )  # fmt: skip
    nearest = np.where(inside, likely[1:] + 1e-12, 0).argmax(axis=0) + 1
    return np.where(inside.any(axis=0), nearest, 0).astype(np.uint8)


def mean_dice(examples: Sequence[Example], found: Sequence[Labels]) -> float:
    """Mean over the classes of Dice from counts summed over slices; classes that occur nowhere are left out."""
    dices = []
    for k in range(1, len(examples[0].likely)):
        pairs = [(example.mask == k, labels == k) for example, labels in zip(examples, found, strict=True)]
        if sizes := sum(int(truth.sum() + mine.sum()) for truth, mine in pairs):
            dices.append(2 * sum(int((truth & mine).sum()) for truth, mine in pairs) / sizes)
    return float(np.mean(dices)) if dices else 0.0


def _likeliest(likely: Likely) -> Labels:
    return likely.argmax(axis=0).astype(np.uint8)


def _checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if set(parameters) != set(KNOWN):
        raise ValueError(f"the parameters are {', '.join(KNOWN)}, not {', '.join(parameters)}")
    if parameters["method"] not in get_args(Method) or parameters["picture"] not in get_args(On):
        raise ValueError(f"method is one of {get_args(Method)}, picture one of {get_args(On)}, not {dict(parameters)}")
    if not all(isinstance(parameters[name], int) and parameters[name] >= 0 for name in ("steps", "smoothing")):
        raise ValueError(f"steps and smoothing are whole numbers and not negative, not {dict(parameters)}")
    return dict(parameters)
