"""What submitit would hand to Slurm, and a job that is pre-empted, which needs no cluster."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from tests_sweeps import assert_same, cases, finish, folders, start, tiny

from spinelab.groups import conf_dir


class Rendered(Exception):
    """Stops a launch where the script would be submitted."""


@pytest.fixture
def script(monkeypatch, tmp_path):
    """The text that the launcher would give to sbatch, for some overrides and a number of jobs."""
    from submitit.slurm.slurm import SlurmExecutor

    texts: list[str] = []

    def submit(self, command):
        texts.append(self._make_submission_file_text(command, "id"))
        raise Rendered

    monkeypatch.setattr(SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    monkeypatch.setattr(SlurmExecutor, "_submit_command", submit)

    def render(*overrides: str, jobs: int = 3) -> list[str]:
        launcher = launcher_of("hydra/launcher=slurm", f"paths.runs={tmp_path}", *overrides)
        with pytest.raises(Rendered):
            launcher.launch([[f"seed={seed}"] for seed in range(jobs)], initial_job_idx=0)
        return texts[-1].splitlines()

    return render


def launcher_of(*overrides: str):
    """The launcher that a multirun would use."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import instantiate

    with initialize_config_dir(str(conf_dir())):
        config: DictConfig = compose("train", ["sweep=three", *overrides], return_hydra_config=True)
    OmegaConf.set_readonly(config.hydra, False)
    with_name = OmegaConf.merge(config, {"hydra": {"job": {"name": "spinelab", "num": 0, "id": "0"}}})
    HydraConfig.instance().set_config(with_name)
    launcher = instantiate(with_name.hydra.launcher, _execution_whitelist_=["hydra_plugins.*"])
    launcher.setup(hydra_context=None, task_function=print, config=with_name)
    return launcher


def flags(lines: list[str]) -> dict[str, str]:
    """Options of the script."""
    given = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH --")]
    return {key: value for key, _, value in (flag.partition("=") for flag in given)}


def test_one_gpu_a_job(script, tmp_path):
    lines = script("hydra.launcher.partition=gpu", "hydra.launcher.timeout_min=600")
    found = flags(lines)
    expected = {
        "job-name": "spinelab", "nodes": "1", "ntasks-per-node": "1", "gpus-per-node": "1", "cpus-per-task": "8",
        "mem": "32GB", "time": "600", "partition": "gpu", "array": "0-2%3", "signal": "USR2@120", "requeue": "",
        "open-mode": "append",
    }  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected
    assert found["output"].startswith(f"{tmp_path}/sweeps/three/.submitit/")
    (srun,) = (line for line in lines if line.startswith("srun"))
    assert "submitit.core._submit" in srun


def test_several_nodes_have_a_task_for_each_device(script):
    found = flags(script("trainer=ddp", "trainer.devices=4", "+trainer.num_nodes=2", jobs=2))
    assert (found["nodes"], found["ntasks-per-node"], found["gpus-per-node"]) == ("2", "4", "4")


def test_a_cluster_without_gpus(script):
    found = flags(script("hydra.launcher.gpus_per_node=null", "hydra.launcher.array_parallelism=2", jobs=5))
    assert "gpus-per-node" not in found
    assert found["array"] == "0-4%2"


def test_below_srun_lightning_starts_no_processes_and_spinelab_no_command(monkeypatch):
    from lightning.fabric.plugins.environments import SLURMEnvironment

    from spinelab.sweeps.processes import trains_with_several

    config = OmegaConf.create({"trainer": {"devices": 4, "strategy": "ddp"}})
    assert trains_with_several(config)
    for key, value in {"NTASKS": "8", "NTASKS_PER_NODE": "4", "JOB_NAME": "spinelab", "JOB_ID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{key}", value)
    assert not trains_with_several(config)
    assert SLURMEnvironment.detect()
    assert SLURMEnvironment().creates_processes_externally


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_goes_on(discs, tmp_path):
    """submitit's local executor does what Slurm does: it sends a signal, and starts the job again."""
    longer = ["trainer.max_epochs=40", "callbacks.early_stopping=null", "callbacks.checkpoint.minutes=0", "logger=none"]
    whole = tmp_path / "whole" / "runs"
    assert finish([*tiny(discs, whole, *longer)], tmp_path / "whole.txt") == 0
    runs, log = tmp_path / "preempted" / "runs", tmp_path / "log.txt"
    arguments = ["-m", *tiny(discs, runs, *longer), "hydra/launcher=local"]
    process = start(arguments, log)
    trained = wait_for(lambda: next(runs.glob("discs/*/checkpoints/last.ckpt"), None))
    (job,) = controller(runs).children()
    job.send_signal(signal.SIGUSR2)
    process.join(300)
    assert process.exitcode == 0, log.read_text()
    assert_same(cases(whole), cases(runs))
    assert "going on in" in (trained.parents[1] / "log.txt").read_text()
    assert list(folders(runs)) == ["unet-s0-f0"]


def controller(runs: Path) -> psutil.Process:
    """What stands for Slurm: the process of submitit that starts the job, and starts it again."""
    lines = {one: " ".join(one.cmdline()) for one in psutil.process_iter()}
    (found,) = (one for one, line in lines.items() if "submitit.local._local" in line and str(runs) in line)
    return found


def wait_for(condition, seconds: float = 240) -> Path:
    until = time.monotonic() + seconds
    while (found := condition()) is None:
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.05)
    return found
