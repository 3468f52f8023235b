"""segment a scan with a finished run

usage: spinelab predict run=FOLDER input=SCAN output=MASK

Examples:
  spinelab predict run=runs/gm_challenge/unet-s0-f1-5e6f7a8b input=scan.nii.gz output=mask.nii.gz
  spinelab predict run=runs/spider/unet-s0-f0-1a2b3c4d input=slices/ output=masks/      (one PNG a slice)

The mask has the scan's own grid and affine. A file beside it (MASK.json) says what its values mean. Several channels
are given as input=first.nii.gz,second.nii.gz, in the order in which the network was trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from spinelab.commands._arguments import options
from spinelab.errors import DataError
from spinelab.files import write_atomically
from spinelab.run import Run
from spinelab.types import Case, Files


def main(arguments: Sequence[str]) -> int:
    """Predict one scan and write its mask."""
    given = options(arguments, ("run", "input", "output"), required=("run", "input", "output"))
    case = Case("input", "", tuple(_files(Path(text)) for text in given["input"].split(",")))
    predict(Run.open(given["run"]), case, Path(given["output"]))
    print(f"mask: {given['output']}")
    return 0


def predict(run: Run, case: Case, output: Path) -> None:
    """Write the mask of a case, and beside it the meaning of its values.

    Raises:
        DataError: The scan cannot be used.
        RunError: The run has no weights.
    """
    from spinelab import build
    from spinelab.tasks.weights import load_weights
    from spinelab.commands.evaluate import _without_download
    from spinelab.data.volumes.io import write_mask
    from spinelab.data.volumes.prepare import prepare_case
    from spinelab.tasks.inference import segment

    config = run.config()
    labels = build.labels(config)
    volume = prepare_case(case, labels, build.preprocessing(config), with_mask=False)
    if volume.image.shape[-1] != config.channels:
        raise DataError(
            f"{volume.image.shape[-1]} channel(s) given, the network was trained on {config.channels}",
            "give one file a channel, separated by commas",
            case.images[0][0],
        )
    network = build.network(_without_download(config), labels)
    load_weights(network, run.weights())
    output.parent.mkdir(parents=True, exist_ok=True)
    write_mask(output, segment(network, volume), like=case.images[0])
    names = {"0": "background"} | {str(labels.index(name)): name for name in labels.classes}
    write_atomically(_sidecar(output), json.dumps({"labels": names, "run": run.id}, indent=2))


def _sidecar(output: Path) -> Path:
    name = output.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".png")
    return output.with_name(f"{name}.json")


def _files(path: Path) -> Files:
    if path.is_dir():
        found = tuple(
            sorted(file for file in path.iterdir() if file.suffix.lower() in (".png", ".jpg", ".tif", ".tiff"))
        )
        if not found:
            raise DataError("the folder holds no pictures", "give a NIfTI file, or a folder of PNG slices", path)
        return found
    if not path.is_file():
        raise DataError("there is no such file", "check input=", path)
    return (path,)
