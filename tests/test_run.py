"""Run folders."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from spinelab.config import compose_config, resolved
from spinelab.errors import RunError
from spinelab.files import write_atomically
from spinelab.run import Run, run_hash, write_table


def hash_of(*overrides: str) -> str:
    return run_hash(resolved(compose_config(overrides)))


def test_the_hash_changes_with_what_determines_the_result():
    base = hash_of()
    for override in ("seed=1", "optimizer.lr=0.1", "model=fcn", "protocol.seed=1", "data.generate.persons=12"):
        assert hash_of(override) != base, override


def test_the_hash_does_not_change_with_what_only_looks_on_or_where_files_lie():
    base = hash_of()
    for override in ("logger.mode=online", "paths.runs=elsewhere", "loader.num_workers=7", "name=mine", "data.root=x"):
        assert hash_of(override) == base, override


def test_the_run_that_training_starts_from_counts_wherever_it_lies():
    assert hash_of() != hash_of("init=runs/discs/unet-s0-f0-12345678")
    assert hash_of("init=a/unet-s0-f0-12345678") == hash_of("init=/b/unet-s0-f0-12345678")
    assert hash_of("init=a/unet-s0-f0-12345678") != hash_of("init=a/unet-s0-f0-87654321")


def test_a_run_is_found_again_by_its_configuration(tmp_path):
    config = compose_config([f"paths.runs={tmp_path}", "seed=3"])
    run = Run.of(config)
    run.start(config)
    again = Run.open(run.folder)
    assert again == run
    assert again.config().seed == 3
    assert Run.of(again.config()) == run


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no config\.yaml"):
        Run.open(tmp_path)


def test_a_run_without_checkpoint_has_no_weights(tmp_path):
    config = compose_config([f"paths.runs={tmp_path}"])
    run = Run.of(config)
    run.start(config)
    with pytest.raises(RunError, match="no checkpoint"):
        run.weights()


def test_the_environment_names_versions_and_machine(tmp_path):
    run = Run(tmp_path, "abc")
    run.write_environment(seconds=1.5)
    facts = json.loads((tmp_path / "environment.json").read_text())
    assert facts["seconds"] == 1.5
    assert facts["packages"]["torch"]
    assert facts["cores"] >= 1


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    table = tmp_path / "t.parquet"
    write_table(table, pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="Duplicate"):
        write_table(table, pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert pd.read_parquet(table)["a"].tolist() == [1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.txt", "t.parquet"]
