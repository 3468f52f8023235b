"""The state that gathers volumes from slices, and the way from volumes to one number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spinelab.metrics.aggregate import foreground_dice, mean_over_persons, volume_scores
from spinelab.metrics.overlap import SCORES
from spinelab.metrics.volume import VolumeConfusion

VOLUMES, CLASSES = 4, 3
Slices = tuple[Tensor, Tensor, Tensor, Tensor]


def slices(seed: int, count: int = 12, classes: int = CLASSES) -> Slices:
    """Prediction, target, volume and size of slices in mixed order; what is padding holds rubbish on purpose."""
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=(count, 9, 7))
    prediction = np.where(rng.random(target.shape) < 0.5, target, rng.integers(classes, size=target.shape))
    size = np.stack([rng.integers(1, 10, count), rng.integers(1, 8, count)], axis=1)
    volume = rng.integers(VOLUMES - 1, size=count)  # the last volume has no slice
    return tuple(torch.from_numpy(x) for x in (prediction, target, volume, size))  # type: ignore[return-value]


def brute_force(batch: Slices, classes: int = CLASSES) -> Tensor:
    matrix = torch.zeros(VOLUMES, classes, classes, dtype=torch.int64)
    for prediction, target, volume, size in zip(*batch, strict=True):
        for row in range(size[0]):
            for column in range(size[1]):
                matrix[volume, target[row, column], prediction[row, column]] += 1
    return matrix


def gathered(*batches: Slices, classes: int = CLASSES) -> Tensor:
    metric = VolumeConfusion(VOLUMES, classes)
    for batch in batches:
        metric.update(*batch)
    return metric.compute()


def part(batch: Slices, index: slice | Tensor) -> Slices:
    return tuple(x[index] for x in batch)  # type: ignore[return-value]


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_is_brute_force_and_ignores_padding(classes: int) -> None:
    batch = slices(seed=3, classes=classes)
    assert torch.equal(gathered(batch, classes=classes), brute_force(batch, classes))


def test_is_int64_and_empty_for_an_unseen_volume() -> None:
    confusions = gathered(slices(seed=5))
    assert confusions.dtype == torch.int64
    assert confusions.shape == (VOLUMES, CLASSES, CLASSES)
    assert confusions[-1].sum() == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 11))
def test_neither_batches_nor_order_matter(seed: int, cut: int) -> None:
    batch = slices(seed)
    whole = gathered(batch)
    assert torch.equal(gathered(part(batch, slice(0, cut)), part(batch, slice(cut, None))), whole)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(12))
    assert torch.equal(gathered(part(batch, order)), whole)


def test_processes_add_up() -> None:
    """Distributed training gathers the states of all processes and reduces each by its declared function."""
    batch = slices(seed=9)
    first, second = VolumeConfusion(VOLUMES, CLASSES), VolumeConfusion(VOLUMES, CLASSES)
    first.update(*part(batch, slice(0, 5)))
    second.update(*part(batch, slice(5, None)))
    reduce = first._reductions["confusions"]
    assert reduce is not None
    gathered_state = reduce(torch.stack([first.compute(), second.compute()]))
    assert torch.equal(gathered_state, gathered(batch))
    first.merge_state(second)
    assert torch.equal(first.compute(), gathered(batch))


def test_reset_and_what_compute_returned() -> None:
    batch = slices(seed=15)
    metric = VolumeConfusion(VOLUMES, CLASSES)
    metric.update(*batch)
    before = metric.compute()
    kept = before.clone()
    metric.update(*batch)
    assert torch.equal(before, kept)
    assert torch.equal(metric.compute(), 2 * kept)
    metric.reset()
    metric.update(*batch)
    assert torch.equal(metric.compute(), kept)


@pytest.mark.parametrize(
    ("position", "value", "words"),
    [(0, 3, "prediction"), (1, -1, "target"), (2, VOLUMES, "volume"), (3, 10, "height|width")],
)
def test_index_out_of_range(position: int, value: int, words: str) -> None:
    batch = slices(seed=1)
    batch[position].view(-1)[0] = value
    with pytest.raises(ValueError, match=words):
        gathered(batch)


def test_shapes_that_do_not_fit() -> None:
    prediction, target, volume, size = slices(seed=1)
    for bad in (
        (prediction, target[:, :5], volume, size),
        (prediction, target, volume[:1], size),
        (prediction, target, volume, size[:, :1]),
        (prediction[0], target[0], volume, size),
    ):
        with pytest.raises(ValueError, match="expected"):
            gathered(bad)
    with pytest.raises(ValueError, match="at least"):
        VolumeConfusion(0, 2)


def confusions(*cells: tuple[int, int, int, int]) -> Tensor:
    """One two-class matrix for each (tp, fp, fn, tn)."""
    return torch.tensor([[[tn, fp], [fn, tp]] for tp, fp, fn, tn in cells])


def test_records_by_hand() -> None:
    records = volume_scores(confusions((6, 2, 4, 88), (0, 5, 0, 95)), {"cord": (1,)})
    assert len(records) == 2 * len(SCORES)
    assert records[0] == {
        "volume": 0,
        "class": "cord",
        "metric": "dice",
        "value": pytest.approx(12 / 18),
        "state": "present",
    }
    second = {r["metric"]: r["value"] for r in records if r["volume"] == 1}
    assert {r["state"] for r in records if r["volume"] == 1} == {"false_alarm"}
    assert second["dice"] == 0
    assert second["sensitivity"] is None


def test_records_of_a_united_region() -> None:
    """Grey matter taken for white is a mistake in each, and none in the cord that they make up."""
    matrix = torch.tensor([[[90, 0, 0], [0, 0, 6], [0, 0, 4]]])
    values = {
        r["class"]: r["value"]
        for r in volume_scores(matrix, {"cord": (1, 2), "white": (1,), "grey": (2,)})
        if r["metric"] == "dice"
    }
    assert values == {"cord": 1.0, "white": 0.0, "grey": pytest.approx(8 / 14)}


def test_mean_over_persons_by_hand() -> None:
    """Person a has three scans and counts once: (mean(1, 1, 0.4) + 0.2) / 2, not 0.65. Person c has no value."""
    mean, persons = mean_over_persons([1.0, 1.0, 0.4, 0.2, None, None], ["a", "a", "a", "b", "b", "c"])
    assert mean == pytest.approx(0.5, abs=1e-12)
    assert persons == 2


def test_mean_over_nobody() -> None:
    assert mean_over_persons([None, None], ["a", "b"]) == (None, 0)
    assert mean_over_persons([], []) == (None, 0)


def test_one_person_a_value() -> None:
    with pytest.raises(ValueError, match="one person a value"):
        mean_over_persons([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="one person a value"):
        foreground_dice(confusions((1, 0, 0, 0)), {"cord": (1,)}, [])


def test_foreground_dice_by_hand() -> None:
    """Dice of the three volumes: 2/3, 1 and 0; persons a (5/6) and b (0)."""
    matrices = confusions((6, 2, 4, 88), (10, 0, 0, 90), (0, 0, 10, 90))
    assert foreground_dice(matrices, {"cord": (1,)}, ["a", "a", "b"]) == pytest.approx(5 / 12, abs=1e-12)


def test_foreground_dice_leaves_out_what_is_nowhere() -> None:
    matrix = torch.zeros(1, 3, 3, dtype=torch.int64)
    matrix[0, 0, 0], matrix[0, 1, 1], matrix[0, 1, 0] = 90, 6, 4
    assert foreground_dice(matrix, {"one": (1,), "two": (2,)}, ["a"]) == pytest.approx(12 / 16)
    assert foreground_dice(matrix, {"two": (2,)}, ["a"]) == 0.0
