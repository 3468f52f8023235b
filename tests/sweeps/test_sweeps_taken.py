"""A run that another study has done is copied, not trained again."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests_shared import disc_overrides

from spinelab.commands.study import main
from spinelab.run import Run
from spinelab.run_state import run_state, write_state

ROWS = {"U-Net": ["model=unet", "model.base=2"], "Otsu": ["classical=otsu"]}


@pytest.fixture
def base(tmp_path: Path, discs: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    given = disc_overrides(discs, Path("runs"))
    kept = [text for text in given if not text.startswith(("paths.runs", "model"))]
    return [*kept, "logger=none", "processes=1", "trainer.max_epochs=1"]


def study(name: str, base: list[str], rows: dict[str, list[str]]) -> str:
    told = {"title": name, "question": "?", "base": base, "rows": rows, "data": {"discs": []}}
    file = Path(f"{name}.yaml")
    file.write_text(yaml.safe_dump(told | {"budgets": {"smoke": {"cost": "Seconds."}}}))
    return str(file)


def folders(name: str) -> dict[str, Path]:
    found = Path(f"runs/{name}/smoke/discs").iterdir()
    return {folder.name.split("-s0-")[0]: folder for folder in found}


def test_a_second_study_copies_what_is_the_same_run_and_trains_the_rest(base, capsys):
    assert main(["run", study("first", base, ROWS)]) == 0
    (before,) = [run for name, run in folders("first").items() if name == "U-Net"]
    (before / "wandb").mkdir()
    capsys.readouterr()
    rows = {"Ronneberger": ROWS["U-Net"], "threshold": ROWS["Otsu"], "wider": ["model=unet", "model.base=3"]}
    assert main(["run", study("second", base, rows)]) == 0
    out = capsys.readouterr().out
    assert out.count("not trained again") == 2
    assert "Ronneberger on discs: 1 run copied from runs/first/smoke, not trained again" in out
    assert "discs: 3 of 3 runs are done" in out

    after = folders("second")
    assert set(after) == {"Ronneberger", "threshold", "wider"}
    taken = json.loads((after["Ronneberger"] / "environment.json").read_text())
    assert taken.pop("taken_from") == str(before)
    assert taken == json.loads((before / "environment.json").read_text())
    assert "taken_from" not in json.loads((after["wider"] / "environment.json").read_text())
    for name in ("checkpoints/best.ckpt", "split.json", "metrics.csv"):
        assert (after["Ronneberger"] / name).read_bytes() == (before / name).read_bytes(), name
    cases, copied = (pd.read_parquet(run / "cases.parquet") for run in (before, after["Ronneberger"]))
    assert set(copied.pop("model")) == {"Ronneberger"}
    pd.testing.assert_frame_equal(copied, cases.drop(columns="model"))
    config = Run.open(after["Ronneberger"]).config()
    assert (config.name, config.paths.runs, config.sweep) == ("Ronneberger", "runs/second/smoke", "second-smoke")
    assert not (after["Ronneberger"] / "wandb").exists()
    table = pd.read_csv("runs/second/smoke/comparison/discs/table.csv")
    assert {"Ronneberger", "threshold", "wider"} <= set(table.to_numpy().ravel())


def test_other_data_and_other_scoring_are_other_runs_though_their_hash_is_the_same(base, capsys, tmp_path):
    only = {"Otsu": ROWS["Otsu"]}
    assert main(["run", study("first", base, only)]) == 0
    (tmp_path / "discs").rename(tmp_path / "moved")
    elsewhere = [text.replace(f"{tmp_path / 'discs'}", f"{tmp_path / 'moved'}") for text in base]
    assert elsewhere != base
    for name, given in {"second": elsewhere, "third": [*elsewhere, "scoring.tolerance_mm=3"]}.items():
        assert main(["run", study(name, given, only)]) == 0
        assert "not trained again" not in capsys.readouterr().out
        assert folders(name)["Otsu"].name == folders("first")["Otsu"].name


def test_a_copy_that_was_cut_short_is_made_again(base, capsys):
    assert main(["run", study("first", base, ROWS)]) == 0
    second = study("second", base, {"again": ROWS["U-Net"]})
    assert main(["run", second]) == 0
    folder = folders("second")["again"]
    (folder / "cases.parquet").unlink()
    write_state(folder, "interrupted")
    capsys.readouterr()
    assert main(["run", second]) == 0
    assert "not trained again" in capsys.readouterr().out
    assert run_state(folder).name == "done"


@pytest.mark.parametrize("file", ["config.yaml", "environment.json", "cases.parquet", "checkpoints/best.ckpt"])
def test_a_run_with_a_damaged_file_is_trained_instead_of_copied(base, capsys, file):
    assert main(["run", study("first", base, {"U-Net": ROWS["U-Net"]})]) == 0
    damaged = folders("first")["U-Net"] / file
    content = damaged.read_bytes()
    damaged.write_bytes(b"{:" + content[2 : len(content) // 2])
    capsys.readouterr()
    assert main(["run", study("second", base, {"again": ROWS["U-Net"]})]) == 0
    out = capsys.readouterr().out
    assert "is not copied, as a file of it is damaged" in out
    assert "not trained again" not in out
    assert run_state(folders("second")["again"]).name == "done"
