"""Every notebook runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_committed_without_outputs(path, tmp_path, study_runs, reproduction, monkeypatch):
    monkeypatch.setenv("SPINELAB_RUNS", str(study_runs))
    monkeypatch.setenv("SPINELAB_REPRODUCTION", str(reproduction))
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs for cell in cells), "clear the outputs before committing"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any(output.output_type == "display_data" for cell in cells for output in cell.outputs)


def test_the_comparison_shows_what_is_missing_and_all_pairs(tmp_path, study_runs, monkeypatch):
    monkeypatch.setenv("SPINELAB_RUNS", str(study_runs))
    (path,) = (path for path in NOTEBOOKS if path.stem == "02_compare_architectures")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "\n".join(
        "".join(output.get("data", {}).get("text/plain", "")) + output.get("text", "")
        for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )  # fmt: skip
    assert "no memory is left" in said
    assert "phantom: 11 of 12 runs are done" in said
    for pair in ({"U-Net", "U-Net++"}, {"U-Net", "FCN-8s"}, {"U-Net++", "FCN-8s"}):
        first, second = pair
        assert f"{first} − {second}" in said or f"{second} − {first}" in said


def test_the_review_s_table_is_shown_with_its_misprint_and_what_was_measured(tmp_path, reproduction, monkeypatch):
    monkeypatch.setenv("SPINELAB_REPRODUCTION", str(reproduction))
    (path,) = (path for path in NOTEBOOKS if path.stem == "03_review_tables")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "\n".join(
        str(output.get("data", {})) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert "862.8" in said
    assert "garbled" in said
    assert "neither a confirmation nor a refutation" in said
