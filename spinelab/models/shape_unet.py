"""U-Net that learns classes and their shapes jointly (Murugesan et al. 2019, https://arxiv.org/abs/1901.08824)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from spinelab.models.blocks import Parts
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.unet import UNet


def shape_unet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
    weight: float = 1.0,
    scale: float = 8.0,
) -> ShapeUNet:
    """A U-Net whose last features also give the distance to each class's border, by itself or on an encoder.

    All else is the U-Net of `spinelab.models.unet`, so that the two differ in what is learnt alone.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (None: 32), doubled a level.
        dropout: Rate after each convolution (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.
        weight: Of the distances' loss beside that of the classes; 0 is the plain U-Net.
        scale: Pixels from a border at which a distance counts 0.76 of what it counts far away.

    Raises:
        ValueError: `weight` is negative, or `scale` is not positive.
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    if weight < 0 or scale <= 0:
        raise ValueError(f"weight is not negative ({weight}), scale is positive ({scale})")
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout)
    return ShapeUNet(parts, classes, weight, scale)


class ShapeUNet(UNet):
    """A U-Net with one more 1x1 output a foreground class; (B, C, H, W) -> logits (B, K, H, W).

    The loss of the distances is that of Xue et al. 2020, "Shape-aware organ segmentation by predicting signed distance
    maps": mean absolute difference of signed distances, the network's through tanh. They divide a distance by the
    largest in the picture, which changes with its size; here tanh bounds the true distance too, so that what is far
    from any border counts the same whatever lies around it.
    """

    def __init__(self, parts: Parts, classes: int, weight: float, scale: float) -> None:
        super().__init__(parts, 2 * classes - 1)  # one convolution for both, which is two side by side
        self.classes, self.weight, self.scale = classes, weight, scale
        with torch.no_grad():  # else tanh starts saturated, and learns next to nothing from there
            self.head.weight[classes:] *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K, H, W) of an image of any size."""
        return super().forward(x)[:, : self.classes]

    def distances(self, x: Tensor) -> Tensor:
        """Bounded signed distances (B, K - 1, H, W) in (-1, 1), negative inside, one a foreground class."""
        return self._both(x)[1]

    def training_loss(self, image: Tensor, mask: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Loss of the classes, plus `weight` times the mean absolute difference of the distances.

        Args:
            image: (B, C, H, W).
            mask: (B, H, W) class indices.
            loss: (logits (B, K, H, W), mask) -> scalar.
        """
        logits, found = self._both(image)
        if not self.weight:
            return loss(logits, mask)
        true = bounded_distances(mask.cpu().numpy(), self.classes, self.scale)
        return loss(logits, mask) + self.weight * F.l1_loss(found, torch.from_numpy(true).to(found.device))

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and bounded distances in full precision."""
        both = super().forward(x)
        return both[:, : self.classes], both[:, self.classes :].float().tanh()


def bounded_distances(mask: NDArray[np.integer], classes: int, scale: float) -> NDArray[np.float32]:
    """tanh(signed distance / scale) of every foreground class, (B, K - 1, H, W) in [-1, 1].

    Args:
        mask: (B, H, W) class indices.
        classes: K, background included.
        scale: In pixels.
    """
    planes = [[signed_distance(plane == k) for k in range(1, classes)] for plane in mask]
    return np.tanh(np.stack([np.stack(distances) for distances in planes]) / np.float32(scale))


def signed_distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels from each pixel's centre to the nearest on the other side of the border, negative inside.

    Where there is no border it is infinitely far: a class that is absent is at +inf everywhere, one that fills the
    slice at -inf. The edge of the slice is no border, since what lies behind it is not known.

    Args:
        inside: (H, W).
    """
    if inside.all() or not inside.any():
        return np.full(inside.shape, -np.inf if inside.any() else np.inf, np.float32)
    return _to_nearest_zero(~inside) - _to_nearest_zero(inside)


def _to_nearest_zero(plane: NDArray[np.bool_]) -> NDArray[np.float32]:
    # exact, as scipy's distance_transform_edt is, in a quarter of the time: training waits for it
    return np.asarray(cv2.distanceTransform(plane.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
