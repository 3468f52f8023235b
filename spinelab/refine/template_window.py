"""A window that template matching finds in each slice, outside of which everything is background.

After the template matching with which Diniz et al. (2019, https://doi.org/10.1016/j.cmpb.2018.12.005) find the spinal
cord before a network segments it, which their network with residual blocks (2022,
https://doi.org/10.1016/j.bspc.2021.103074) goes on from. Here every slice is matched by itself, and the template is a
mean over the training slices. The network sees whole slices: the window takes off what it found elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.feature import match_template

from spinelab.refine.refiner import Example, Inside, Labels, Likely, Picture, Refiner, State

Template = NDArray[np.float64]
"""(h, w) mean of windows, each of mean 0 and standard deviation 1."""
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""
DIGITS = 4


class TemplateWindow(Refiner):
    """Sets to background what lies outside of the window that is most like the training persons' foreground.

    The window is as high and as wide as the largest foreground of a training slice, and wider by a margin: surroundings
    help to find it. The margin is the one under which the windows of a third of the training persons, found with a
    template of the others, hold their whole foreground most often; the smallest of equals.

    Args:
        margins: Margins to try, as parts of the foreground's height and width, half of it on each side.
        slices: See `Refiner`.
        channel: See `Refiner`.

    Raises:
        ValueError: There is no margin, or one is negative.
    """

    fitted_on = "train"

    def __init__(
        self, margins: Sequence[float] = (0.5, 1.0, 1.5, 2.0), slices: int = 96, channel: int | None = None
    ) -> None:
        super().__init__(slices, channel)
        if not margins or min(margins) < 0:
            raise ValueError(f"margins has values that are not negative, not {list(margins)}")
        self.margins = sorted(margins)

    def learn(self, examples: Sequence[Example], rng: np.random.Generator) -> State:
        """The template, and of every margin the share of held-back slices whose window holds all foreground."""
        shown = [example for example in examples if example.mask.any()]
        if not shown:
            raise ValueError("no training slice shows any foreground")
        learnt, held = divide(shown, rng)
        tried = [
            {"margin": margin, "contained": contained(template_of(learnt, margin), held)} for margin in self.margins
        ]
        best = max(tried, key=lambda trial: trial["contained"])  # the first of equals
        template = template_of(shown, best["margin"])
        return {**best, "template": np.round(template, DIGITS).tolist(), "tried": tried}

    def take(self, state: State) -> None:
        """Take over the template."""
        template = np.asarray(state["template"], np.float64)
        if template.ndim != 2 or not template.size or not np.isfinite(template).all():
            raise ValueError("the template is no table of finite numbers")
        self.template = template

    def labels(self, image: Picture, likely: Likely) -> Labels:
        """The likeliest classes (H, W) within the window."""
        return np.where(window(image, self.template), likely.argmax(axis=0), 0).astype(np.uint8)


def window(image: Picture, template: Template) -> Inside:
    """Where a slice (H, W) correlates best with a template (h, w); everywhere if it is smaller, or like it nowhere.

    The window's middle may lie in any pixel, since beyond its edge the slice is continued for the search; a window that
    reaches over the edge is then moved into the slice.
    """
    height, width = template.shape
    inside = np.zeros(image.shape, bool)
    if np.less_equal(image.shape, template.shape).all():
        return ~inside
    response = match_template(continued(image, template.shape), template)
    if not response.max() > 0:
        return ~inside
    row, column = np.unravel_index(int(response.argmax()), response.shape)
    rows = _moved_in(int(row) - height // 2, height, image.shape[0])
    columns = _moved_in(int(column) - width // 2, width, image.shape[1])
    inside[rows, columns] = True
    return inside


def _moved_in(start: int, length: int, size: int) -> slice:
    """So many pixels of an axis of `size` pixels, from `start` or as near to it as they fit; at most all."""
    start = min(max(start, 0), max(size - length, 0))
    return slice(start, min(start + length, size))


def continued(image: Picture, size: tuple[int, ...]) -> NDArray[np.float64]:
    """A slice with half a window of its edge's grey values on every side."""
    return np.pad(image.astype(np.float64), [(length // 2, length // 2) for length in size], mode="edge")


def template_of(examples: Sequence[Example], margin: float) -> Template:
    """Mean of the normalised windows around the foreground of some slices; windows without contrast are left out."""
    boxes = [box_of(example.mask > 0) for example in examples]
    sides = np.array([(bottom - top, right - left) for top, bottom, left, right in boxes]).max(axis=0)
    height, width = (int(np.ceil(side * (1 + margin))) for side in sides)
    windows = []
    for example, (top, bottom, left, right) in zip(examples, boxes, strict=True):
        row, column = (top + bottom) // 2, (left + right) // 2  # of the middle, which is the corner after continuing
        part = continued(example.image, (height, width))[row : row + height, column : column + width]
        if part.std() > 0:
            windows.append((part - part.mean()) / part.std())
    return np.asarray(np.mean(windows, axis=0)) if windows else np.zeros((height, width))


def contained(template: Template, examples: Sequence[Example]) -> float:
    """Share of slices whose window holds all of their foreground."""
    return float(np.mean([not (example.mask[~window(example.image, template)]).any() for example in examples]))


def box_of(inside: Inside) -> Box:
    """The smallest box around a mask, which is not empty."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def divide(examples: Sequence[Example], rng: np.random.Generator) -> tuple[list[Example], list[Example]]:
    """Slices to learn from and those of a third of the persons, at least one; of one person both are all slices."""
    names = sorted({example.person for example in examples})
    if len(names) == 1:
        return list(examples), list(examples)
    held = set(rng.permutation(names)[: max(1, len(names) // 3)])
    return [one for one in examples if one.person not in held], [one for one in examples if one.person in held]
