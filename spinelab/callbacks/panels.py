"""Pictures of image, truth, prediction and errors, with the classes by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import lightning
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from spinelab.callbacks.wandb_run import Panel, WandbRun
from spinelab.files import replacing
from spinelab.types import Batch

# Okabe and Ito's palette: told apart with any kind of colour vision.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#F0E442", "#0072B2", "#999999")
ERRORS = {"missed": "#56B4E9", "false alarm": "#D55E00", "other class": "#F0E442"}
"""How pixels can be wrong; "missed" are labelled in the truth and background in the prediction."""


def overlay(image: np.ndarray, mask: np.ndarray, opacity: float = 0.45) -> np.ndarray:
    """Colour a mask (H, W) of class indices over a grey image (H, W); returns (H, W, 3) in [0, 1]."""
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)[..., None].repeat(3, axis=2)
    for index in range(1, int(mask.max(initial=0)) + 1):
        where = mask == index
        colour = np.array(mpl.colors.to_rgb(COLOURS[(index - 1) % len(COLOURS)]))
        grey[where] = (1 - opacity) * grey[where] + opacity * colour
    return grey


def error_overlay(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Colour what went wrong by `ERRORS`: missed, false alarm, another class; shapes as in `overlay`."""
    kinds = np.where(prediction == 0, 1, np.where(truth == 0, 2, 3)) * (truth != prediction)
    grey = overlay(image, np.zeros_like(truth))
    for kind, colour in enumerate(ERRORS.values(), 1):
        grey[kinds == kind] = 0.25 * grey[kinds == kind] + 0.75 * np.array(mpl.colors.to_rgb(colour))
    return grey


def draw_panel(
    image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, classes: Sequence[str], path: Path, title: str = ""
) -> None:
    """Write one PNG: image, truth, prediction and errors side by side.

    Args:
        image: (H, W) intensities.
        truth: (H, W) class indices.
        prediction: (H, W) class indices.
        classes: Names of the foreground classes.
        path: Where to write.
        title: Line above the panel.
    """
    height, width = image.shape
    figure = Figure(figsize=(12, 3 * height / width + 1.1), layout="constrained")
    axes = figure.subplots(1, 4)
    pictures = {
        "image": overlay(image, np.zeros_like(truth)),
        "truth": overlay(image, truth),
        "prediction": overlay(image, prediction),
        "errors": error_overlay(image, truth, prediction),
    }
    for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(name, fontsize=14)
        axis.axis("off")
    named = dict(zip(classes, cycle(COLOURS), strict=False))
    named |= {f"errors: {name}": colour for name, colour in ERRORS.items()}  # colours of some classes, too
    handles = [Patch(color=colour, label=name) for name, colour in named.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(named), 5), fontsize=12, frameon=False)
    figure.suptitle(title, fontsize=12)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


class ValidationPanels(lightning.Callback):
    """Sends a slice of the first validation volumes to Weights & Biases every few epochs.

    Args:
        classes: Names of the foreground classes.
        every: Epochs between two looks.
        volumes: How many volumes to show.
    """

    def __init__(self, classes: Sequence[str], every: int = 10, volumes: int = 4) -> None:
        self.classes, self.every, self.volumes = list(classes), every, volumes
        self.seen: dict[int, tuple[int, Panel]] = {}

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: dict[str, Tensor],  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep each volume's slice with the most foreground."""
        if (trainer.current_epoch + 1) % self.every or not isinstance(trainer.logger, WandbRun):
            return
        for i, volume in enumerate(batch["volume"].tolist()):
            foreground = int((batch["mask"][i] > 0).sum())
            if volume < self.volumes and (volume not in self.seen or foreground > self.seen[volume][0]):
                self.seen[volume] = (foreground, _panel(batch, outputs["prediction"], i))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log what was kept."""
        if self.seen and isinstance(trainer.logger, WandbRun):
            trainer.logger.log_panels("val/panels", [panel for _, panel in self.seen.values()], self.classes)
        self.seen = {}


def _panel(batch: Batch, prediction: Tensor, i: int) -> Panel:
    height, width = batch["size"][i].tolist()
    image, truth, found = (
        array[:height, :width].float().cpu().numpy()
        for array in (batch["image"][i, 0], batch["mask"][i], prediction[i])
    )
    return image, truth, found
