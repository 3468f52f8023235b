"""Every study that is shipped runs from its file to its table, so that none rots: one step on a tiny phantom."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spinelab.commands.reproduce import main as reproduce
from spinelab.commands.reproduce import published_file
from spinelab.commands.study import main as study
from spinelab.reporting.published import read_published
from spinelab.sweeps.study_file import PUBLISHED

STUDIES = sorted(file for file in (Path(__file__).parents[2] / "experiments").glob("*.yaml") if file.name != PUBLISHED)
TINY = [
    "trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "loader.batch_size=2",
    "data.generate.persons=6", "data.preprocessing.crop=[64,64]", "data.preprocessing.slices=annotated", "logger=none",
    "callbacks.panels=null", "processes=1", "threads=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some rows", "all rows"])
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_runs_from_its_file_to_its_table(file, every, tmp_path, cache, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPINELAB_CACHE", str(cache))
    told = smaller(yaml.safe_load(file.read_text()), every)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / file.name).write_text(yaml.safe_dump(told, sort_keys=False))
    rows = told["budgets"]["smoke"]["rows"]

    command = [file.stem] if file.stem in read_published(published_file()) else ["run", file.stem]
    assert (reproduce if len(command) == 1 else study)(command) == 0
    out = capsys.readouterr().out
    assert f"{len(rows)} of {len(rows)} runs are done" in out
    for row in rows:
        assert f"| {row}" in out


def smaller(told: dict, every: int) -> dict:
    """The smoke budget's data and some of its rows, but one fold of less, and techniques tuned on a few slices."""
    smoke = told["budgets"]["smoke"]
    rows = [*smoke.get("rows", told["rows"])]
    smoke["rows"] = rows[::every] if len(rows) > every else rows
    folded = any(text.startswith("protocol=kfold") for text in told["base"])
    smoke |= {"folds": [0], "overrides": [*smoke["overrides"], *TINY, *(["protocol.folds=3"] if folded else [])]}
    for overrides in told["rows"].values():
        if any(text.startswith("classical=") for text in overrides):
            overrides += ["classical.trials=1", "classical.slices=6"]
    return told | {"budgets": {"smoke": smoke}}
