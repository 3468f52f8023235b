"""Any albumentations pipeline as an augmentation; the only module that knows the library."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spinelab.data.slices.effects import Image, Mask

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would ask the network for a newer version
import albumentations as A


class AlbumentationsTransform:
    """Transforms of albumentations, one after the other, seeded like every other augmentation.

    The image is brought to the range 0 to 1 (per channel), as albumentations expects, and back afterwards. Spatial
    transforms move the mask with nearest neighbours, which is the library's default.

    Args:
        pipeline: Class name -> its arguments, e.g. ``{"Affine": {"rotate": [-15, 15], "p": 0.8}}``.

    Raises:
        ValueError: Albumentations has no transform of that name, or the transform does not take the arguments.
    """

    def __init__(self, pipeline: Mapping[str, Mapping[str, Any] | None]) -> None:
        transforms = [_make(name, options) for name, options in pipeline.items() if options is not None]
        self._changes_nothing = all(transform.p == 0 for transform in transforms)
        self._compose = A.Compose(transforms)

    def __call__(self, image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
        """Augment one slice, (H, W, C) float32 and (H, W) uint8; every random choice comes from `rng`."""
        if self._changes_nothing:
            return image, mask
        low = image.min((0, 1))
        span = image.max((0, 1)) - low
        span[span == 0] = 1
        # Handing over two generators is several times cheaper than re-seeding each transform.
        self._compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        changed = self._compose(image=(image - low) / span, mask=np.ascontiguousarray(mask))
        return changed["image"] * span + low, changed["mask"]


def _make(name: str, options: Mapping[str, Any]) -> A.BasicTransform:
    kind = getattr(A, name, None)
    if not (isinstance(kind, type) and issubclass(kind, A.BasicTransform)):
        raise ValueError(f"albumentations {A.__version__} has no transform {name!r}")
    return kind(
        **{key: tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else v for key, v in options.items()}
    )
