"""A study's runs, made without training."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from spinelab.reporting.beside import RowRuns, lay_beside
from spinelab.reporting.beside_page import write_reproduction
from spinelab.reporting.beside_text import Page
from spinelab.reporting.listing import list_runs
from spinelab.reporting.published import read_published
from spinelab.run_state import write_state

PUBLISHED = Path(__file__).parents[2] / "experiments" / "published.yaml"


@pytest.fixture
def study_runs(tmp_path: Path) -> Path:
    """Three networks, two folds of four persons, two seeds; one run failed."""
    place = Path(__file__).parents[1] / "reporting" / "conftest.py"
    spec = importlib.util.spec_from_file_location("reporting_runs", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    write_run = module.writer_into(tmp_path / "study")
    persons = [tuple(f"p{i}" for i in range(4 * fold, 4 * fold + 4)) for fold in (0, 1)]
    for model, level in {"U-Net": 0.9, "U-Net++": 0.88, "FCN-8s": 0.7}.items():
        for fold in (0, 1):
            for seed in (0, 1):
                settings = {"protocol": {"fold": fold}}
                folder = write_run(
                    model, level=level, seed=seed, fold=fold, persons=persons[fold], split_hash=f"f{fold}",
                    protocol="kfold", settings=settings,
                )  # fmt: skip
                split = {"protocol": "kfold", "seed": 0, "fold": fold, "hash": f"f{fold}"}
                split |= {"train": persons[1 - fold], "val": [], "test": persons[fold]}
                (folder / "split.json").write_text(json.dumps(split))
    (folder / "cases.parquet").unlink()
    write_state(folder, "failed", reason="no memory is left")
    return tmp_path / "study" / "runs"


@pytest.fixture
def reproduction(study_runs: Path) -> Path:
    """The runs of two of the networks beside the review's Table 6."""
    listed = [run for run in list_runs([study_runs]) if run.state.name == "done"]
    named = {name: tuple(run.folder for run in listed if run.name == name) for name in ("U-Net", "U-Net++")}
    rows = {name: RowRuns(folders, 4) for name, folders in named.items()}
    assert all(named.values())
    paper = read_published(PUBLISHED)["table6"]
    write_reproduction(Page(paper, "smoke", "Nothing.", (lay_beside(paper, "phantom", rows),)), study_runs / "beside")
    return study_runs / "beside"
