"""How many jobs run at the same time, and how many threads each gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from tests_sweeps import finish, folders, tiny

from spinelab.groups import conf_dir
from spinelab.sweeps import threads
from spinelab.sweeps.threads import at_once, batch_size, threads_each


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 8)


def config(*overrides: str) -> DictConfig:
    """A multirun's configuration, Hydra's own part included."""
    with initialize_config_dir(str(conf_dir())):
        return compose("train", ["sweep=x", *overrides], return_hydra_config=True)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["hydra/launcher=basic"], 1),
        (["hydra/launcher=cores"], 8),
        (["hydra/launcher=joblib"], 8),
        (["hydra/launcher=cores", "hydra.launcher.n_jobs=-3"], 6),
        (["hydra/launcher=cores", "hydra.launcher.n_jobs=2"], 2),
        (["hydra/launcher=local"], 8),
        (["hydra/launcher=local", "hydra.launcher.cpus_per_task=4"], 2),
        (["hydra/launcher=ray_local"], 8),
        (["hydra/launcher=ray_local", "hydra.launcher.ray.remote.num_cpus=3"], 2),
        (["hydra/launcher=gpus"], 1),  # as many as there are GPUs, which is not asked here
        (["hydra/launcher=slurm"], 1),  # each has a machine, or a part of one, to itself
    ],
)
def test_jobs_at_once(overrides, expected):
    assert at_once(config(*overrides)) == expected


def test_threads_together_are_the_cores():
    two = config("hydra/launcher=cores", "hydra.launcher.n_jobs=2")
    assert threads_each(two, jobs=20) == 4
    assert threads_each(two, jobs=1) is None
    every = config("hydra/launcher=cores")
    assert threads_each(every, jobs=3) == 2, "cores that no job would use help the others"
    assert threads_each(every, jobs=20) == 1
    pairs = config("hydra/launcher=cores", "hydra.launcher.n_jobs=2", "trainer.devices=2")
    assert threads_each(pairs, jobs=20) == 2, "each job has two processes"
    assert threads_each(config(), jobs=20) is None


def test_only_what_has_no_queue_gets_its_jobs_in_batches():
    assert batch_size(config("hydra/launcher=cores")) is None
    assert batch_size(config("hydra/launcher=slurm")) is None
    assert batch_size(config("hydra/launcher=local")) == 8
    assert batch_size(config("hydra/launcher=local", "+hydra.sweeper.max_batch_size=3")) == 3


@pytest.fixture
def counting(monkeypatch, tmp_path):
    """A class that trainings call, which notes the numbers of threads in the job."""
    (tmp_path / "counting.py").write_text(
        "import cv2, torch, threadpoolctl\n"
        "from lightning import Callback\n"
        "class Count(Callback):\n"
        "    def on_train_epoch_end(self, trainer, task):\n"
        "        pools = sorted({pool['num_threads'] for pool in threadpoolctl.threadpool_info()})\n"
        "        print(f'threads: {torch.get_num_threads()} {pools}')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SPINELAB_TRUST", "counting.*")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_a_job_computes_with_the_threads_it_is_given(counting, discs, tmp_path):
    runs = tmp_path / "runs"
    own = ["+callbacks.count={_target_: counting.Count}", "logger=none", "hydra/launcher=cores"]
    arguments = ["-m", *tiny(discs, runs, "threads=null"), *own, "hydra.launcher.n_jobs=2", "seed=0,1"]
    assert finish(arguments, tmp_path / "log.txt") == 0, (tmp_path / "log.txt").read_text()
    share = max(len(__import__("os").sched_getaffinity(0)) // 2, 1)
    for folder in folders(runs).values():
        assert f"threads: {share} [{share}]" in (folder / "log.txt").read_text()
    saved = OmegaConf.load(Path(next(iter(folders(runs).values()))) / "config.yaml")
    assert saved.threads == share
