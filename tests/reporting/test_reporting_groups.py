from __future__ import annotations

import json

import pytest

from spinelab.errors import RunError
from spinelab.reporting.conditions import budget, selection
from spinelab.reporting.groups import find_problems, group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import make_tables


def checkpoint(monitor="val/dice", mode="max"):
    return {"callbacks": {"checkpoint": {"monitor": monitor, "mode": mode}}}


def labels(classes, regions=None):
    return {"data": {"labels": {"classes": classes, "regions": regions}}}


def notes(folder):
    return {group.label: group.note for group in group_runs(read_runs([folder]))}


def pairs(folder):
    """Pairs that are compared, in the first table's last column."""
    table = make_tables(group_runs(read_runs([folder])))[0]
    return {(pair.first, pair.second) for pair in table.comparisons[table.columns[-1]]}


def change_split(folder, **facts):
    file = folder / "split.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_another_budget_is_noted_and_not_compared(write_run, tmp_path):
    for model in ("A", "B"):
        write_run(model)
    write_run("C", epochs=50)
    assert notes(tmp_path) == {"A": "", "B": "", "C": "another budget (50 epochs) than the other rows (20 epochs)"}
    assert pairs(tmp_path) == {("A", "B")}
    results = read_runs([tmp_path])
    problems = find_problems(results, group_runs(results))
    assert "C: another budget (50 epochs) than the other rows (20 epochs)." in problems
    assert any("fall into 2 sets that were not trained and tested alike" in problem for problem in problems)


def test_budgets_within_a_model_become_rows(write_run, tmp_path):
    write_run("A", seed=0)
    write_run("A", seed=1, epochs=50)
    write_run("B")
    assert list(notes(tmp_path)) == ["A · 20 epochs", "A · 50 epochs", "B"]
    assert {frozenset(pair) for pair in pairs(tmp_path)} == {frozenset({"A · 20 epochs", "B"})}


def test_another_rule_of_selection_is_noted_and_within_a_model_becomes_a_row(write_run, tmp_path):
    write_run("A", settings=checkpoint())
    write_run("B", settings=checkpoint())
    write_run("C", settings=checkpoint("val/loss", "min"))
    write_run("B", seed=1, settings=checkpoint(None))
    assert notes(tmp_path) == {
        "A": "",
        "B · highest val/dice": "",
        "B · last epoch": "its checkpoint was chosen by another rule (last epoch, not highest val/dice)",
        "C": "its checkpoint was chosen by another rule (lowest val/loss, not highest val/dice)",
    }


def test_several_reasons_are_all_told(write_run, tmp_path):
    for model in ("A", "B"):
        write_run(model, settings=checkpoint())
    write_run("C", split_hash="other", epochs=5, settings=checkpoint("val/loss", "min"))
    assert [words.split(" ")[0] for words in notes(tmp_path)["C"].split("; ")] == ["same", "another", "its"]


def test_two_splits_of_one_model_become_rows(write_run, tmp_path):
    for model in ("A", "B"):
        write_run(model, seed=0)
        write_run(model, seed=1)
        change_split(write_run(model, seed=2, split_hash="zzz"), seed=7)
    groups = group_runs(read_runs([tmp_path]))
    assert [group.label for group in groups] == [f"{m} · splits {h}" for m in "AB" for h in ("abc123", "zzz")]
    assert [len(group.runs) for group in groups] == [2, 1, 2, 1]
    assert {tuple(sorted(pair)) for pair in pairs(tmp_path)} == {
        ("A · splits abc123", "B · splits abc123"),
        ("A · splits zzz", "B · splits zzz"),
    }


def test_folds_of_one_partition_are_one_row_though_their_hashes_differ(write_run, tmp_path):
    everybody = {"train": ["t1"], "val": [], "protocol": "kfold"}
    for fold, persons in enumerate((("p1", "p2"), ("p3", "p4"))):
        for seed in (0, 1):
            folder = write_run("A", fold=fold, seed=seed, persons=persons, protocol="kfold", split_hash=f"h{fold}")
            others = [p for p in ("p1", "p2", "p3", "p4") if p not in persons]
            change_split(folder, **everybody | {"train": ["t1", *others], "seed": 0})
    (group,) = group_runs(read_runs([tmp_path]))
    assert (group.label, len(group.runs), group.note) == ("A", 4, "")
    # A fold of another partition tests p2 and p3 together.
    folder = write_run("A", fold=1, persons=("p2", "p3"), protocol="kfold", split_hash="x")
    change_split(folder, train=["t1", "p1", "p4"], val=[], seed=5)
    assert [len(group.runs) for group in group_runs(read_runs([tmp_path]))] == [4, 1]


def test_networks_of_all_folds_on_another_data_set_are_one_row(write_run, tmp_path):
    for fold in (0, 1):
        folder = write_run("A", fold=fold, protocol="evaluate-all", split_hash=f"h{fold}")
        (folder / "split.json").unlink()
    assert len(group_runs(read_runs([tmp_path]))) == 1


def test_other_label_maps_are_refused_by_name(write_run, tmp_path):
    first = write_run("A", settings=labels(["cord", "vertebra", "lesion"]))
    write_run("B", settings=labels(["lesion", "cord", "vertebra"]))  # the order means nothing
    write_run("C")  # not recorded
    assert len(group_runs(read_runs([tmp_path]))) == 3
    regions = {"cord": ["cord", "lesion"], "vertebra": ["vertebra"], "lesion": ["lesion"]}
    other = write_run("D", settings=labels(["cord", "vertebra", "lesion"], regions))
    with pytest.raises(RunError) as caught:
        group_runs(read_runs([tmp_path]))
    assert caught.value.file == other
    assert str(first) in caught.value.found
    assert "cord = cord + lesion" in caught.value.found
    assert "one label map at a time" in caught.value.remedy


@pytest.mark.parametrize(
    ("settings", "val", "words"),
    [
        ({"trainer": {"max_epochs": 20}}, ["v"], "20 epochs"),
        ({"trainer": {"max_epochs": None, "max_steps": 4000}}, ["v"], "4000 steps"),
        ({"trainer": {"max_epochs": -1, "max_steps": -1}}, ["v"], "not recorded"),
        ({"trainer": {"max_epochs": 20, "limit_train_batches": 3}}, ["v"], "20 epochs, 3 batches an epoch"),
        ({"callbacks": {"early_stopping": {"patience": 5}}}, ["v"], "20 epochs, early stopping after 5"),
        ({"callbacks": {"early_stopping": {"patience": 5}}}, [], "20 epochs"),  # nothing to stop by
        ({"callbacks": {"early_stopping": {"patience": 20}}}, ["v"], "20 epochs"),  # never stops
        ({"callbacks": {"early_stopping": None}}, ["v"], "20 epochs"),
    ],
)
def test_budget_in_words(write_run, tmp_path, settings, val, words):
    change_split(write_run("A", settings=settings), val=val)
    assert budget(read_runs([tmp_path]).runs[0]) == words


def test_selection_without_validation_persons_or_configuration(write_run, tmp_path):
    folder = write_run("A", settings=checkpoint())
    assert selection(read_runs([tmp_path]).runs[0]) == "highest val/dice"
    change_split(folder, val=[])
    assert selection(read_runs([tmp_path]).runs[0]) == "last epoch"
    (folder / "config.yaml").unlink()
    run = read_runs([tmp_path]).runs[0]
    assert (budget(run), selection(run)) == ("not recorded", "not recorded")
