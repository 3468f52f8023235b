"""What scores of whole volumes cost beside the libraries that people take them from.

`OMP_NUM_THREADS=1 python experiments/benchmarks/metrics.py` prints a Markdown table: peer and ours in milliseconds,
their ratio, and the smallest ratio aimed at. Peer and ours take turns in one process on one core, and medians over the
rounds are compared, of processor time, which other work on the machine disturbs less. Both get masks in the form that
they ask for.

1. HD95 and ASSD of the five structures of a lumbar spine (the phantom, 1 mm), the prediction being the truth moved,
   eroded, roughened, or roughened with false specks all over the image. A row is the structure with the smallest ratio.
   Peers: MedPy's `hd95` and `assd`; MONAI's `compute_hausdorff_distance` and `compute_average_surface_distance`.
2. The same of masks that are all surface (blobs, noise), and of surfaces that lie far apart, where there is least to
   gain.
3. All five scores: `distance_scores` beside MONAI's functions for HD, HD95, ASD, ASSD and NSD.
4. Counts of 7 classes: `confusion_matrix` beside torchmetrics' `DiceScore`, and beside reading both label maps from
   uncompressed NIfTI files with nibabel.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from medpy.metric import binary as medpy
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from scipy import ndimage
from torchmetrics.segmentation import DiceScore

from spinelab.metrics.confusion import confusion_matrix
from spinelab.metrics.distances import assd, distance_scores, hd95
from spinelab.metrics.surface import crop, voxel_distances
from spinelab.phantom.anatomy import create_anatomy
from spinelab.phantom.tissues import Label

Mask = NDArray[np.bool_]
SPACING = (1.0, 1.0, 1.0)
STRUCTURES = (Label.VERTEBRA, Label.DISC, Label.CANAL, Label.CORD, Label.POSTERIOR_ELEMENTS)
CLASSES = 7


def medpy_two(truth: Mask, prediction: Mask) -> tuple[float, float]:
    """HD95 and ASSD of MedPy."""
    return medpy.hd95(prediction, truth, SPACING), medpy.assd(prediction, truth, SPACING)


def monai_two(truth: Mask, prediction: Mask) -> tuple[float, float]:
    """HD95 and ASSD of MONAI."""
    pair, how = _monai(truth, prediction)
    hausdorff = compute_hausdorff_distance(*pair, percentile=95, **how)
    return float(hausdorff), float(compute_average_surface_distance(*pair, symmetric=True, **how))


def our_two(truth: Mask, prediction: Mask) -> tuple[float, float]:
    """HD95 and ASSD of spinelab."""
    distances = voxel_distances(crop(truth, prediction, SPACING))
    return hd95(distances), assd(distances)


def monai_five(truth: Mask, prediction: Mask) -> tuple[float, ...]:
    """All five scores of MONAI."""
    pair, how = _monai(truth, prediction)
    hausdorff = compute_hausdorff_distance(*pair, **how)
    average = compute_average_surface_distance(*pair, **how)
    overlap = compute_surface_dice(*pair, [2.0], use_subvoxels=True, **how)
    return float(hausdorff), *monai_two(truth, prediction), float(average), float(overlap)


def our_five(truth: Mask, prediction: Mask) -> dict[str, float | None]:
    """All five scores of spinelab."""
    return distance_scores(truth, prediction, SPACING)


def deformations(rng: np.random.Generator, truth: Mask) -> dict[str, Mask]:
    """Predictions: moved by 2, 1 and 1 mm; one voxel eroded; surfaces moved by 1.5 mm at random; and 30 specks."""
    moved = np.zeros_like(truth)
    moved[2:, 1:, 1:] = truth[:-2, :-1, :-1]
    depth = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(~truth)
    noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 2)
    rough = depth + 1.5 * noise / noise.std() > 0
    specks = rough.copy()
    specks.flat[rng.integers(specks.size, size=30)] = True
    return {"moved": moved, "eroded": ndimage.binary_erosion(truth), "rough": rough, "rough with specks": specks}


def hard_pairs(rng: np.random.Generator) -> dict[str, tuple[Mask, Mask]]:
    """Masks where there is least to gain."""
    shape = (64, 128, 128)
    blobs = [ndimage.gaussian_filter(rng.normal(size=shape), 1) > 0 for _ in range(2)]
    noise = [rng.random(shape) > 0.5 for _ in range(2)]
    radius = np.sqrt(((np.indices((110, 110, 110)) - 54.5) ** 2).sum(axis=0))
    return {
        "blobs that fill the volume": (blobs[0], blobs[1]),
        "white noise": (noise[0], noise[1]),
        "sphere of 25 mm in one of 54 mm": (radius < 54, radius < 25),
    }


def distances(labels: NDArray[np.uint8], rounds: int) -> dict[tuple[str, float], tuple[float, float]]:
    """(What, smallest ratio aimed at) -> seconds of the peer and of ours."""
    rng = np.random.default_rng(0)
    pairs = {label.name.lower().replace("_", " "): labels == label for label in STRUCTURES}
    shapes = {name: deformations(rng, truth) for name, truth in pairs.items()}
    peers = {
        ("HD95 + ASSD", "MedPy"): (medpy_two, our_two, 50.0),
        ("HD95 + ASSD", "MONAI"): (monai_two, our_two, 10.0),
        ("all five", "MONAI"): (monai_five, our_five, 10.0),
    }
    table = {}
    for (what, peer), (theirs, ours, aim) in peers.items():
        for deformation in next(iter(shapes.values())):
            seconds = {
                name: in_turns(theirs, ours, (truth, shapes[name][deformation]), rounds)
                for name, truth in pairs.items()
            }
            least = min(seconds, key=lambda name: seconds[name][0] / seconds[name][1])
            table[f"{what}, {deformation} ({least}): {peer}", aim] = seconds[least]
        for name, pair in hard_pairs(rng).items():
            table[f"{what}, {name}: {peer}", 1.0] = in_turns(theirs, ours, pair, rounds)
    return table


def counts(labels: NDArray[np.uint8], rounds: int) -> dict[tuple[str, float], tuple[float, float]]:
    """(What, smallest ratio aimed at) -> seconds of the peer and of ours."""
    truth, prediction = np.minimum(labels, CLASSES - 1), np.minimum(np.roll(labels, (2, 1, 1), (0, 1, 2)), CLASSES - 1)
    wide = [torch.from_numpy(volume.astype(np.int64))[None] for volume in (prediction, truth)]  # what one_hot takes
    narrow = [torch.from_numpy(volume) for volume in (prediction, truth)]

    def dice() -> torch.Tensor:
        metric = DiceScore(CLASSES, average="none", aggregation_level="global", input_format="index")
        metric.update(*wide)
        return metric.compute()

    def ours() -> torch.Tensor:
        return confusion_matrix(*narrow, CLASSES)

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.nii" for name in ("truth", "prediction")]
        for path, volume in zip(files, (truth, prediction), strict=True):
            nib.save(nib.Nifti1Image(volume, np.eye(4)), path)

        def read() -> list[NDArray[np.uint8]]:
            return [np.asarray(nib.load(path, mmap=False).dataobj) for path in files]

        size = " x ".join(map(str, labels.shape))
        return {
            (f"counts of {CLASSES} classes, {size}: torchmetrics DiceScore", 100.0): in_turns(dice, ours, (), rounds),
            (f"counts of {CLASSES} classes, {size}: nibabel reading both", 1 / 5): in_turns(read, ours, (), 4 * rounds),
        }


def in_turns(
    peer: Callable[..., object], ours: Callable[..., object], arguments: tuple[Mask, ...], rounds: int
) -> tuple[float, float]:
    """Median processor seconds of a call; the first round warms up."""
    seconds = [(_seconds(peer, arguments), _seconds(ours, arguments)) for _ in range(rounds + 1)][1:]
    theirs, mine = zip(*seconds, strict=True)
    return statistics.median(theirs), statistics.median(mine)


def _seconds(function: Callable[..., object], arguments: tuple[Mask, ...]) -> float:
    begin = time.process_time()
    function(*arguments)
    return time.process_time() - begin


def _monai(truth: Mask, prediction: Mask) -> tuple[list[torch.Tensor], dict[str, object]]:
    pair = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    return pair, {"include_background": True, "spacing": SPACING}


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    lumbar = create_anatomy(np.random.default_rng(0)).label
    wide = create_anatomy(np.random.default_rng(0), lesion="extradural", extent="wide").label
    print("| what: peer | peer ms | ours ms | peer / ours | aim |\n|---|---:|---:|---:|---:|")
    for (what, aim), (peer, ours) in {**distances(lumbar, rounds), **counts(wide, rounds)}.items():
        ratio = peer / ours
        met = "" if ratio >= aim else ": not met"
        print(f"| {what} | {1000 * peer:.2f} | {1000 * ours:.2f} | {ratio:.3g} | {aim:g}{met} |")


if __name__ == "__main__":
    main()
