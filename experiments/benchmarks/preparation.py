"""What it takes to bring a compressed scan into normalised slices, beside the same through scikit-image.

Run it on a quiet machine: `OMP_NUM_THREADS=1 python experiments/benchmarks/preparation.py`. Peers and ours take turns
in one process; medians over the rounds are printed with their ratio. The scan is synthetic (smooth tissue and noise,
int16, 320 x 320 x 60 voxels of 0.7 x 0.7 x 3.3 mm, NIfTI, gzip). Every way reads it, brings it into axial slices of the
asked spacing, and normalises them to zero mean and unit variance between the 0.5th and 99.5th percentile.

1. volume: `skimage.transform.resize` of the float volume, order 3, anti-aliasing.
2. slices: the same function slice by slice, the cheaper way to use it.
3. ours: `prepare_case` and the normalisation of all slices.

Below the table: that speed costs no accuracy. Agreement: the largest difference of ours to scikit-image, in standard
deviations of the image, away from the border (scikit-image without its clipping to the range of the input). Wave: the
largest error of both on a wave whose value is known everywhere.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from spinelab.data.volumes.interpolation import resample
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.types import Case, LabelMap

SHAPE, VOXEL = (320, 320, 60), (0.7, 0.7, 3.3)
FINE, COARSE = 0.5, 0.8
PERCENTILES = (0.5, 99.5)


def write_scan(path: Path) -> None:
    """A scan that compresses about as a real one does."""
    rng = np.random.default_rng(0)
    tissue = gaussian_filter(rng.normal(size=SHAPE), (3, 3, 1)) * 15000
    grey = (tissue.clip(0, 4000) + rng.normal(size=SHAPE) * 15).clip(0).astype(np.int16)
    nib.save(nib.Nifti1Image(grey, np.diag([*VOXEL, 1.0])), path)


def peer(path: Path, spacing: float, *, by_slice: bool) -> np.ndarray:
    """(S, H, W) float32 through nibabel, scikit-image and NumPy."""
    image = nib.as_closest_canonical(nib.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes())))
    slices = np.asanyarray(image.dataobj)[::-1, ::-1].transpose(2, 1, 0).astype(np.float32)
    height, width = (round(size * VOXEL[0] / spacing) for size in slices.shape[1:])
    how = {"order": 3, "mode": "edge", "anti_aliasing": True, "preserve_range": True}
    if by_slice:
        slices = np.stack([resize(image, (height, width), **how) for image in slices])
    else:
        slices = resize(slices, (len(slices), height, width), **how)
    clipped = np.clip(slices, *np.percentile(slices, PERCENTILES))
    return (clipped - clipped.mean()) / clipped.std()


def ours(path: Path, spacing: float) -> np.ndarray:
    """(S, H, W) float32 through spinelab."""
    how = Preprocessing(plane="axial", spacing_mm=(spacing, spacing))
    volume = prepare_case(Case("scan", "person", ((path,),)), LabelMap(()), how)
    return volume.intensity[0].apply(volume.image[..., 0])


def agreement() -> float:
    """Largest difference on noise in standard deviations, off the border, at a spacing that fits the picture evenly."""
    noise = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32)
    largest = 0.0
    for size in (320, 200, 80):  # finer twice, finer by a quarter, coarser by half
        theirs = resize(noise, (size, size), order=3, mode="edge", anti_aliasing=True, clip=False)
        mine = resample(noise[None], (size, size), (160 / size, 160 / size), 3)[0]
        largest = max(largest, float(np.abs(theirs - mine)[20:-20, 20:-20].max()))
    return largest


def wave_errors(period: float) -> tuple[float, float]:
    """Largest error of the peer and of ours, off the border, on a wave of so many pixels, brought to half the pixel."""
    size, step = 128, 0.5
    x, fine = np.arange(size), (np.arange(2 * size) + 0.5) * step - 0.5
    wave, truth = (np.sin(2 * np.pi * at / period) for at in (x, fine))
    picture = np.broadcast_to(wave, (size, size)).astype(np.float32)
    resized = resize(picture, (2 * size, 2 * size), order=3, mode="edge", anti_aliasing=True)
    mine = resample(picture[None], (2 * size, 2 * size), (step, step), 3)[0]
    inside = slice(16, -16)
    first, second = (float(np.abs(out - truth)[inside, inside].max()) for out in (resized, mine))
    return first, second


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each way; one round to warm up, then all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    table = Table("spacing", "peer", "peer s", "ours s", "peer / ours")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        write_scan(path)
        for spacing in (FINE, COARSE):
            ways = {
                "volume": lambda s=spacing: peer(path, s, by_slice=False),
                "slices": lambda s=spacing: peer(path, s, by_slice=True),
                "ours": lambda s=spacing: ours(path, s),
            }
            seconds = medians(ways, rounds)
            for name in ("volume", "slices"):
                row = f"{seconds[name]:.3f}", f"{seconds['ours']:.3f}", f"{seconds[name] / seconds['ours']:.1f}"
                table.add_row(f"{VOXEL[0]} -> {spacing} mm", f"scikit-image, {name}", *row)
    console = Console()
    console.print(table)
    console.print(f"agreement with scikit-image: {agreement():.1e} standard deviations")
    for period in (4, 8, 16):
        theirs, mine = wave_errors(period)
        console.print(f"wave of {period} pixels: error {theirs:.1e} scikit-image, {mine:.1e} ours")


if __name__ == "__main__":
    main()
