"""Whole commands on small data: train, resume, evaluate, predict, compare."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from tests_shared import disc_overrides, write_disc

from spinelab.cli import main
from spinelab.config import compose_config
from spinelab.run import Run

EPOCHS = 8


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Run, Path]:
    """One trained run on the discs."""
    folder = tmp_path_factory.mktemp("finished")
    for number in range(8):
        write_disc(folder / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    overrides = [*disc_overrides(folder / "discs", folder / "runs"), f"trainer.max_epochs={EPOCHS}"]
    overrides.append(f"paths.data={folder / 'cache'}")
    assert main(["train", *overrides]) == 0
    return Run.of(compose_config(overrides)), folder


def test_a_run_leaves_what_the_design_promises(finished):
    run, _ = finished
    wanted = ("config.yaml", "split.json", "environment.json", "metrics.csv", "cases.parquet", "checkpoints/best.ckpt")
    assert all((run.folder / name).is_file() for name in wanted)
    assert {path.name for path in run.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert list(run.folder.rglob("*.wandb")), "an offline W&B run"
    assert len(pd.read_csv(run.metrics)) == EPOCHS
    split = json.loads(run.split.read_text())
    cases = pd.read_parquet(run.cases)
    assert set(cases["person"]) == set(split["test"])
    assert {
        "run",
        "model",
        "dataset",
        "protocol",
        "fold",
        "seed",
        "person",
        "case",
        "class",
        "metric",
        "value",
        "unit",
    } <= set(cases)
    assert len(list((run.folder / "panels").glob("*.png"))) == cases["case"].nunique()


def test_it_learned_something_and_volumes_are_in_mm3(finished):
    run, folder = finished
    cases = pd.read_parquet(run.cases).set_index(["case", "metric"])
    case = cases.index[0][0]
    assert cases.loc[(case, "dice"), "value"] > 0.8
    truth = np.asarray(nib.load(folder / "discs" / "masks" / f"{case}.nii.gz").dataobj).sum()
    assert cases.loc[(case, "truth_volume"), "value"] == truth * 3.0
    assert cases.loc[(case, "truth_volume"), "unit"] == "mm3"


def test_a_finished_run_is_not_trained_again(finished, capsys):
    run, folder = finished
    before = run.cases.stat().st_mtime_ns
    overrides = [*disc_overrides(folder / "discs", folder / "runs"), f"trainer.max_epochs={EPOCHS}"]
    assert main(["train", *overrides]) == 0
    assert "already finished" in capsys.readouterr().out
    assert run.cases.stat().st_mtime_ns == before


def test_evaluate_gives_the_scores_of_training(finished):
    run, _ = finished
    assert main(["evaluate", f"run={run.folder}", "split=test", "predictions=true"]) == 0
    out = run.folder / "evaluations" / "discs-test"
    trained, again = (
        pd.read_parquet(path).set_index(["case", "class", "metric"])["value"].astype(float)
        for path in (run.cases, out / "cases.parquet")
    )
    pd.testing.assert_series_equal(trained, again)
    assert len(list((out / "predictions").glob("*.nii.gz"))) == again.index.get_level_values("case").nunique()


def test_predict_writes_a_mask_on_the_scans_grid_in_any_orientation(finished, tmp_path):
    run, folder = finished
    scan = nib.load(next((folder / "discs" / "images").glob("*.nii.gz")))
    masks = []
    for axes in ("RAS", "LPI", "SAR"):
        change = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(scan.affine), nib.orientations.axcodes2ornt(axes)
        )
        turned = scan.as_reoriented(change)
        nib.save(turned, tmp_path / f"{axes}.nii.gz")
        output = tmp_path / f"{axes}_mask.nii.gz"
        assert main(["predict", f"run={run.folder}", f"input={tmp_path / axes}.nii.gz", f"output={output}"]) == 0
        mask = nib.load(output)
        assert mask.shape == turned.shape
        assert np.array_equal(mask.affine, turned.affine)
        masks.append(np.asarray(nib.as_closest_canonical(mask).dataobj))
        assert json.loads((tmp_path / f"{axes}_mask.json").read_text())["labels"] == {"0": "background", "1": "disc"}
    assert masks[0].any()
    assert all(np.array_equal(mask, masks[0]) for mask in masks[1:])


def test_compare_writes_the_page(finished, tmp_path):
    run, _ = finished
    assert main(["compare", str(run.folder), f"out={tmp_path / 'out'}"]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert compose_config().choices.model in page
    assert "n=" in (tmp_path / "out" / "table.md").read_text()


def test_an_interrupted_run_goes_on_from_its_last_checkpoint(finished, tmp_path):
    _, folder = finished
    base = [*disc_overrides(folder / "discs", tmp_path), "scheduler=constant"]
    short, long = ([*base, f"trainer.max_epochs={epochs}"] for epochs in (2, 4))
    assert main(["train", *short]) == 0
    # a run of four epochs that was stopped after two: its folder holds the state of the short one
    first, second = Run.of(compose_config(short)), Run.of(compose_config(long))
    second.checkpoints.mkdir(parents=True)
    shutil.copy(first.checkpoints / "last.ckpt", second.checkpoints / "last.ckpt")
    shutil.copy(first.metrics, second.metrics)
    assert main(["train", *long]) == 0
    table = pd.read_csv(second.metrics)
    assert table["epoch"].tolist() == [0, 1, 2, 3]
    assert table["train/loss"].iloc[:2].tolist() == pd.read_csv(first.metrics)["train/loss"].tolist()
    assert second.cases.is_file()


def test_same_seed_same_weights(finished, tmp_path):
    import torch

    _, folder = finished
    weights = []
    for name in ("a", "b"):
        overrides = disc_overrides(folder / "discs", tmp_path / name)
        assert main(["train", *overrides]) == 0
        run = Run.of(compose_config(overrides))
        weights.append(torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_multirun_makes_one_run_a_job(finished, tmp_path, monkeypatch):
    _, folder = finished
    monkeypatch.chdir(tmp_path)
    overrides = disc_overrides(folder / "discs", tmp_path / "runs")
    assert main(["train", "-m", *overrides, "trainer.max_epochs=1", "seed=0,1", "model=unet,attention_unet"]) == 0
    runs = list((tmp_path / "runs" / "discs").iterdir())
    assert len(runs) == 4
    assert all((run / "cases.parquet").is_file() for run in runs)
    assert len({path.name for path in tmp_path.rglob("*.wandb")}) == 4


@pytest.mark.parametrize("fault", ["missing mask", "shape", "label", "nan", "truncated"])
def test_bad_data_stops_before_training_and_names_the_file(fault, discs, tmp_path, capsys):
    image, mask = discs / "images" / "sub-03.nii.gz", discs / "masks" / "sub-03.nii.gz"
    if fault == "missing mask":
        mask.unlink()
    elif fault == "shape":
        nib.save(nib.Nifti1Image(np.zeros((6, 40, 47), np.uint8), np.diag([3.0, 1, 1, 1])), mask)
    elif fault == "label":
        nib.save(nib.Nifti1Image(np.full((6, 40, 48), 7, np.uint8), np.diag([3.0, 1, 1, 1])), mask)
    elif fault == "nan":
        nib.save(nib.Nifti1Image(np.full((6, 40, 48), np.nan, np.float32), np.diag([3.0, 1, 1, 1])), image)
    else:
        image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    assert main(["train", *disc_overrides(discs, tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert "sub-03" in err
    assert "what to do:" in err
    assert not (tmp_path / "runs").exists()


def test_too_few_persons_for_the_split(discs, tmp_path, capsys):
    for path in [*discs.glob("images/sub-0[2-7]*"), *discs.glob("masks/sub-0[2-7]*")]:
        path.unlink()
    assert main(["train", *disc_overrides(discs, tmp_path / "runs")]) == 2
    assert "person" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_one_run_and_score_each_volume_once(finished, tmp_path):
    _, folder = finished
    overrides = disc_overrides(folder / "discs", tmp_path)
    overrides = [o for o in overrides if not o.startswith("trainer")]
    overrides += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=4"]
    overrides += ["trainer.sync_batchnorm=false", f"paths.data={folder / 'cache'}"]
    command = [sys.executable, "-m", "spinelab.cli", "train", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "discs").iterdir()
    cases = pd.read_parquet(run / "cases.parquet")
    assert not cases.duplicated(["case", "class", "metric"]).any()
    assert len(pd.read_csv(run / "metrics.csv")) == 4
    assert len(list(run.rglob("*.wandb"))) == 1


@pytest.mark.slow
def test_two_processes_agree_with_one(finished, tmp_path):
    """Two of batch 4 see what one of batch 8 sees; cross-entropy, as a mean over pixels, is then the same."""
    _, folder = finished
    common = [*disc_overrides(folder / "discs", tmp_path), "loss=ce", "optimizer=sgd", "optimizer.lr=0.05"]
    common = [o for o in common if not o.startswith("trainer")] + [
        "scheduler=constant",
        f"paths.data={folder / 'cache'}",
    ]
    common += ["trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=4"]
    one = [*common, "trainer=cpu", "loader.batch_size=8"]
    two = [*common, "trainer=ddp", "trainer.devices=2", "trainer.sync_batchnorm=false", "loader.batch_size=4"]
    tables, weights = [], []
    for overrides in (one, two):
        command = [sys.executable, "-m", "spinelab.cli", "train", *overrides]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        run = Run.of(compose_config(overrides))
        tables.append(pd.read_parquet(run.cases).drop(columns="run"))
        weights.append(torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"])
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(tables[0], tables[1], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_or_killed_training_is_finished_by_the_same_command(finished, tmp_path, blow):
    _, folder = finished
    overrides = [*disc_overrides(folder / "discs", tmp_path), "trainer.max_epochs=60", f"paths.data={folder / 'cache'}"]
    overrides.append("callbacks.early_stopping=null")
    command = [sys.executable, "-m", "spinelab.cli", "train", *overrides]
    # a service of its own, as in a new terminal: the one that this process started would survive the kill
    alone = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=alone)
    run = Run.of(compose_config(overrides))
    deadline = time.monotonic() + 120
    while not (run.metrics.is_file() and len(pd.read_csv(run.metrics)) >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(blow)
    err = process.communicate(timeout=60)[1]
    if blow == signal.SIGINT:
        assert process.returncode == 130, err
        assert "run the same command again to go on" in err
    before = pd.read_csv(run.metrics)
    assert len(before) < 60
    assert not run.cases.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # W&B goes on too
        warnings.filterwarnings("ignore", module="lightning")
        assert main(["train", *overrides]) == 0
    after = pd.read_csv(run.metrics)
    assert after["epoch"].tolist() == list(range(60))
    kept = len(before) - 1  # the last row may be newer than the last checkpoint
    assert after["train/loss"].tolist()[:kept] == before["train/loss"].tolist()[:kept]
    assert run.cases.is_file()
