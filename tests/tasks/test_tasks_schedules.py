"""Learning-rate schedules."""

from __future__ import annotations

import pytest
import torch

from spinelab.tasks.schedules import constant, cosine, poly


def rates(schedule, steps: int, **options) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, steps, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_keeps_the_rate():
    assert rates(constant, 5) == [2.0] * 5


def test_cosine_warms_up_linearly_and_ends_near_zero():
    found = rates(cosine, 100, warmup=0.1)
    assert found[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert found[55] == pytest.approx(1.0)  # half of the way down
    assert found[-1] < 0.01
    assert found[10:] == sorted(found[10:], reverse=True)


def test_poly_follows_its_formula():
    assert rates(poly, 10)[5] == pytest.approx(2 * 0.5**0.9)


def test_warmup_is_a_fraction():
    with pytest.raises(ValueError, match="fraction"):
        rates(cosine, 10, warmup=3)
