"""Every launcher gives the runs, the scores and the W&B runs that single commands give."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests_shared import write_disc
from tests_sweeps import assert_same, cases, finish, folders, tiny
from wandb.proto import wandb_internal_pb2

from spinelab.run_state import run_state

SEEDS = (0, 1, 2)
BLOCK, FULL, LAST = 32 * 1024, 1, 4
WRONG = -5  # no random generator takes it


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("launchers") / "discs"
    for number in range(6):
        write_disc(root, f"sub-{number}", np.random.default_rng(number))
    return root


@pytest.fixture(scope="module")
def single(root, tmp_path_factory) -> Path:
    """Three single `spinelab train` commands."""
    runs = tmp_path_factory.mktemp("single") / "runs"
    for seed in SEEDS:
        assert finish([*tiny(root, runs), f"seed={seed}", "logger=none"], runs.parent / "log.txt") == 0
    return runs


@pytest.mark.parametrize(
    "launcher",
    [
        "basic",
        "cores",
        pytest.param("local", marks=pytest.mark.slow),
        pytest.param("ray_local", marks=pytest.mark.slow),
    ],
)
def test_three_jobs_and_one_that_fails(root, single, tmp_path, launcher):
    runs, log = tmp_path / "runs", tmp_path / "log.txt"
    seeds = f"seed={','.join(str(seed) for seed in (SEEDS[0], WRONG, *SEEDS[1:]))}"
    arguments = ["-m", *tiny(root, runs), seeds, "sweep=three", f"hydra/launcher={launcher}"]
    assert finish(arguments, log, 400) == 1, log.read_text()
    assert_same(cases(single), cases(runs))
    assert_failed(tmp_path, log.read_text())
    found = [wandb_run(folder) for name, folder in sorted(folders(runs).items()) if f"s{WRONG}" not in name]
    assert len({run.run_id for run in found}) == 3
    for seed, run in zip(SEEDS, found, strict=True):
        assert (run.run_group, run.job_type) == ("three", "train")
        assert {f"seed{seed}", "fold0", "discs"} == set(run.tags)
    assert (runs / "sweeps" / "three" / "comparison" / "index.html").is_file()


def test_jobs_side_by_side_make_their_data_by_several_processes(tmp_path):
    runs = tmp_path / "runs"
    overrides = [
        "data=phantom", "data.generate.persons=6", f"paths.data={tmp_path / 'cache'}", f"paths.runs={runs}",
        "data.preprocessing.crop=[32,32]", "model.base=4", "trainer=smoke", "trainer.max_epochs=1", "logger=none",
        "callbacks.panels=null", "callbacks.progress=null", "processes=2", "threads=1", "loader.num_workers=1",
    ]  # fmt: skip
    log = tmp_path / "log.txt"
    assert finish(["-m", *overrides, "seed=0,1", "hydra/launcher=cores"], log, 400) == 0, log.read_text()
    assert len(list(runs.rglob("cases.parquet"))) == 2


def assert_failed(tmp_path: Path, printed: str) -> None:
    """The job with the impossible seed is marked and told of; nothing stands in its table of cases."""
    sweep = tmp_path / "runs" / "sweeps" / "three"
    jobs = json.loads((sweep / "sweep.json").read_text())["jobs"]
    states = {job["run"].rsplit("-", 1)[0][-5:]: run_state((sweep / job["run"]).resolve()) for job in jobs}
    failed = [state for state in states.values() if state.name == "failed"]
    assert len(jobs) == 4
    assert len(failed) == 1
    assert str(WRONG) in failed[0].reason
    assert "1 of 4 jobs failed" in printed
    assert failed[0].reason.splitlines()[0] in printed


def wandb_run(folder: Path) -> wandb_internal_pb2.RunRecord:
    """What was recorded of the one offline W&B run of a run folder, the last word counting."""
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    found = None
    for data in records(file.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        if record.WhichOneof("record_type") == "run":
            found = record.run
    assert found is not None
    return found


def records(data: bytes) -> Iterator[bytes]:
    """Records of a W&B file, which is a LevelDB log: blocks of 32 KiB of chunks (checksum, length, kind, content)."""
    at, parts = 7, b""
    while at + 7 <= len(data):
        if (left := BLOCK - at % BLOCK) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (FULL, LAST):
            yield parts
            parts = b""


def test_a_launcher_that_cannot_start_is_told_once(root, tmp_path):
    log = tmp_path / "log.txt"
    arguments = ["-m", *tiny(root, tmp_path / "runs"), "seed=0,1", "hydra/launcher=slurm"]
    assert finish(arguments, log) == 2
    assert log.read_text().count("srun") == 1
    assert not folders(tmp_path / "runs")
