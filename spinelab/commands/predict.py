"""segment a scan with a finished run

usage: spinelab predict run=FOLDER[,FOLDER...] input=SCAN output=MASK

Examples:
  spinelab predict run=runs/gm_challenge/unet-s0-f1-5e6f7a8b input=scan.nii.gz output=mask.nii.gz
  spinelab predict run=runs/spider/unet-s0-f0-1a2b3c4d input=scan.mha output=mask.mha
  spinelab predict run=runs/spider/unet-s0-f0-1a2b3c4d input=series/ output=mask.nii.gz  (a folder of DICOM files)
  spinelab predict run=runs/spider/unet-s0-f0-1a2b3c4d input=slices/ output=masks/       (one PNG a slice)
  spinelab predict run=runs/spider/unet-s0-f0-1a2b3c4d,runs/spider/unet-s1-f0-5e6f7a8b input=scan.mha output=mask.mha

Several runs, or an ensemble (see spinelab ensemble), predict with the mean of their class probabilities. All of them
take part: whether a network was trained on the person is not asked.
The mask has the scan's own grid and affine, in the format of its name: .nii, .nii.gz, .mha, .mhd, .nrrd, .nhdr, or .dcm
(DICOM-SEG) for a DICOM series. A file beside it (MASK.json) says what its values mean. Several channels are given as
input=first.nii.gz,second.nii.gz, in the order in which the network was trained.
"""

from __future__ import annotations

import json
import re
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
    predict([Run.open(folder) for folder in given["run"].split(",")], case, Path(given["output"]))
    print(f"mask: {given['output']}")
    return 0


def predict(runs: Sequence[Run], case: Case, output: Path) -> None:
    """Write the mask of a case, and beside it the meaning of its values.

    Args:
        runs: Trained runs or ensembles; several predict with the mean of their probabilities.
        case: The scan.
        output: Where to write the mask.

    Raises:
        DataError: The scan cannot be used.
        ConfigError: The mask cannot be written under the output's name.
        RunError: A run has no weights, or the runs do not go together.
    """
    from spinelab import build
    from spinelab.commands._members import members_of, trained_network
    from spinelab.data.volumes.io import check_output, write_mask
    from spinelab.data.volumes.prepare import prepare_case
    from spinelab.tasks.inference import segment

    check_output(output, case.images[0])
    members = members_of(runs)
    config = members[0].config()
    labels = build.labels(config)
    volume = prepare_case(case, labels, build.preprocessing(config), with_mask=False)
    if volume.image.shape[-1] != config.channels:
        raise DataError(
            f"{volume.image.shape[-1]} channel(s) given, the network was trained on {config.channels}",
            "give one file a channel, separated by commas",
            case.images[0][0],
        )
    segmented = segment(trained_network(members), volume)
    output.parent.mkdir(parents=True, exist_ok=True)
    names = {labels.index(name): name for name in labels.classes}
    write_mask(output, segmented, like=case.images[0], names=names)
    told = {"0": "background"} | {str(index): name for index, name in names.items()}
    ids = ",".join(run.id for run in runs)
    write_atomically(_sidecar(output), json.dumps({"labels": told, "run": ids}, indent=2))


def _sidecar(output: Path) -> Path:
    ending = re.search(r"(\.nii|\.nii\.gz|\.mh[ad]|\.nrrd|\.nhdr|\.dcm|\.png)$", output.name)
    return output.with_name(f"{output.name[: ending.start()] if ending else output.name}.json")


def _files(path: Path) -> Files:
    """The file, or the slices of a folder: pictures, or else a DICOM series."""
    from spinelab.data.volumes.formats import is_dicom, is_picture

    if not path.exists():
        raise DataError("there is no such file", "check input=", path)
    if not path.is_dir():
        return (path,)
    there = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    found = [file for file in there if is_picture(file)] or [file for file in there if is_dicom(file)]
    if not found:
        remedy = "give a volume, a folder of PNG slices, or a folder with one DICOM series"
        raise DataError("the folder holds neither pictures nor DICOM files", remedy, path)
    return tuple(found)
