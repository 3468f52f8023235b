"""`spinelab study`: a small study from nothing to its table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests_shared import disc_overrides

from spinelab.commands.study import main
from spinelab.errors import ConfigError, RunError
from spinelab.run_state import run_state, write_state


@pytest.fixture
def study(tmp_path, discs, monkeypatch) -> Path:
    """Two networks on the discs, one fold; run folders go to ./runs."""
    monkeypatch.chdir(tmp_path)
    base = [text for text in disc_overrides(discs, Path("runs")) if not text.startswith("paths.runs")]
    told = {
        "title": "Discs", "question": "Which network finds discs?", "base": [*base, "logger=none", "protocol=kfold"],
        "rows": {"U-Net": ["model=unet"], "U-Net thin": ["model=unet", "model.base=2"]},
        "data": {"discs": ["processes=1"]}, "folds": [0],
        "budgets": {"smoke": {"cost": "Seconds."}},
    }  # fmt: skip
    file = tmp_path / "discs.yaml"
    file.write_text(json.dumps(told))  # JSON is YAML
    return file


def test_a_study_from_nothing_to_its_table(study, capsys):
    assert main(["status", str(study)]) == 0
    assert "2 jobs: 2 missing" in capsys.readouterr().out
    with pytest.raises(RunError, match="none of 2 runs is done"):
        main(["table", str(study)])

    assert main(["run", str(study), "protocol.val_fraction=0.2"]) == 0
    out = capsys.readouterr().out
    assert "discs: 2 of 2 runs are done" in out
    assert "| U-Net thin |" in out
    assert Path("runs/discs/smoke/comparison/discs/index.html").is_file()
    assert "2 jobs: 2 missing" in status(study, capsys), "other overrides, other runs"
    assert "2 jobs: 2 done" in status(study, capsys, "protocol.val_fraction=0.2")

    (gone,) = Path("runs/discs/smoke/discs").glob("U-Net thin-s0-f0-*")
    (gone / "cases.parquet").unlink()
    write_state(gone, "failed", reason="it was broken")
    out = status(study, capsys, "protocol.val_fraction=0.2")
    assert "2 jobs: 1 done, 1 failed" in out
    assert "failed: it was broken" in out
    main(["table", str(study), "protocol.val_fraction=0.2"])
    assert "discs: 1 of 2 runs are done" in capsys.readouterr().out
    times = {folder: (folder / "cases.parquet").stat().st_mtime_ns for folder in finished()}
    assert main(["run", str(study), "protocol.val_fraction=0.2"]) == 0
    assert len(finished()) == 2
    assert all((folder / "cases.parquet").stat().st_mtime_ns == time for folder, time in times.items())


def finished() -> list[Path]:
    return [folder for folder in Path("runs/discs/smoke/discs").iterdir() if run_state(folder).name == "done"]


def status(study, capsys, *words) -> str:
    capsys.readouterr()
    main(["status", str(study), *words])
    return capsys.readouterr().out


def test_a_job_that_fails_does_not_stop_the_others(study, capsys):
    told = json.loads(study.read_text())
    told["rows"]["U-Net thin"] += ["init=nowhere"]
    study.write_text(json.dumps(told))
    assert main(["run", str(study)]) == 1
    captured = capsys.readouterr()
    assert "1 of 2 jobs failed" in captured.err
    assert "nowhere" in captured.err
    assert "1 done, 1 failed" in status(study, capsys)


def test_nothing_runs_if_one_row_is_wrong(study):
    told = json.loads(study.read_text())
    told["rows"]["U-Net thin"] = ["model=unett"]
    study.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=r"rows\.U-Net thin: model=unett"):
        main(["run", str(study)])
    assert not list(Path("runs").rglob("status.json"))


def test_one_of_the_data_sets_may_be_chosen(study, capsys):
    told = json.loads(study.read_text())
    told["data"]["other discs"] = ["processes=1", "data.name=others"]
    study.write_text(json.dumps(told))
    assert "4 jobs" in status(study, capsys)
    assert "4 jobs" in status(study, capsys, "data=discs,other discs")
    assert main(["run", str(study), "data=other discs"]) == 0
    assert "other discs: 2 of 2 runs are done" in capsys.readouterr().out
    assert "4 jobs: 2 done, 2 missing" in status(study, capsys)
    assert "2 jobs: 2 missing" in status(study, capsys, "data=discs")


def test_status_needs_no_torch(study):
    code = "import sys; from spinelab.commands.study import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "status", str(study)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status"], "which study"),
        (["start", "architectures"], "cannot 'start'"),
        (["status", "architecturs"], "did you mean architectures"),
        (["status", "architectures", "budget=smok"], "did you mean smoke"),
        (["status", "architectures", "data=phantm"], r"no data set 'phantm'\n.*did you mean phantom"),
        (["status", "architectures", "model=unet,fcn"], "the command line: model=unet,fcn sweeps"),
    ],
)
def test_what_is_wrong_is_told(words, told):
    with pytest.raises(ConfigError, match=told):
        main(words)
