"""Writing the phantom as a BIDS data set: NIfTI images and masks, and the tables beside them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinelab.files import write_atomically
from spinelab.phantom.tissues import LABELS

Row = Mapping[str, Any]

README = """Synthetic thoracolumbar spine MRI with exact masks. No person was scanned.

truth.csv gives one row a person: what the geometry knows for sure. derivatives/labels holds one mask an image.
Positions are in mm in the scanner's frame (right, front, up); heights of bodies that the field cuts off are empty.
"""


def image_path(root: Path, person: str, suffix: str) -> Path:
    """Where an image lies, e.g. ``sub-001/anat/sub-001_T2w.nii.gz``."""
    return root / person / "anat" / f"{person}_{suffix}.nii.gz"


def mask_path(root: Path, person: str, suffix: str) -> Path:
    """Where its mask lies, e.g. ``derivatives/labels/sub-001/anat/sub-001_T2w_dseg.nii.gz``."""
    return root / "derivatives" / "labels" / person / "anat" / f"{person}_{suffix}_dseg.nii.gz"


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a volume in its own data type; the same volume gives the same bytes."""
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    write_atomically(path, gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows that share their keys as .csv or, by the name's end, as .tsv; what is not a number is left empty."""
    cells = [{key: _cell(value) for key, value in row.items()} for row in rows]
    text = io.StringIO()
    delimiter = "\t" if path.suffix == ".tsv" else ","
    writer = csv.DictWriter(text, list(cells[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    write_atomically(path, text.getvalue().encode())


def write_descriptions(root: Path, participants: Iterable[Row]) -> None:
    """Write what BIDS wants to find beside the images."""
    about = {"Name": "spinelab phantom", "BIDSVersion": "1.9.0", "License": "CC0"}
    generator = {"GeneratedBy": [{"Name": "spinelab.phantom"}]}
    labels = root / "derivatives" / "labels"
    write_json(root / "dataset_description.json", {**about, "DatasetType": "raw", **generator})
    write_json(labels / "dataset_description.json", {**about, "DatasetType": "derivative", **generator})
    write_table(labels / "dseg.tsv", [{"index": value, "name": name} for value, name in LABELS.items()])
    write_table(root / "participants.tsv", participants)
    write_atomically(root / "README", README.encode())


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if np.isnan(value) else round(value, 3)
    return value
