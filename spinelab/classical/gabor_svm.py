"""Support vectors with several kernels over Gabor features, grey values and place (after Krishnakumar and Manivannan).

The source that the review cites is retracted; this is the technique that it names, from the sources of its parts:
Gabor filters (Daugman 1985), kernel weights by alignment (Cortes 2012), one machine a class against the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage.filters import gabor_kernel
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]

from spinelab.classical.pixels import as_found, draw, enlarge, grey_features, place_features
from spinelab.classical.technique import Technique
from spinelab.classical.types import Grey, Labels, Scores, State, Vectors

FREQUENCIES, ANGLES = (0.06, 0.12, 0.24), 4
GROUPS = (slice(0, 12), slice(12, 17), slice(17, 19))
"""Columns of the Gabor features, of the grey values and of the place: one kernel each."""
STEP = 3
"""Every third row and column is asked, the pixels between are interpolated."""


class GaborSvm(Technique):
    """Machines that part one class from the rest, their outcomes calibrated to scores (Platt 1999).

    `search` takes `cost` (the machines' C) and `width` (of the Gaussian kernels, in standard deviations).
    """

    def __init__(self, search: dict[str, Sequence[Any]], samples: int = 800, **limits: Any) -> None:
        """Take `samples` training pixels, equally many of each class; `limits` are those of `Technique`."""
        super().__init__(search, ("cost", "width"), **limits)
        if samples < 4:
            raise ValueError(f"samples is at least 4, not {samples}")
        self.samples = samples

    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """Weights of the kernels, machines from one half of the drawn pixels, calibration from the other."""
        rng = np.random.default_rng(seed)
        vectors = [features(grey) for grey in greys]
        x, y, shares = draw(vectors, masks, classes, 2 * self.samples, rng)
        mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        order = rng.permutation(len(x))
        x, y = ((x - mean) / spread)[order], y[order]
        half = len(x) // 2 if len(x) > 8 * classes else len(x)
        examples, width = x[:half], parameters.get("width", 1.0)
        weights = alignment(kernels(examples, examples, width), y[:half])
        machines = _machines(
            combined(examples, examples, width, weights), y[:half], classes, parameters.get("cost", 1.0)
        )
        rest = slice(half, None) if half < len(x) else slice(None)
        outcome = combined(x[rest], examples, width, weights) @ machines[:-1] + machines[-1]
        lists = {"mean": mean, "spread": spread, "shares": shares, "examples": examples, "weights": weights}
        lists |= {"machines": machines, "calibration": _calibration(outcome, y[rest], classes)}
        return {name: array.tolist() for name, array in lists.items()}

    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """Calibrated outcomes, weighted by how frequent the classes are."""
        vectors = features(grey)[::STEP, ::STEP]
        x = (vectors.reshape(-1, vectors.shape[-1]) - np.asarray(model["mean"])) / np.asarray(model["spread"])
        machines, weights = np.asarray(model["machines"]), np.asarray(model["weights"])
        similar = combined(x, np.asarray(model["examples"]), parameters.get("width", 1.0), weights)
        calibration = np.asarray(model["calibration"])
        logits = (similar @ machines[:-1] + machines[-1]) @ calibration[:-1] + calibration[-1]
        balanced = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = as_found(balanced / balanced.sum(axis=1, keepdims=True), np.asarray(model["shares"]))
        return enlarge(scores.reshape(*vectors.shape[:2], classes), grey.shape)


def features(grey: Grey) -> Vectors:
    """(H, W, 19): lengths of 12 Gabor responses (3 frequencies, 4 angles), 5 grey features, row and column."""
    lengths = []
    for frequency in FREQUENCIES:
        for angle in np.arange(ANGLES) * np.pi / ANGLES:
            kernel = gabor_kernel(frequency, theta=angle)
            kernel = kernel - kernel.real.mean()  # no response to constant grey
            margin = [(size // 2, size // 2) for size in kernel.shape]
            lengths.append(np.abs(fftconvolve(np.pad(grey, margin, mode="symmetric"), kernel, mode="valid")))
    return np.concatenate([np.stack(lengths, axis=-1), grey_features(grey), place_features(grey)], axis=-1)


def kernels(a: Vectors, b: Vectors, width: float) -> NDArray[np.float64]:
    """(3, n, m) Gaussian kernels between samples (n, 19) and (m, 19), one a group of features."""
    parts = []
    for group in GROUPS:
        one, two = a[:, group], b[:, group]
        squared = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None] - 2 * one @ two.T
        parts.append(np.exp(-np.maximum(squared, 0) / (2 * width**2 * one.shape[1])))
    return np.stack(parts)


def combined(a: Vectors, b: Vectors, width: float, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) weighted sum of the kernels."""
    return np.asarray(np.tensordot(weights, kernels(a, b, width), axes=1))


def alignment(parts: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of kernels (G, n, n) that sum to 1: each one's centred alignment with the classes (n,).

    The alignment is the correlation of the centred kernel with the centred kernel that is 1 within a class.
    """

    def centred(kernel: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean())

    target = centred((y[:, None] == y[None]).astype(np.float64))
    norm = max(float(np.linalg.norm(target)), 1e-12)
    values = []
    for kernel in map(centred, parts):
        values.append(max(0.0, float((kernel * target).sum() / (max(float(np.linalg.norm(kernel)), 1e-12) * norm))))
    return np.asarray(values) / sum(values) if sum(values) > 0 else np.full(len(parts), 1 / len(parts))


def _machines(kernel: NDArray[np.float64], y: NDArray[np.int64], classes: int, cost: float) -> NDArray[np.float64]:
    """(n + 1, K) dual coefficients and, last, the intercepts; a class that is all or nothing has only an intercept."""
    machines = np.zeros((len(y) + 1, classes))
    for k in range(classes):
        positive = y == k
        if positive.all() or not positive.any():
            machines[-1, k] = 1.0 if positive.all() else -1.0
            continue
        machine = SVC(C=cost, kernel="precomputed", class_weight="balanced").fit(kernel, positive)
        machines[machine.support_, k] = machine.dual_coef_[0]
        machines[-1, k] = machine.intercept_[0]
    return machines


def _calibration(outcome: NDArray[np.float64], y: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(K + 1, K) coefficients and, last, intercepts of a logistic regression; an absent class has -20."""
    table = np.zeros((classes + 1, classes))
    table[-1] = -20.0
    there = np.unique(y)
    if len(there) < 2:
        table[-1, there] = 0.0
        return table
    fitted = LogisticRegression(max_iter=500).fit(outcome, y)
    if len(there) == 2:
        table[:-1, there[1]], table[-1, there] = fitted.coef_[0], (0.0, fitted.intercept_[0])
    else:
        table[:-1, there], table[-1, there] = fitted.coef_.T, fitted.intercept_
    return table
