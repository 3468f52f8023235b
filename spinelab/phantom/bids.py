"""Writing the phantom as a BIDS data set: NIfTI images and masks, and the tables beside them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinelab.files import write_atomically
from spinelab.phantom.tissues import LABELS, PROPERTIES

Row = Mapping[str, Any]

README = """Synthetic spine MRI with exact masks. No person was scanned.

truth.csv gives one row a person and visit: what the geometry knows for sure. derivatives/labels holds one mask for
each image. tissues.tsv says what each tissue was made of. Positions are in mm in the scanner's frame (right, front,
up); angles are in degrees against the axes of the image. What the field cuts off is empty.

Columns of truth.csv with a level in their name (L1, ...), one for each vertebra:
height_* mean over the middle half of the body; height_anterior_*, height_middle_*, height_posterior_* between the
endplates at 75 % of the half depth, in the middle and at 75 % behind; wedge_* angle between the endplates, positive if
the front is higher; tilt_* and roll_* mean lean of the endplates to the front and to the right; canal_depth_* of the
dural sac and cord_area_*, both across the canal at mid height of the body; fat_fraction_* of the normal marrow;
disc_height_anterior_*, disc_height_posterior_*, degeneration_below_* and modic_below_* of the disc below.
cobb_deg is the largest coronal angle between an upper endplate and a lower one below it, in the field.
lesion_growth is the factor on the lesion's volume against the first visit before bone and dura cut it off;
lesion_volume_mm3 is what came of it on the 1 mm field.
"""


class Entities(NamedTuple):
    """What a file is of, as BIDS writes it into names; "" leaves an entity out.

    Attributes:
        person: Such as ``sub-001``.
        session: Such as ``ses-01``.
        acquisition: Such as ``acq-axial``.
        suffix: Such as ``T2w``.
    """

    person: str
    session: str
    acquisition: str
    suffix: str

    @property
    def stem(self) -> str:
        """Name of the file without its extension."""
        return "_".join(filter(None, self))

    @property
    def folder(self) -> Path:
        """Below the root of the images or of the masks."""
        return Path(self.person, self.session, "anat")


def image_path(root: Path, entities: Entities) -> Path:
    """Where an image lies, e.g. ``sub-001/ses-01/anat/sub-001_ses-01_T2w.nii.gz``."""
    return root / entities.folder / f"{entities.stem}.nii.gz"


def mask_path(root: Path, entities: Entities) -> Path:
    """Where its mask lies, e.g. ``derivatives/labels/sub-001/anat/sub-001_T2w_dseg.nii.gz``."""
    return root / "derivatives" / "labels" / entities.folder / f"{entities.stem}_dseg.nii.gz"


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
    tissues = [{"tissue": tissue.name.lower(), **row._asdict()} for tissue, row in PROPERTIES.items()]
    write_table(root / "tissues.tsv", [{**row, "label": LABELS.get(row["label"], "")} for row in tissues])
    write_atomically(root / "README", README.encode())


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if np.isnan(value) else round(float(value), 3)
    return value
