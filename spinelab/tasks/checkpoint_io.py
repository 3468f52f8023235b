"""How a trainer writes and reads checkpoints: whole, with their checksum, and trusting nothing that is pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from spinelab.errors import RunError
from spinelab.files import replacing
from spinelab.tasks.seal import LAST, PREVIOUS, intact, seal
from spinelab.tasks.weights import read_checkpoint


class CheckpointFiles(CheckpointIO):
    """Gives a `lightning.Trainer` checkpoints that a kill, a full disk or a damaged disk cannot take away.

    A checkpoint is written beside its place, sealed with its checksum, and renamed. `last.ckpt` becomes
    `previous.ckpt` before a new one takes its place, so that at every moment one of the two is whole.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
            RunError: The disk is full or refuses; the checkpoints that were there still are.
        """
        path = Path(path)
        try:
            with replacing(path) as temporary:
                with temporary.open("wb") as stream:
                    torch.save(checkpoint, stream)
                seal(temporary)
                if path.name == LAST and path.is_file():
                    path.replace(path.with_name(PREVIOUS))
        except (OSError, RuntimeError) as error:
            # torch replaces what the file system said by an assertion of its own
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise RunError(
                f"the checkpoint cannot be written ({cause.strerror}); the one before is kept",
                "make room on this disk and run the same command again: training goes on from the checkpoint before",
                path,
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain containers, to the processor's memory.

        Raises:
            RunError: It is damaged, was not written by this class, or holds objects whose loading runs code.
        """
        path = Path(path)
        if not intact(path):
            raise RunError("the checkpoint is damaged: its checksum is missing or does not fit", "delete it", path)
        return read_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)
