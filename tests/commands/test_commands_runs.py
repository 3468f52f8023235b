"""`spinelab runs`: what is listed, what fits the filters, and what is deleted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from spinelab.commands.runs import disk, main
from spinelab.errors import ConfigError, RunError
from spinelab.reporting.listing import list_runs, mean_dice
from spinelab.reporting.statistics import person_values
from spinelab.run_state import write_state


def make_run(top: Path, name: str = "unet", *, data: str = "phantom", seed: int = 0, fold: int = 0, **more) -> Path:
    """A run folder; `val_dice` makes it finished."""
    folder = top / data / f"{name}-s{seed}-f{fold}-{abs(hash((name, data, seed, fold))) % 16**8:08x}"
    (folder / "checkpoints").mkdir(parents=True)
    config = {
        "name": name,
        "seed": seed,
        "data": {"name": data},
        "model": {"_target_": "x"},
        "choices": {"model": name},
    }
    config |= {"protocol": {"fold": fold}, "trainer": {"max_epochs": 5}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"x" * 1000)
    if "val_dice" in more:
        (folder / "environment.json").write_text(json.dumps({"val_dice": more["val_dice"], "seconds": 83.0}))
        cases(more["val_dice"]).to_parquet(folder / "cases.parquet")
    if "state" in more:
        write_state(folder, more["state"], **{key: more[key] for key in ("reason",) if key in more})
    return folder


def cases(level: float) -> pd.DataFrame:
    """Three persons, of whom one has two volumes and one a class without a value."""
    rng = np.random.default_rng(0)
    volumes = [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")]
    rows = [(*volume, cls, m, level * rng.random()) for volume in volumes for cls in "xy" for m in ("dice", "jaccard")]
    table = pd.DataFrame(rows, columns=["person", "case", "class", "metric", "value"]).assign(run="r", state="present")
    table.loc[(table["person"] == "c") & (table["class"] == "y"), "value"] = np.nan
    return table


@pytest.fixture
def runs(tmp_path) -> Path:
    make_run(tmp_path, "unet", seed=0, val_dice=0.8)
    make_run(tmp_path, "unet", seed=1, val_dice=0.9)
    make_run(tmp_path, "unetpp", state="failed", reason="no memory\nis left")
    make_run(tmp_path, "fcn", data="spider", fold=3, state="interrupted")
    make_run(tmp_path, "fcn", data="spider", fold=4, state="running")  # by this very process
    return tmp_path


def listed(capsys, *arguments) -> list[dict]:
    main([*map(str, arguments), "json=true"])
    return json.loads(capsys.readouterr().out)


def test_the_table_tells_states_scores_and_reasons(runs, capsys):
    assert main([str(runs)]) == 0
    out = capsys.readouterr().out
    assert "5 runs (1 running, 1 interrupted, 1 failed, 2 done)" in out
    assert "failed: no memory\n" in out
    assert "0.900" in out
    assert "1 min 23 s" in out


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["state=failed,interrupted"], 2), (["model=unet"], 2), (["model=unet*"], 3), (["data=spider"], 2),
        (["seed=1"], 1), (["fold=3,4", "state=running"], 1), (["model=unet", "seed=2"], 0),
    ],
)  # fmt: skip
def test_filters(runs, capsys, words, count):
    assert len(listed(capsys, runs, *words)) == count


def test_sorting_puts_the_best_first_and_what_has_no_score_last(runs, capsys):
    found = [run["val_dice"] for run in listed(capsys, runs, "sort=val_dice")]
    assert found == [0.9, 0.8, None, None, None]


def test_the_mean_dice_is_that_of_the_tables(tmp_path):
    table = cases(0.7)
    table.to_parquet(tmp_path / "cases.parquet")
    expected = person_values(table, "dice", None)["value"].mean()
    assert mean_dice(tmp_path / "cases.parquet") == pytest.approx(expected, abs=1e-12)
    (tmp_path / "cases.parquet").write_bytes(b"half a file")
    assert mean_dice(tmp_path / "cases.parquet") is None


def test_only_what_fits_is_deleted_and_never_what_runs(runs, capsys):
    with pytest.raises(ConfigError, match="without a filter"):
        main([str(runs), "delete=true"])
    before = {run.folder: run.bytes for run in list_runs([runs])}
    assert main([str(runs), "data=spider", "delete=true"]) == 0
    out = capsys.readouterr().out
    gone = before.keys() - {run.folder for run in list_runs([runs])}
    assert [folder.name.split("-")[2] for folder in gone] == ["f3"]
    assert "kept, it is running" in out
    assert f"1 runs deleted, {disk(sum(before[folder] for folder in gone))}" in out


def test_a_run_that_is_locked_by_a_training_is_kept(runs, capsys):
    (folder,) = (run.folder for run in list_runs([runs]) if run.state.name == "failed")
    code = "import sys, time, pathlib; from spinelab.run import Run\n"
    code += "with Run(pathlib.Path(sys.argv[1]), '').alone(): print('in', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        main([str(runs), "state=failed", "delete=true"])
        assert folder.is_dir()
        assert "another process" in capsys.readouterr().out
    finally:
        process.kill()
        process.wait()


def test_folders_of_other_programs_are_no_runs(tmp_path, capsys):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.yaml").write_text("model: x\ndata: y\n")
    (tmp_path / "theirs" / "status.json").write_text("[]")
    assert listed(capsys, tmp_path) == []


def test_a_run_that_failed_before_it_had_a_configuration_is_listed(tmp_path, capsys):
    folder = tmp_path / "phantom" / "U-Net++-s2-f1-0123abcd"
    folder.mkdir(parents=True)
    write_state(folder, "failed", reason="no data")
    (run,) = listed(capsys, tmp_path)
    assert (run["name"], run["data"], run["seed"], run["fold"]) == ("U-Net++", "phantom", 2, 1)


def test_what_is_wrong_is_told(tmp_path):
    for words, told in ((["state=fialed"], "fialed"), (["sort=dice"], "sort=dice"), (["modle=x"], "modle")):
        with pytest.raises(ConfigError, match=told):
            main([str(tmp_path), *words])
    with pytest.raises(RunError, match="no such folder"):
        main([str(tmp_path / "nowhere")])


def test_two_hundred_runs_are_listed_at_once_and_without_torch(tmp_path):
    for seed in range(200):
        make_run(tmp_path, seed=seed, val_dice=0.5)
    code = "import sys; from spinelab.commands.runs import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    started = time.process_time()
    list_runs([tmp_path])
    assert time.process_time() - started < 1
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert told.splitlines()[-1] == "False"
    assert told.splitlines()[-2].startswith("200 runs (200 done)")


def test_sizes():
    assert (disk(999), disk(48_200), disk(12_500_000)) == ("999 B", "48 kB", "12.5 MB")
