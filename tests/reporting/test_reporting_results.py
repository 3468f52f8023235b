from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from spinelab.errors import RunError
from spinelab.reporting.groups import find_problems, group_runs
from spinelab.reporting.results import read_runs


def test_finds_runs_at_any_depth_by_glob_and_only_once(write_run, tmp_path):
    folder = write_run("A")
    write_run("B")
    for paths in ([tmp_path], [tmp_path / "runs" / "phantom" / "*"], [str(tmp_path / "runs"), folder]):
        assert [run["model"] for run in read_runs(paths).runs] == ["A", "B"]
    assert [run["model"] for run in read_runs([folder]).runs] == ["A"]


def test_config_files_that_wandb_and_hydra_leave_inside_a_run_are_no_runs(write_run, tmp_path):
    folder = write_run("A")
    for inner in (folder / "wandb" / "offline-run" / "files", folder / ".hydra", tmp_path / "runs" / ".hydra"):
        inner.mkdir(parents=True)
        (inner / "config.yaml").write_text("x: 1\n")
    results = read_runs([tmp_path])
    assert len(results.runs) == 1
    assert results.skipped == ()


def test_unfinished_run_and_copy_are_skipped_with_a_sentence(write_run, tmp_path):
    folder = write_run("A")
    unfinished = write_run("B")
    (unfinished / "cases.parquet").unlink()
    shutil.copytree(folder, folder.with_name("z-copy"))
    results = read_runs([tmp_path])
    assert [run["model"] for run in results.runs] == ["A"]
    assert sorted(line.split(" was skipped: ")[1][:9] for line in results.skipped) == ["it is a c", "it is unf"]
    assert set(results.skipped) <= set(find_problems(results, group_runs(results)))


def test_one_run_evaluated_on_two_data_sets_is_no_copy(write_run, tmp_path):
    folder = write_run("A")
    other = write_run("B", dataset="elsewhere") / "cases.parquet"
    pd.read_parquet(other).assign(run=pd.read_parquet(folder / "cases.parquet")["run"].iloc[0]).to_parquet(other)
    assert len(read_runs([tmp_path]).runs) == 2


def test_nothing_found_and_nothing_finished_are_errors(write_run, tmp_path):
    with pytest.raises(RunError, match="no run was found"):
        read_runs([tmp_path / "nowhere" / "*"])
    with pytest.raises(RunError, match="no run was found"):
        read_runs([])
    (write_run("A") / "cases.parquet").unlink()
    with pytest.raises(RunError, match="none of 1 runs is finished"):
        read_runs([tmp_path])


def test_a_path_that_names_no_run_is_told_though_others_do(write_run, tmp_path):
    folder = write_run("A")
    with pytest.raises(RunError, match=r"no run was found in .*mistyped"):
        read_runs([folder, tmp_path / "mistyped"])


def test_damaged_files_are_named(write_run, tmp_path):
    folder = write_run("A")
    (folder / "split.json").write_text("{")
    with pytest.raises(RunError, match=r"split\.json"):
        read_runs([tmp_path])
    (folder / "split.json").write_text("{}")
    (folder / "cases.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(RunError, match=r"cases\.parquet: cannot be read"):
        read_runs([tmp_path])


@pytest.mark.parametrize(
    "spoil", [lambda c: c.drop(columns="state"), lambda c: c.assign(value=float("inf")), pd.DataFrame.head]
)
def test_case_table_must_be_whole(write_run, tmp_path, spoil):
    file = write_run("A") / "cases.parquet"
    cases = pd.read_parquet(file)
    spoil = (lambda c: c.head(0)) if spoil is pd.DataFrame.head else spoil
    spoil(cases).to_parquet(file)
    with pytest.raises(RunError, match=r"cases\.parquet: (lacks the columns state|holds infinite|holds no row)"):
        read_runs([tmp_path])


def test_scored_persons_who_were_trained_on_are_an_error(write_run, tmp_path):
    write_run("A", persons=("p1", "t2"))
    with pytest.raises(RunError, match=r"1 scored persons were also trained on, e\.g\. t2"):
        read_runs([tmp_path])


def test_runs_with_other_classes_do_not_mix(write_run, tmp_path):
    write_run("A")
    row = {"person": "p1", "site": "", "case": "c", "class": "disc", "metric": "dice", "value": 1.0, "unit": "1"}
    write_run("B", rows=[row | {"state": "present"}])
    with pytest.raises(RunError, match=r"scores disc, but .* scores cord, lesion, vertebra"):
        read_runs([tmp_path])


def test_a_metric_with_a_unit_carries_it_so_that_mm_and_pixels_never_mix(write_run, tmp_path):
    row = {"person": "p1", "site": "", "case": "c", "class": "cord", "metric": "hd95", "state": "present"}
    write_run("A", rows=[row | {"value": 2.0, "unit": "mm"}, row | {"value": 9.0, "unit": "px"}])
    assert set(read_runs([tmp_path]).cases["metric"]) == {"hd95 (mm)", "hd95 (px)"}


def test_groups_pool_folds_and_seeds_but_not_protocols(write_run, tmp_path):
    for seed in (0, 1):
        write_run("A", seed=seed, fold=0, persons=("p1", "p2"), protocol="kfold")
        write_run("A", seed=seed, fold=1, persons=("p3",), protocol="kfold")
    (group,) = group_runs(read_runs([tmp_path]))
    assert (group.label, len(group.runs), group.distinct("fold"), group.distinct("seed")) == ("A", 4, [0, 1], [0, 1])
    assert group.persons == {"p1", "p2", "p3"}
    write_run("A", seed=7)
    assert [group.label for group in group_runs(read_runs([tmp_path]))] == ["A · holdout", "A · kfold"]


def test_rows_tested_on_other_persons_or_data_are_noted(write_run, tmp_path):
    write_run("A")
    write_run("B")
    write_run("C", persons=("p1", "p9"))
    write_run("D", split_hash="other")
    notes = {group.label: group.note for group in group_runs(read_runs([tmp_path]))}
    assert notes["A"] == notes["B"] == ""
    assert notes["C"].startswith("tested on other persons (2, of whom 1 are among the 5")
    assert "trained on other persons" in notes["D"]
    write_run("E", dataset="elsewhere")
    notes = {group.label: group.note for group in group_runs(read_runs([tmp_path]))}
    assert notes["E · elsewhere"].startswith("tested on the data set elsewhere, not phantom")


def test_problems_name_unlike_and_repeated_runs_of_one_row(write_run, tmp_path):
    write_run("A", seed=0)
    folder = write_run("A", seed=1, settings={"loss": "dice"})
    results = read_runs([tmp_path])
    problems = "\n".join(find_problems(results, group_runs(results)))
    assert "A: its runs differ in loss, and were pooled" in problems
    assert "rests on 5 test persons" in problems
    cases = pd.read_parquet(folder / "cases.parquet").assign(seed=0)
    cases.to_parquet(folder / "cases.parquet")
    results = read_runs([tmp_path])
    assert any("fold 0 with seed 0 was run more than once" in p for p in find_problems(results, group_runs(results)))


def test_many_persons_and_like_runs_raise_no_problem(write_run, tmp_path):
    persons = tuple(f"p{i}" for i in range(10))
    write_run("A", persons=persons)
    write_run("B", persons=persons)
    results = read_runs([Path(tmp_path)])
    assert find_problems(results, group_runs(results)) == ()
