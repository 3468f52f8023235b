"""What augmentation and the fetching of batches cost, beside what a person would use instead.

`python experiments/benchmarks/augmentation.py` prints peer, ours and their ratio, on one core. Peer and ours take
turns, and the medians over the rounds are compared.

1. Augmentation of a 256 x 320 float32 slice with its mask: flip, rotation, scaling, shift, elastic deformation, gamma
   and noise, every one of them always. Equal for all: the ranges of every parameter, linear interpolation of the image
   and nearest of the mask, constant fill, and standard deviation and smoothness of the elastic displacement.
   Not equal: albumentations interpolates twice (affine, then elastic), as its transforms do not join; MONAI and ours do
   so once. MONAI's displacement is drawn on a grid of points and interpolated bicubically, the grid here being chosen
   for the same smoothness. MONAI takes and gives tensors with the channel first, which it asks for.
2. A batch of 8 slices of 256 x 320, int16, from a warm memory map, without workers. Peer: stacking eight slices that
   lie in memory, normalised, as float32, and their masks as int64.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import albumentations as A
import cv2
import nibabel as nib
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from spinelab.data.slices.build import build
from spinelab.data.slices.dataset import SliceDataset, collate
from spinelab.data.slices.effects import Gamma, GaussianNoise
from spinelab.data.slices.transforms import Augmentation
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap, MaskFiles

SHAPE = (256, 320)
ROTATE, SCALE, SHIFT, GAMMA, NOISE = 15.0, (0.85, 1.2), 0.05, (0.8, 1.25), 0.03
DISPLACEMENT, SMOOTHNESS = 2.5, 10.0
"""Standard deviation of the elastic displacement, and of the Gaussian filter that smooths it, in pixels."""


def albumentations_against_ours(rounds: int = 20) -> tuple[float, float]:
    """Seconds a slice of albumentations' composition, and ours."""
    # Its fields are white noise divided by the largest of it (4.5 standard deviations here), filtered, times alpha.
    alpha = DISPLACEMENT * 2 * np.sqrt(np.pi) * SMOOTHNESS * 4.5
    pipeline = A.Compose(
        [
            A.HorizontalFlip(p=1),
            A.Affine(rotate=(-ROTATE, ROTATE), scale=SCALE, translate_percent=(-SHIFT, SHIFT), keep_ratio=True, p=1),
            A.ElasticTransform(alpha=alpha, sigma=SMOOTHNESS, p=1),
            A.RandomGamma((100 * GAMMA[0], 100 * GAMMA[1]), p=1),
            A.GaussNoise(std_range=(0, NOISE), p=1),
        ],
        seed=0,
    )
    image, mask = _slice()
    return in_turns(lambda: pipeline(image=image, mask=mask), _ours(), rounds, repeat=8)


def monai_against_ours(rounds: int = 20) -> tuple[float, float]:
    """Seconds a slice of MONAI's composition, and ours."""
    from monai import transforms as M

    keys, angle = ["image", "mask"], np.radians(ROTATE)
    # Points twice the filter's width apart, joined by its bicubic interpolation, vary about as slowly as our field.
    magnitude = np.sqrt(3) * DISPLACEMENT  # of a uniform distribution
    pipeline = M.Compose(
        [
            M.RandFlipd(keys, prob=1, spatial_axis=1),
            M.Rand2DElasticd(
                keys, spacing=(2 * SMOOTHNESS, 2 * SMOOTHNESS), magnitude_range=(magnitude, magnitude), prob=1,
                rotate_range=angle, scale_range=[(SCALE[0] - 1, SCALE[1] - 1)] * 2,
                translate_range=[SHIFT * size for size in SHAPE],
                mode=["bilinear", "nearest"], padding_mode="zeros",
            ),
            M.RandAdjustContrastd("image", prob=1, gamma=GAMMA),
            M.RandGaussianNoised("image", prob=1, std=NOISE),
        ]
    )  # fmt: skip
    pipeline.set_random_state(0)
    image, mask = _slice()
    sample = {"image": torch.from_numpy(image.transpose(2, 0, 1).copy()), "mask": torch.from_numpy(mask[None].copy())}
    return in_turns(lambda: pipeline(sample), _ours(), rounds, repeat=8)


def batch_copy_against_fetch(rounds: int = 100) -> tuple[float, float]:
    """Seconds to stack eight ready slices, and to fetch eight from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = _dataset(Path(folder))
        keys = [(0, index) for index in range(0, len(dataset), len(dataset) // 8)][:8]
        ready = [dataset[key] for key in keys]
        images, masks = [s["image"].numpy() for s in ready], [s["mask"].numpy() for s in ready]

        def copy() -> tuple[torch.Tensor, torch.Tensor]:
            return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))

        return in_turns(copy, lambda: collate(dataset.__getitems__(keys)), rounds)


def in_turns(
    peer: Callable[[], object], ours: Callable[[], object], rounds: int, repeat: int = 1
) -> tuple[float, float]:
    """Median seconds of a call on one core, taking turns of `repeat` calls; the first round warms up."""
    cv2_threads, torch_threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    seconds = [(_seconds(peer, repeat), _seconds(ours, repeat)) for _ in range(rounds + 1)][1:]
    cv2.setNumThreads(cv2_threads)
    torch.set_num_threads(torch_threads)
    theirs, mine = zip(*seconds, strict=True)
    return statistics.median(theirs), statistics.median(mine)


def _seconds(function: Callable[[], object], repeat: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeat):
        function()
    return (time.perf_counter() - begin) / repeat


def _ours() -> Callable[[], object]:
    augment = Augmentation(
        warp_probability=1, rotate_deg=ROTATE, scale=SCALE, shift=SHIFT, flip_left_right=1,
        elastic=2 * DISPLACEMENT, smoothness=SMOOTHNESS,  # drawn from 0 to twice the fixed one of the others
        intensity_probability=0, effects={"gamma": Gamma(1, GAMMA), "noise": GaussianNoise(1, NOISE)},
    )  # fmt: skip
    image, mask = _slice()
    numbers = iter(range(10**9))
    # as the data set calls it, with a generator made anew for each slice
    return lambda: augment(image, mask, np.random.default_rng((0, 0, next(numbers))))


def _slice() -> tuple[np.ndarray, np.ndarray]:
    """Something smooth between 0 and 1 with a mask of 4 classes."""
    rows, columns = np.indices(SHAPE, np.float32)
    image = 0.5 + 0.25 * np.sin(rows / 9) + 0.25 * np.cos(columns / 13)
    return image[..., None].astype(np.float32), np.digitize(image, [0.3, 0.5, 0.7]).astype(np.uint8)


def _dataset(folder: Path, volumes: int = 4, slices: int = 16) -> SliceDataset:
    """The cache of a few int16 scans, read once so that it is warm."""
    rng, cases = np.random.default_rng(0), []
    for number in range(volumes):
        image, mask = folder / f"{number}.nii", folder / f"{number}_mask.nii"
        # raw axes run to the right, front and top: slices are sagittal, rows come from the last axis
        shape = (slices, SHAPE[1], SHAPE[0])
        nib.save(nib.Nifti1Image(rng.integers(0, 2000, shape).astype(np.int16), np.eye(4)), image)
        nib.save(nib.Nifti1Image(rng.integers(0, 4, shape).astype(np.uint8), np.eye(4)), mask)
        names = {1: "vertebra", 2: "canal", 3: "disc"}
        cases.append(Case(str(number), str(number), ((image,),), (MaskFiles((mask,), names),)))
    cache = build(cases, LabelMap(tuple(names.values())), Preprocessing(), folder / "cache", progress=False)
    dataset = SliceDataset(cache, range(volumes))
    for index in range(len(dataset)):
        dataset[index]
    return dataset


def main() -> None:
    """Measure and print peer, ours, ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    table = Table(title="ms, medians, one core", title_justify="left")
    for column in ("what", "peer", "ours", "peer / ours", "aim"):
        table.add_column(column, justify="left" if column in ("what", "aim") else "right")
    for name, measure, aim in (
        ("flip, affine, elastic, gamma, noise: albumentations", albumentations_against_ours, "at least 4"),
        ("flip, affine, elastic, gamma, noise: MONAI", monai_against_ours, "at least 10"),
        ("batch of 8: copy", batch_copy_against_fetch, "at least 0.5"),
    ):
        peer, ours = measure(rounds)
        table.add_row(name, f"{1000 * peer:.3f}", f"{1000 * ours:.3f}", f"{peer / ours:.2f}", aim)
    Console().print(table)


if __name__ == "__main__":
    main()
