"""How many jobs run at the same time, and how many threads each gets."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from threadpoolctl import threadpool_info

from spinelab.config import finish
from spinelab.groups import conf_dir
from spinelab.sweeps import threads
from spinelab.sweeps.job import run_job
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


def test_libraries_of_a_job_get_no_more_threads_than_the_job(tmp_path):
    found: list[set[int]] = []

    def train(given: DictConfig) -> float:
        found.append({pool["num_threads"] for pool in threadpool_info()})
        return 0.5

    one = config(f"paths.runs={tmp_path}", "threads=1")
    one = finish(OmegaConf.masked_copy(one, [str(key) for key in one if key != "hydra"]), one.hydra.runtime.choices)
    assert run_job(one, [], train) == 0.5
    assert found == [{1}]
