"""A picture of the phantom beside real slices of SPIDER, to be looked at: what is it still too clean for?

    SPINELAB_DATA=... python experiments/phantom_beside_spider.py --out picture.png

Rows: SPIDER T2 SPACE (left out where SPINELAB_DATA has none), the phantom's lumbar T2w in the wide field, the same
person in other contrasts, and the other regions. All phantom slices are 2 mm thick and pass through the canal.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinelab.phantom.acquisition import SITES, Scan, acquire
from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.lesions import LesionKind
from spinelab.phantom.regions import Extent, RegionName
from spinelab.phantom.sequences import SEQUENCES

COLUMNS = 4
Picture = tuple[str, NDArray[np.float64]]


def spider(folder: Path) -> list[Picture]:
    """Middle slices of some persons; empty if the data set is not there."""
    middle = {}
    for file in sorted(folder.glob("images/*.png")):
        middle.setdefault(file.name.split("_")[0], []).append(file)
    chosen = [files[len(files) // 2] for files in middle.values()][2 :: max(len(middle) // COLUMNS, 1)][:COLUMNS]
    return [(file.stem, np.asarray(Image.open(file), float)) for file in chosen]


def slice_of(anatomy: Anatomy, contrast: str, site: int, seed: int) -> NDArray[np.float64]:
    """The sagittal slice through the middle, front to the left."""
    scan = Scan("sagittal", 2)
    image, _, _ = acquire(np.random.default_rng(seed), anatomy, SEQUENCES[contrast], SITES[site], scan)
    return image[image.shape[0] // 2].T[::-1, ::-1].astype(float)


def person(seed: int, lesion: LesionKind, region: RegionName, extent: Extent = "wide") -> Anatomy:
    """Somebody."""
    return create_anatomy(np.random.default_rng(seed), lesion, region, extent)


def phantom(seed: int) -> list[list[Picture]]:
    """Rows of slices."""
    lumbar = [person(seed + k, lesion, "lumbar") for k, lesion in enumerate(("none", "none", "extradural", "none"))]
    first = [(f"phantom, site {SITES[k % 3].name}", slice_of(a, "T2w", k % 3, seed)) for k, a in enumerate(lumbar)]
    contrasts = ("T1w", "STIR", "T1wCE", "fat")
    same = [(f"phantom, {contrast}", slice_of(lumbar[2], contrast, 0, seed)) for contrast in contrasts]
    others: list[tuple[RegionName, LesionKind, str]] = [
        ("cervical", "intramedullary", "T2w"),
        ("cervical", "none", "T1w"),
        ("thoracic", "haemangioma", "T2w"),
        ("thoracic", "none", "T1w"),
    ]
    rest = [
        (f"{region}, {lesion}, {contrast}", slice_of(person(seed, lesion, region), contrast, k % 2, seed))
        for k, (region, lesion, contrast) in enumerate(others)
    ]
    return [first, same, rest]


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    real = spider(Path(os.environ.get("SPINELAB_DATA", ".")) / "spider_t2space")
    rows = [*([real] if real else []), *phantom(options.seed)]
    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(3.2 * COLUMNS, 4 * len(rows)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for row, pictures in zip(axes, rows, strict=True):
        for axis, (title, picture) in zip(row, pictures, strict=False):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=np.percentile(picture, 99.7))
            axis.set_title(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
