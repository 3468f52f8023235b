"""Two real processes that each see half of the slices hold, after the exchange, what one process holds that saw all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
import torch
import torch.distributed as dist
from spinelab.metrics.volume import VolumeConfusion
from spinelab.metrics.volume_calibration import VolumeCalibration

rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
generator = torch.Generator().manual_seed(0)
probabilities = torch.randn(7, 3, 6, 5, generator=generator, dtype=torch.float64).softmax(dim=1)
target = torch.randint(3, (7, 6, 5), generator=generator)
volume = torch.tensor([2, 0, 2, 0, 1, 2, 0])
size = torch.tensor([[6, 5], [3, 5], [6, 2], [1, 1], [6, 5], [2, 4], [6, 5]])

def filled(slices):
    confusion, calibration = VolumeConfusion(3, 3), VolumeCalibration(3, bins=5)
    for i in slices:
        s = slice(i, i + 1)
        confusion.update(probabilities[s].argmax(dim=1), target[s], volume[s], size[s])
        calibration.update(probabilities[s], target[s], volume[s], size[s])
    return confusion, calibration

together = [metric.compute() for metric in filled(range(rank, 7, 2))]  # an odd number: one process sees a slice more
dist.destroy_process_group()
alone = [metric.compute() for metric in filled(range(7))]
print(json.dumps([[values.flatten().tolist() for values in both] for both in (together, alone)]))
"""


def test_two_processes_are_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), port],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for together, alone in results:
        assert together[0] == alone[0]
        assert sum(together[0]) == 30 + 15 + 12 + 1 + 30 + 8 + 30
        assert together[1] == pytest.approx(alone[1], abs=1e-12)
