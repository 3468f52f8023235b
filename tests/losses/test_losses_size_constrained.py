"""Weak supervision: seeds and bounds against brute force, the penalty against numpy, and what the loss must not see."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from spinelab.losses.cross_entropy import CrossEntropy
from spinelab.losses.seeds import innermost
from spinelab.losses.size_constrained import Bounds, SizeConstrained, common_bounds
from spinelab.models.unet import unet
from spinelab.phantom.dataset import generate

CLASSES = 4
SIZES = [[0.05, 0.3], [0.01, 0.2], [0.02, 0.5]]
MODES: tuple[Bounds, ...] = ("partial", "loose", "size", "precise")


def make(bounds: Bounds, **options: float) -> SizeConstrained:
    return SizeConstrained(bounds, SIZES if bounds == "size" else None, **options)  # type: ignore[arg-type]


def discs() -> Tensor:
    """(2, 32, 40): two discs and a bar; the second slice lacks class 3."""
    rows, columns = np.mgrid[:32, :40]
    mask = np.zeros((2, 32, 40), dtype=np.int64)
    mask[:, (rows - 10) ** 2 + (columns - 11) ** 2 < 50] = 1
    mask[:, (rows - 22) ** 2 + (columns - 29) ** 2 < 36] = 2
    mask[0, 2:5, 20:38] = 3
    return torch.from_numpy(mask)


def noise(target: Tensor, seed: int = 0) -> Tensor:
    shape = (len(target), CLASSES, *target.shape[1:])
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def logits_of_size(size: float, area: tuple[int, int] = (16, 20)) -> Tensor:
    """(1, 2, H, W): foreground has the same probability everywhere, and that size in all."""
    part = torch.tensor(size / (area[0] * area[1]))
    return torch.stack([(1 - part).log(), part.log()]).view(1, 2, 1, 1).expand(1, 2, *area).clone().requires_grad_()


def square(pixels: int = 36) -> Tensor:
    """(1, 16, 20) with a square of class 1."""
    target = torch.zeros(1, 16, 20, dtype=torch.int64)
    side = round(pixels**0.5)
    target[0, 4 : 4 + side, 5 : 5 + side] = 1
    return target


def size_term(loss: SizeConstrained, logits: Tensor, target: Tensor) -> Tensor:
    """The loss without what the seeds give."""
    return loss(logits, target) - SizeConstrained("partial", seed_pixels=loss.seed_pixels)(logits, target)


def brute_depth(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Erosions that each pixel outlives, one after the other; nothing erodes from the edge."""
    depth, left = np.zeros(mask.shape, dtype=np.int64), mask
    while True:
        left = ndimage.binary_erosion(left, np.ones((3, 3)), border_value=1)
        if not left.any() or left.all():
            return depth
        depth += left


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_seeds_are_the_innermost_pixels_of_each_class(seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    blobs = ndimage.zoom(rng.integers(0, CLASSES, (2, 5, 6)), (1, 5, 5), order=0)
    seeds = innermost(torch.from_numpy(blobs), CLASSES, pixels).numpy()
    assert not seeds[blobs == 0].any()
    for mask, marked in zip(blobs, seeds, strict=True):
        for index in range(1, CLASSES):
            mine = mask == index
            chosen = mine & marked
            assert chosen.sum() == min(pixels, mine.sum())
            depth = brute_depth(mine)
            if 0 < chosen.sum() < mine.sum():
                assert depth[chosen].min() >= depth[mine & ~chosen].max()


def test_seeds_depend_on_nothing_but_the_own_slice() -> None:
    target = discs()
    seeds = innermost(target, CLASSES, 9)
    assert torch.equal(seeds, innermost(target.clone(), CLASSES, 9))
    assert torch.equal(seeds.flip(0), innermost(target.flip(0), CLASSES, 9))
    assert torch.equal(seeds[1:], innermost(target[1:], CLASSES, 9))


def test_a_slice_of_one_class_has_seeds_too() -> None:
    assert innermost(torch.ones(1, 16, 20, dtype=torch.int64), CLASSES, 9).sum() == 9


def test_seeds_move_with_the_mask() -> None:
    moved = functional.pad(discs(), (3, 0, 4, 0))
    assert torch.equal(innermost(moved, CLASSES, 9), functional.pad(innermost(discs(), CLASSES, 9), (3, 0, 4, 0)))


@pytest.mark.parametrize("bounds", MODES)
def test_is_numpy(bounds: Bounds) -> None:
    """Cross-entropy on the seeds, and (V - b)² / (W H) with the paper's factor, by hand."""
    target = discs()
    logits = 2 * noise(target)
    p = np.exp(logits.double().numpy())
    p /= p.sum(axis=1, keepdims=True)
    seeds = innermost(target, CLASSES, 12).numpy()
    truth, area = target.numpy(), 32 * 40
    expected = -np.mean([np.log(p[b, truth[b, r, c], r, c]) for b, r, c in zip(*np.nonzero(seeds), strict=True)])
    for b in range(2):
        for index in range(1, CLASSES):
            size, true = p[b, index].sum(), (truth[b] == index).sum()
            low, high = {
                "partial": (0, area),
                "loose": (1, area),
                "size": tuple(area * part for part in SIZES[index - 1]),
                "precise": (0.9 * true, 1.1 * true),
            }[bounds]
            if true == 0 and bounds != "partial":
                low, high = 0, 0
            outside = max(size - high, low - size, 0.0)
            expected += 0.01 * outside**2 / area / 2
    assert make(bounds)(logits, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bounds", ["loose", "size", "precise"])
def test_nothing_within_the_bounds(bounds: Bounds) -> None:
    target = square(36)
    loss = SizeConstrained(bounds, [[0.1, 0.13]] if bounds == "size" else None, penalty=100)
    logits = logits_of_size(37.0)
    term = size_term(loss, logits, target)
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-7


@pytest.mark.parametrize(
    ("bounds", "size", "bound"),
    [("loose", 0.5, 1.0), ("size", 20.0, 32.0), ("size", 60.0, 48.0), ("precise", 20.0, 32.4), ("precise", 60.0, 39.6)],
)
def test_pushes_towards_the_bound_that_was_left(bounds: Bounds, size: float, bound: float) -> None:
    target = square(36)
    loss = SizeConstrained(bounds, [[0.1, 0.15]] if bounds == "size" else None, penalty=1)
    logits = logits_of_size(size)
    term = size_term(loss, logits, target)
    term.backward()
    assert term.item() == pytest.approx((size - bound) ** 2 / 320, rel=1e-3)
    assert logits.grad is not None
    of_class = logits.grad[:, 1]  # descent raises a logit whose gradient is negative
    assert (of_class < 0).all() if size < bound else (of_class > 0).all()


@pytest.mark.parametrize("bounds", ["loose", "size", "precise"])
def test_a_class_that_the_slice_does_not_show_is_pushed_to_nothing(bounds: Bounds) -> None:
    logits = logits_of_size(10.0)
    loss = SizeConstrained(bounds, [[0.1, 0.15]] if bounds == "size" else None, penalty=1)
    value = loss(logits, torch.zeros(1, 16, 20, dtype=torch.int64))
    value.backward()
    assert value.item() == pytest.approx(100 / 320, rel=1e-4)
    assert logits.grad is not None
    assert (logits.grad[:, 1] > 0).all()


def test_partial_is_cross_entropy_with_all_other_pixels_ignored() -> None:
    target = discs()
    logits = noise(target)
    seeds = innermost(target, CLASSES, 12)
    ignored = torch.where(seeds, target, -1)
    expected = functional.cross_entropy(logits, ignored, ignore_index=-1)
    torch.testing.assert_close(SizeConstrained("partial")(logits, target), expected)


def test_a_batch_without_seeds_has_a_gradient_and_no_loss() -> None:
    logits = noise(discs()).requires_grad_()
    loss = SizeConstrained("partial")(logits, torch.zeros_like(discs()))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def with_bump(row: int, column: int) -> Tensor:
    """(1, 32, 40): a square of class 1 and a disc of class 2, and one more pixel of class 1 somewhere beside them."""
    target = torch.zeros(1, 32, 40, dtype=torch.int64)
    target[0, 6:18, 8:20] = 1
    target[0, 20:29, 24:35] = 2
    target[0, row, column] = 1
    return target


BUMPS = st.sampled_from([(row, column) for row in (0, 2, 5, 18, 30) for column in (2, 7, 13, 20, 38)])


@settings(max_examples=30, deadline=None)
@given(BUMPS, BUMPS, st.sampled_from(MODES))
def test_two_masks_of_the_same_seeds_and_sizes_are_one(
    one: tuple[int, int], two: tuple[int, int], mode: Bounds
) -> None:
    """What a weak annotator cannot know reaches neither the loss nor its gradient."""
    values, gradients = [], []
    for target in (with_bump(*one), with_bump(*two)):
        logits = noise(target).requires_grad_()
        value = make(mode)(logits, target)
        value.backward()
        values.append(value)
        gradients.append(logits.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)


@pytest.mark.parametrize(("bounds", "same"), [("partial", True), ("loose", True), ("size", True), ("precise", False)])
def test_only_precise_knows_true_sizes(bounds: Bounds, same: bool) -> None:
    target, smaller = with_bump(2, 7), with_bump(6, 8)
    assert (target == 1).sum() == (smaller == 1).sum() + 1
    logits = 3 * noise(target)
    assert torch.equal(make(bounds)(logits, target), make(bounds)(logits, smaller)) == same


def test_common_bounds_are_the_extremes_with_slack() -> None:
    pixels = torch.tensor([[80, 20, 0], [60, 30, 10], [50, 0, 50], [100, 0, 0]])
    found = common_bounds(pixels)
    assert found == [pytest.approx((0.18, 0.33)), pytest.approx((0.09, 0.55))]
    assert common_bounds(pixels, slack=1.0) == [pytest.approx((0, 0.6)), pytest.approx((0, 1.0))]
    for part in pixels:  # the slices that they come from lie within
        size = part[1:]
        low, high = SizeConstrained("size", found).limits(torch.arange(3).repeat_interleave(part).view(1, 10, 10), 3)
        assert ((low <= size) & (size <= high)).all()


def test_common_bounds_of_an_unseen_class_are_refused() -> None:
    with pytest.raises(ValueError, match=r"classes \[2\]"):
        common_bounds(torch.tensor([[80, 20, 0], [60, 40, 0]]))


@pytest.mark.parametrize(
    "options",
    [
        {"bounds": "exact"},
        {"bounds": "size"},
        {"bounds": "precise", "sizes": SIZES},
        {"bounds": "size", "sizes": [[0.3, 0.1]]},
        {"bounds": "size", "sizes": [[0.3]]},
        {"bounds": "size", "sizes": [[10, 20]]},
        {"seed_pixels": 0},
        {"penalty": -1.0},
        {"slack": 1.5},
    ],
)
def test_bad_arguments_of_the_size_constraint(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        SizeConstrained(**options)  # type: ignore[arg-type]


def test_sizes_of_another_number_of_classes() -> None:
    with pytest.raises(ValueError, match="3 pairs, there are 1"):
        make("size")(noise(discs())[:, :2], discs().clamp_max(1))


def phantom_slices(root: Path, persons: int) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 37, 64) and SPIDER's three classes (N, 37, 64) of a phantom, in pixels of 3 mm."""
    generate(root, persons=persons, progress=False, processes=1)
    images, masks = [], []
    for scan in sorted(root.glob("sub-*/anat/*_T2w.nii.gz")):
        mask = root / "derivatives/labels" / scan.relative_to(root).with_name(scan.name.replace("T2w", "T2w_dseg"))
        image = np.asarray(nib.load(scan).dataobj, dtype=np.float32)
        images.append(torch.from_numpy((image - image.mean()) / image.std()).unsqueeze(1))
        raw = np.asarray(nib.load(mask).dataobj).astype(np.int64)
        masks.append(torch.from_numpy(np.array([0, 1, 2, 3, 3, 1, 1, 3, 3, 1])[raw]))
    image, target = functional.avg_pool2d(torch.cat(images), 3), torch.cat(masks)[:, 1::3, 1::3]
    return image, target[:, : image.shape[2], : image.shape[3]]


def trained_dice(loss: nn.Module, image: Tensor, target: Tensor, training: int, epochs: int) -> float:
    """Train a small U-Net on the first slices; mean Dice over classes on the others, all pixels counted together."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = unet(1, CLASSES, base=8, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, epochs * -(-training // 8))
    for _ in range(epochs):
        for part in torch.randperm(training, generator=generator).split(8):
            optimizer.zero_grad()
            loss(network(image[part]), target[part]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        found = network.eval()(image[training:]).argmax(dim=1)
    pairs = [(found == index, target[training:] == index) for index in range(1, CLASSES)]
    return float(np.mean([(2 * (a & b).sum() / (a.sum() + b.sum())).item() for a, b in pairs]))


@pytest.mark.slow
def test_the_more_is_known_of_sizes_the_better(tmp_path: Path) -> None:
    """Partial < loose < size < precise < full supervision on the phantom: 12 persons train, 4 other ones are scored."""
    image, target = phantom_slices(tmp_path / "phantom", persons=16)
    training = len(image) * 3 // 4
    counts = torch.stack([(target[:training] == index).sum(dim=(1, 2)) for index in range(CLASSES)], dim=1)
    losses = [SizeConstrained(mode, common_bounds(counts) if mode == "size" else None) for mode in MODES]
    dice = [trained_dice(loss, image, target, training, epochs=16) for loss in (*losses, CrossEntropy())]
    assert all(worse < better for worse, better in pairwise(dice)), dice
