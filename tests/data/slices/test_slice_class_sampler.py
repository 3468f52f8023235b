from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from spinelab.data.slices import sampler as module
from spinelab.data.slices.sampler import ClassSampler, SliceSampler

# ten slices: 0-1 show class 1 only, 2-5 classes 1 and 2, 6 class 3 only, 7-9 nothing
PIXELS = np.array([[9, 4, 0, 0]] * 2 + [[9, 4, 1, 0]] * 4 + [[9, 0, 0, 1]] + [[13, 0, 0, 0]] * 3)
THIRD = 1 / 3
EXPECTED = {
    "foreground": [THIRD / 7 + 2 * THIRD / 10] * 7 + [2 * THIRD / 10] * 3,
    # four equal chances: class 1 (6 slices), class 2 (4), class 3 (1), empty (3)
    "balanced": [1 / 24] * 2 + [1 / 24 + 1 / 16] * 4 + [1 / 4] + [1 / 12] * 3,
}


def draw(sampler: SliceSampler, epoch: int = 0, rank: int = 0, world: int = 1) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_rank_and_world", lambda: (rank, world))
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(keys) == len(sampler)
        assert {key[0] for key in keys} <= {epoch}
    return [key[1] for key in keys]


@pytest.mark.parametrize("sampling", ["foreground", "balanced"])
def test_proportions_are_the_documented_ones(sampling):
    sampler = ClassSampler(PIXELS, sampling=sampling, seed=1)
    drawn = np.bincount([index for epoch in range(2000) for index in draw(sampler, epoch)], minlength=10)
    assert drawn.sum() == 2000 * 10
    assert chisquare(drawn, 20000 * np.array(EXPECTED[sampling])).pvalue > 0.001
    assert chisquare(drawn, np.full(10, 2000)).pvalue < 1e-9


@pytest.mark.parametrize("sampling", ["foreground", "balanced"])
def test_proportions_without_empty_slices(sampling):
    sampler = ClassSampler(PIXELS, sampling=sampling, empty=0)
    drawn = np.bincount([index for epoch in range(2000) for index in draw(sampler, epoch)], minlength=10)
    assert drawn.sum() == 2000 * 7
    assert not drawn[7:].any()
    balanced = np.array([1 / 18] * 2 + [1 / 18 + 1 / 12] * 4 + [1 / 3])
    expected = balanced if sampling == "balanced" else np.full(7, 1 / 7)
    assert chisquare(drawn[:7], 14000 * expected).pvalue > 0.001


@given(length=st.integers(0, 30), seed=st.integers(0, 5), epoch=st.integers(0, 5), world=st.integers(1, 3))
def test_the_default_is_the_plain_sampler(length, seed, epoch, world):
    pixels = np.random.default_rng(length).integers(0, 2, (length, 3))
    plain, ours = SliceSampler(length, shuffle=True, seed=seed), ClassSampler(pixels, seed=seed)
    for rank in range(world):
        assert draw(plain, epoch, rank, world) == draw(ours, epoch, rank, world)


def test_part_of_the_empty_slices_is_new_in_each_epoch():
    sampler = ClassSampler(PIXELS, empty=2 / 3)
    seen = [sorted(draw(sampler, epoch)) for epoch in range(20)]
    assert all(len(set(order)) == 9 and order[:7] == list(range(7)) for order in seen)
    assert {tuple(order[7:]) for order in seen} == {(7, 8), (7, 9), (8, 9)}


@pytest.mark.parametrize("sampling", ["uniform", "foreground", "balanced"])
def test_processes_share_one_draw(sampling):
    sampler = ClassSampler(PIXELS, sampling=sampling, seed=4)
    alone = draw(sampler, 3)
    ranks = [draw(sampler, 3, rank, 2) for rank in (0, 1)]
    assert list(itertools.chain(*zip(*ranks, strict=True))) == alone
    assert alone == draw(ClassSampler(PIXELS, sampling=sampling, seed=4), 3)
    assert alone != draw(sampler, 4)
    assert alone != draw(ClassSampler(PIXELS, sampling=sampling, seed=5), 3)


def test_without_foreground_all_slices_are_alike():
    empty = np.array([[9, 0]] * 4)
    assert set(draw(ClassSampler(empty, sampling="balanced"), 0)) <= set(range(4))


@pytest.mark.parametrize(
    ("pixels", "settings", "message"),
    [
        (PIXELS, {"sampling": "fair"}, "uniform, foreground, balanced"),
        (PIXELS, {"empty": 1.5}, r"in \[0, 1\]"),
        (PIXELS[7:], {"empty": 0}, "every slice is empty"),
    ],
)
def test_bad_arguments(pixels, settings, message):
    with pytest.raises(ValueError, match=message):
        ClassSampler(pixels, **settings)


@given(order=st.lists(st.integers(0, 4), max_size=20))
def test_repeats_count_earlier_draws(order):
    counted = module.repeats(np.array(order, dtype=np.int64)).tolist()
    assert counted == [order[:position].count(value) for position, value in enumerate(order)]


def test_a_slice_drawn_again_is_another_sample_on_whichever_process():
    sampler = ClassSampler(PIXELS, sampling="balanced")
    keys = [key for rank in (0, 1) for key in with_keys(sampler, rank)]
    assert len(set(keys)) == len(keys) == 10
    assert max(len(key) for key in keys) == 3


def with_keys(sampler: SliceSampler, rank: int) -> list[tuple[int, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_rank_and_world", lambda: (rank, 2))
        return list(sampler)
