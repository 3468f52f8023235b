from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinelab.data.slices import sampler as module
from spinelab.data.slices.sampler import SliceSampler


def _draw(length, rank, world, *, shuffle, epoch=0, seed=0):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_rank_and_world", lambda: (rank, world))
        sampler = SliceSampler(length, shuffle=shuffle, seed=seed)
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == len(sampler)
    assert {key[0] for key in drawn} <= {epoch}
    return [key[1] for key in drawn]


@given(length=st.integers(0, 40), world=st.integers(1, 5), epoch=st.integers(0, 9), seed=st.integers(0, 9))
def test_training_is_even_and_disjoint(length, world, epoch, seed):
    ranks = [_draw(length, rank, world, shuffle=True, epoch=epoch, seed=seed) for rank in range(world)]
    assert {len(indices) for indices in ranks} == {length // world}
    drawn = list(itertools.chain(*ranks))
    assert len(set(drawn)) == len(drawn) > length - world
    assert set(drawn) <= set(range(length))


@given(length=st.integers(0, 40), world=st.integers(1, 5))
def test_evaluation_draws_each_slice_exactly_once(length, world):
    ranks = [_draw(length, rank, world, shuffle=False) for rank in range(world)]
    assert sorted(itertools.chain(*ranks)) == list(range(length))
    assert all(indices == sorted(indices) for indices in ranks)


def test_order_changes_with_epoch_and_seed_only():
    first = _draw(50, 0, 1, shuffle=True, epoch=1, seed=2)
    assert first != sorted(first)
    assert sorted(first) == list(range(50))
    assert first == _draw(50, 0, 1, shuffle=True, epoch=1, seed=2)
    assert first != _draw(50, 0, 1, shuffle=True, epoch=2, seed=2)
    assert first != _draw(50, 0, 1, shuffle=True, epoch=1, seed=3)


def test_processes_share_the_order_of_one():
    alone = _draw(51, 0, 1, shuffle=True)
    assert [_draw(51, rank, 2, shuffle=True) for rank in (0, 1)] == [alone[0:50:2], alone[1:50:2]]
