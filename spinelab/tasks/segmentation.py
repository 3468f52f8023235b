"""The one LightningModule: a network, a loss, an optimizer and a schedule, and one step shared by all stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from spinelab.losses.deep_supervision import DeepSupervision
from spinelab.tasks.fine_tuning import OptimizerFactory, encoder_of, optimizer_with_rates
from spinelab.tasks.fused import clip_gradients, fused
from spinelab.types import Batch

SchedulerFactory = Callable[[Optimizer, int], LRScheduler]


class SegmentationTask(lightning.LightningModule):
    """Trains any network that maps (B, C, H, W) images to (B, K, H, W) logits.

    Neither the training loss's mean nor scores are computed here: callbacks take them from the steps' outputs.

    Args:
        network: The architecture. Where it has a method `heads(x)` that returns several logits, main first, all of
            them are trained (deep supervision). Where it has a method `training_loss(image, mask, loss)`, because it
            learns more than classes, that is minimised.
        loss: (logits (B, K, H, W), target (B, H, W)) -> scalar.
        optimizer: Parameters -> optimizer.
        scheduler: (optimizer, total steps) -> schedule, stepped after every batch.
        channels_last: Keep the network and the images in channels-last memory order, which is faster for
            convolutions on processors and tensor cores.
        encoder_lr: Factor on the learning rate of the network's encoder, for weights that were trained elsewhere
            (discriminative rates, Howard and Ruder 2018). 0 freezes the encoder: neither weights nor batch statistics
            change, and it runs as in inference, without dropout.

    Raises:
        ValueError: `encoder_lr` is not in [0, 1], or is not 1 where the network has no encoder.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        channels_last: bool = False,
        encoder_lr: float = 1.0,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.loss = loss
        self.heads_loss = DeepSupervision(loss)
        self.optimizer, self.scheduler = optimizer, scheduler
        if not 0 <= encoder_lr <= 1:
            raise ValueError(f"encoder_lr is a factor in [0, 1], not {encoder_lr}")
        self.encoder_lr = encoder_lr
        if encoder_lr != 1:
            encoder = encoder_of(self.network)
            if encoder_lr == 0:
                encoder.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, H, W) of images (B, C, H, W)."""
        return self.network(image.to(memory_format=self.memory_format))

    def train(self, mode: bool = True) -> Self:
        """Switch to training, in which a frozen encoder does not take part."""
        super().train(mode)
        if self.encoder_lr == 0:
            encoder_of(self.network).eval()
        return self

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of all heads."""
        return self._training_loss(batch["image"].to(memory_format=self.memory_format), batch["mask"])

    def validation_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        """Loss of the main output, and the predicted class indices (B, H, W) for the callbacks."""
        logits = self(batch["image"])
        loss = self.loss(logits, batch["mask"])
        self.log("val/loss", loss, batch_size=len(batch["mask"]), sync_dist=True)
        return {"loss": loss, "prediction": logits.argmax(dim=1)}

    def configure_optimizers(self) -> Any:
        """Optimizer over the parameters that are not frozen, and its schedule by step."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        factory = fused(self.optimizer, self.device)
        if self.encoder_lr in (0, 1):
            optimizer = factory(trained)
        else:
            optimizer = optimizer_with_rates(factory, trained, encoder_of(self.network).parameters(), self.encoder_lr)
        schedule = self.scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer says, for fused optimizers too."""
        clip_gradients(self.trainer.precision_plugin, optimizer, gradient_clip_val or 0.0, gradient_clip_algorithm)

    def _training_loss(self, image: Tensor, mask: Tensor) -> Tensor:
        if hasattr(self.network, "training_loss"):
            return self.network.training_loss(image, mask, self.loss)  # type: ignore[operator]
        if hasattr(self.network, "heads"):
            return self.heads_loss(self.network.heads(image), mask)  # type: ignore[operator]
        return self.loss(self.network(image), mask)
