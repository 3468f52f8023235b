"""Unified segmentation in little, as in SPM: where classes lie, how bright they are, and how the coil shades them.

Ashburner and Friston 2005, https://doi.org/10.1016/j.neuroimage.2005.02.018. Theirs also warps the atlas to the person.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.mixture import Floats, Known, Mixture, begin, improve, responsibilities
from spinelab.classical.prior import LEVELS, PriorTechnique, posterior
from spinelab.classical.technique import Technique
from spinelab.classical.tuning import keywords
from spinelab.classical.types import Grey, Labels, Scores, State

ROUNDS = 20
PIXELS = 8192
"""Of a slice, or of a class of the training persons, that a mixture is fitted to at most (or a few more)."""
DARKEST = 0.05
"""Added to grey values before the logarithm, which would else see nothing but the noise of air."""
NARROWEST = 1e-3
"""Variance that keeps a class of one grey value finite."""


class AtlasMixture(Technique):
    """Atlas of the classes' places, several Gaussians a class, and a bias field, fitted to each slice by EM.

    Parameters, beside those that prepare a slice: `gaussians` and `background` of `train`; `order`, `stiffness` and
    `trust` of `fit`.

    Args:
        search: See `Technique`.
        limits: `trials`, `slices` and `limit_s` of `Technique`.
    """

    def __init__(self, search: Mapping[str, Sequence[Any]], **limits: Any) -> None:
        super().__init__(search, (*keywords(train), *keywords(fit)), **limits)

    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """How often each class is met at each place, and its Gaussians."""
        place = PriorTechnique({}).learn(greys, masks, classes, seed)["place"]
        return {"place": place, **train(greys, masks, **_of(train, parameters))}

    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """Chances of the classes, once the mixture is fitted to the slice."""
        mixture, known = fit(grey, model, **_of(fit, parameters))
        scores = np.zeros((classes, *grey.shape))
        found = responsibilities(logarithm(grey), known, mixture)
        scores[np.unique(model["class"])] = found.reshape(-1, *grey.shape)
        return scores


def _of(function: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in keywords(function)}


def train(greys: Sequence[Grey], masks: Sequence[Labels], *, gaussians: int = 1, background: int = 4) -> State:
    """Gaussians of the classes that there are: class, share in it, mean and variance of each, of logarithms.

    Args:
        greys: (H, W) prepared slices.
        masks: (H, W) class indices.
        gaussians: Of each foreground class.
        background: Of the background, which is made of several tissues.

    Raises:
        ValueError: A class would have no Gaussian.
    """
    if min(gaussians, background) < 1:
        raise ValueError(f"a class has at least one Gaussian, not {gaussians} and, of background, {background}")
    pixels = np.concatenate([logarithm(grey) for grey in greys])
    mask = np.concatenate([mask.ravel() for mask in masks])
    state: State = {"class": [], "share": [], "mean": [], "variance": []}
    for k in np.unique(mask).tolist():
        mixture = divided(pixels[mask == k], gaussians if k else background)
        state["class"] += [k] * len(mixture.mean)
        for part in ("share", "mean", "variance"):
            state[part] += getattr(mixture, part).tolist()
    return state


def divided(pixels: Floats, count: int) -> Mixture:
    """Gaussians (count of them) of one class's pixels (N,), by EM from equal parts."""
    pixels = np.sort(pixels)[:: math.ceil(len(pixels) / PIXELS)]
    parts = np.array_split(pixels, count) if len(pixels) >= count else [pixels] * count
    known = Known(
        atlas=np.ones((1, len(pixels))),
        owner=np.zeros(count, np.int64),
        mean=np.array([part.mean() for part in parts]),
        variance=np.array([part.var() + NARROWEST for part in parts]),
        weight=np.ones(count),
        basis=np.zeros((len(pixels), 0)),
        stiffness=np.zeros(0),
    )
    mixture = begin(known)
    for _ in range(ROUNDS):
        mixture = improve(pixels, known, mixture)
    return mixture


def fit(
    grey: Grey, model: State, *, order: int = 4, stiffness: float = 0.03, trust: float = 10.0
) -> tuple[Mixture, Known]:
    """Fit the mixture to a slice; also gives what was known, at every pixel in row order.

    The bias field is ``exp(known.basis @ mixture.field)``.

    Args:
        grey: (H, W) prepared slice.
        model: What `AtlasMixture.learn` learnt.
        order: Most half waves of the bias field along each axis; 0 is one gain for the whole slice.
        stiffness: Price of the bias field's bending, a pixel.
        trust: What the training persons' grey values count beside the slice's own; 1 is as much.

    Raises:
        ValueError: `order` is negative, or another argument is not positive.
    """
    if order < 0 or stiffness <= 0 or trust <= 0:
        raise ValueError(f"order ({order}) is not negative, stiffness ({stiffness}) and trust ({trust}) are positive")
    chosen = _thinned(grey.shape)
    known = _knowledge(grey, model, order, stiffness * len(chosen), trust * len(chosen))
    part = replace(known, atlas=known.atlas[:, chosen], basis=known.basis[chosen])
    pixels, mixture = logarithm(grey)[chosen], begin(known)
    for _ in range(ROUNDS):
        mixture = improve(pixels, part, mixture)
    return mixture, known


def _knowledge(grey: Grey, model: State, order: int, stiffness: float, pixels: float) -> Known:
    """`pixels` is what the training persons' grey values count."""
    names, owner = np.unique(model["class"], return_inverse=True)
    flat = np.ones((len(model["place"]), LEVELS))  # no class is more likely for its grey value: that is the mixture's
    atlas = posterior(grey, {"grey": flat, "place": model["place"]})[names].reshape(len(names), -1)
    atlas /= atlas.sum(axis=0)
    basis, bending = cosines(grey.shape, order)
    return Known(
        atlas=atlas,
        owner=owner.astype(np.int64),
        mean=np.asarray(model["mean"]),
        variance=np.asarray(model["variance"]),
        weight=pixels * atlas.mean(axis=1)[owner] * np.asarray(model["share"]),
        basis=basis,
        stiffness=stiffness * bending,
    )


def logarithm(grey: Grey) -> Floats:
    """(N,) logarithms of a prepared slice's grey values, in row order."""
    return np.log(grey.ravel().astype(np.float64) + DARKEST)


def cosines(shape: tuple[int, ...], order: int) -> tuple[Floats, Floats]:
    """Smooth functions on a slice: products of up to `order` half waves along each axis, the constant first.

    Returns:
        (H W, J) values in row order, J = (order + 1)^2; and (J,) how much each bends, 1 for one half wave.
    """
    waves = [np.cos(np.pi * np.outer((np.arange(size) + 0.5) / size, np.arange(order + 1))) for size in shape]
    values = np.einsum("ra,cb->rcab", *waves).reshape(-1, (order + 1) ** 2)
    rows, columns = np.indices((order + 1, order + 1)).reshape(2, -1)
    return values, (rows**2.0 + columns**2.0) ** 2


def _thinned(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Positions in row order of every n-th pixel of every n-th row."""
    step = math.ceil((shape[0] * shape[1] / PIXELS) ** 0.5)
    return np.arange(shape[0] * shape[1]).reshape(shape)[::step, ::step].ravel()
