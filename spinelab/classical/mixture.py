"""A mixture of Gaussians with a prior that differs from pixel to pixel, and a smooth field over all of them.

The model of unified segmentation (Ashburner and Friston 2005, https://doi.org/10.1016/j.neuroimage.2005.02.018), but
for the warping of its atlas. Pixels are logarithms of grey values, where a multiplicative bias field is a sum and has
a closed form (Van Leemput et al. 1999, https://doi.org/10.1109/42.811270): every step then raises, or keeps, the
penalised likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What is known before the pixels are seen.

    Attributes:
        atlas: (K, N) chance of each class at each pixel, positive; columns sum to 1.
        owner: (G,) the class that each Gaussian belongs to, from 0; every class has at least one.
        mean: (G,) expected means.
        variance: (G,) expected variances, positive.
        weight: (G,) how many pixels' worth these expectations are, positive; within a class in proportion to the
            expected shares of its Gaussians.
        basis: (N, J) smooth functions that the field is a sum of.
        stiffness: (J,) price of their squares, not negative.
    """

    atlas: Floats
    owner: NDArray[np.int64]
    mean: Floats
    variance: Floats
    weight: Floats
    basis: Floats
    stiffness: Floats

    def by_class(self, values: Floats) -> Floats:
        """Sums over the Gaussians of each class: (G, ...) -> (K, ...)."""
        total = np.zeros((len(self.atlas), *values.shape[1:]))
        np.add.at(total, self.owner, values)
        return total


@dataclass(frozen=True)
class Mixture:
    """What is fitted.

    Attributes:
        abundance: (K,) how much more of each class there is than the atlas says.
        share: (G,) of each Gaussian in its class.
        mean: (G,).
        variance: (G,).
        field: (J,) coefficients of the basis.
    """

    abundance: Floats
    share: Floats
    mean: Floats
    variance: Floats
    field: Floats


def begin(known: Known) -> Mixture:
    """The expectations themselves, without a field."""
    share = known.weight / known.by_class(known.weight)[known.owner]
    return Mixture(np.ones(len(known.atlas)), share, known.mean, known.variance, np.zeros(known.basis.shape[1]))


def improve(pixels: Floats, known: Known, mixture: Mixture) -> Mixture:
    """One step of expectation and conditional maximisation: Gaussians, abundances, then the field.

    Args:
        pixels: (N,) logarithms of grey values.
        known: About these pixels.
        mixture: To begin with.
    """
    joint = log_joint(pixels, known, mixture)
    chance = np.exp(joint - logsumexp(joint, axis=0))
    flat = pixels - known.basis @ mixture.field
    weight = chance.sum(axis=1) + known.weight  # the expectations are as good as so many more pixels
    mean = (chance @ flat + known.weight * known.mean) / weight
    expected = known.weight * (known.variance + (mean - known.mean) ** 2)
    variance = ((chance * (flat - mean[:, None]) ** 2).sum(axis=1) + expected) / weight
    return Mixture(
        abundance=_abundance(chance, known, mixture.abundance),
        share=weight / known.by_class(weight)[known.owner],
        mean=mean,
        variance=variance,
        field=_field(pixels, chance, known, mean, variance),
    )


def responsibilities(pixels: Floats, known: Known, mixture: Mixture) -> Floats:
    """(K, N) chance of each class, which sums to 1 at every pixel."""
    joint = log_joint(pixels, known, mixture)
    return known.by_class(np.exp(joint - logsumexp(joint, axis=0)))


def objective(pixels: Floats, known: Known, mixture: Mixture) -> float:
    """Logarithm of the likelihood and of the expectations' density, but for constants; `improve` never lowers it."""
    surprise = (known.variance + (mixture.mean - known.mean) ** 2) / mixture.variance
    gaussians = known.weight * (np.log(mixture.share) - 0.5 * np.log(mixture.variance) - 0.5 * surprise)
    classes = known.by_class(known.weight) * (np.log(mixture.abundance) - mixture.abundance)
    roughness = 0.5 * known.stiffness @ mixture.field**2
    likelihood = logsumexp(log_joint(pixels, known, mixture), axis=0).sum()
    return float(likelihood + gaussians.sum() + classes.sum() - roughness)


def log_joint(pixels: Floats, known: Known, mixture: Mixture) -> Floats:
    """(G, N) logarithm of the density of each pixel together with each Gaussian."""
    classes = mixture.abundance[:, None] * known.atlas
    place = np.log(classes / classes.sum(axis=0))[known.owner]
    away = pixels - known.basis @ mixture.field - mixture.mean[:, None]
    density = -0.5 * (away**2 / mixture.variance[:, None] + np.log(2 * np.pi * mixture.variance)[:, None])
    return np.asarray(place + density + np.log(mixture.share)[:, None])


def _abundance(chance: Floats, known: Known, before: Floats) -> Floats:
    """Ashburner and Friston's rule, held to 1; it maximises a lower bound, since -log is convex."""
    expected = (known.atlas / (before @ known.atlas)).sum(axis=1)
    weight = known.by_class(known.weight)
    return np.asarray((known.by_class(chance.sum(axis=1)) + weight) / (expected + weight))


def _field(pixels: Floats, chance: Floats, known: Known, mean: Floats, variance: Floats) -> Floats:
    """Weighted least squares."""
    precision = (chance / variance[:, None]).sum(axis=0)
    residual = precision * pixels - (mean / variance) @ chance
    normal = known.basis.T @ (precision[:, None] * known.basis) + np.diag(known.stiffness)
    return np.linalg.solve(normal, known.basis.T @ residual)
