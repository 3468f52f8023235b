"""The command: exit status, JSON, corrected copies, cost; and real data sets, which are in order."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from tests_shared import disc_overrides

from spinelab.cli import main as spinelab
from spinelab.commands._cost import describe, estimate
from spinelab.commands.doctor import main
from spinelab.config import compose_config
from spinelab.data.doctor.examine import Examined
from spinelab.data.splits import Split
from spinelab.errors import ConfigError
from spinelab.types import Case, LabelMap


def test_a_healthy_data_set_and_what_training_on_it_costs(discs, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main([*disc_overrides(discs, tmp_path / "runs"), f"json={report}", "workers=1", "protocol=kfold"]) == 0
    said = capsys.readouterr().out
    assert "8 volumes of 8 persons" in said
    assert "estimate" in said
    content = json.loads(report.read_text())
    assert content["counts"]["error"] == 0
    cost = content["cost"]
    assert (cost["persons"], cost["volumes"], cost["slices"], cost["slice_shape"]) == (8, 8, 48, [48, 40])
    assert cost["cache"] == 48 * 40 * 48 * 3  # int16 and a byte of mask
    assert cost["step"] > 0
    assert cost["epoch"] > cost["step"]
    assert cost["training"] == pytest.approx(2 * cost["epoch"])


def test_errors_are_told_by_the_exit_status_and_mended(discs, tmp_path, capsys):
    file = discs / "images/sub-03.nii.gz"
    array = np.array(nib.load(file).dataobj).astype(np.float32)
    array[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(array, nib.load(file).affine), file)
    usual = [*disc_overrides(discs, tmp_path / "runs"), "cost=false", "workers=1", f"json={tmp_path}/a.json"]
    assert spinelab(["doctor", *usual, "--fix", str(tmp_path / "mended")]) == 1
    assert "sub-03" in capsys.readouterr().out
    content = json.loads((tmp_path / "a.json").read_text())
    assert [(one["check"], one["case"]) for one in content["findings"] if one["severity"] == "error"] == [
        ("nan", "sub-03")
    ]
    assert content["fixes"][0]["written"] == str(tmp_path / "mended/images/sub-03.nii.gz")
    (tmp_path / "mended/images/sub-03.nii.gz").replace(file)
    assert main(usual) == 0


def test_copies_among_the_originals_are_refused_before_anything_is_read(discs, tmp_path, capsys):
    usual = disc_overrides(discs, tmp_path / "runs")
    with pytest.raises(ConfigError, match="overlaps"):
        main([*usual, f"fix={discs}/mended"])
    assert spinelab(["doctor", *usual, f"fix={discs}"]) == 2
    assert "originals" in capsys.readouterr().err


def test_a_data_set_that_cannot_be_listed_is_the_only_finding(tmp_path):
    report = tmp_path / "a.json"
    assert main(["data=folder", "data.root=/nowhere", "data.source.labels={1: a}", f"json={report}"]) == 1
    (finding,) = json.loads(report.read_text())["findings"]
    assert (finding["check"], finding["severity"]) == ("data-set", "error")
    assert finding["file"] == "/nowhere"


def test_slices_of_validation_cost_less_than_slices_of_training(discs, tmp_path):
    config = compose_config([*disc_overrides(discs, tmp_path), "loader.batch_size=2"])
    examined = [Examined(Case(p, p, ()), (), slice_shape=(16, 16), slices=12, pixel_bytes=2) for p in "abc"]
    cost = estimate(config, LabelMap(("disc",)), examined, Split("x", 0, 0, ("a",), ("b",), ("c",)))
    assert cost is not None
    assert cost.epoch == pytest.approx(6 * cost.step + 6 * cost.step / 3)
    assert cost.cache == 3 * 12 * 256 * 3


@pytest.mark.parametrize(
    ("overrides", "steps", "until"),
    [
        (["trainer.max_epochs=3"], 3 * 6, "3 epochs"),
        (["trainer.max_epochs=-1", "+trainer.max_steps=10"], 10, "10 steps"),
        (["trainer.max_epochs=3", "+trainer.max_steps=10"], 10, "10 steps"),
        (["trainer.max_epochs=3", "+trainer.max_steps=100"], 3 * 6, "3 epochs"),
        (["trainer.max_epochs=-1"], None, ""),
    ],
)
def test_a_training_costs_what_it_takes_until_its_first_limit(discs, tmp_path, overrides, steps, until):
    config = compose_config([*disc_overrides(discs, tmp_path), "loader.batch_size=2", *overrides])
    examined = [Examined(Case(p, p, ()), (), slice_shape=(16, 16), slices=12, pixel_bytes=2) for p in "ac"]
    cost = estimate(config, LabelMap(("disc",)), examined, Split("x", 0, 0, ("a",), (), ("c",)))
    assert cost is not None
    assert cost.until == until
    assert cost.training == (None if steps is None else pytest.approx(steps * cost.step))
    assert (f" for {until}\n" in describe(cost)) == bool(until)
    assert "-" not in describe(cost)


@pytest.mark.parametrize(
    ("data", "overrides", "expected"),
    [
        ("spider_t2space", [], []),
        ("gm_challenge", ["protocol=leave_one_person_out"], [("note", "one-orientation"), ("warning", "few-persons")]),
        ("sct_testing", [], [("error", "split")]),  # one person, which its configuration says
    ],
)
def test_real_data_raise_no_false_alarm(shared, tmp_path, monkeypatch, data, overrides, expected):
    monkeypatch.setenv("SPINELAB_DATA", str(shared))
    main([f"data={data}", *overrides, "cost=false", "workers=1", f"json={tmp_path}/a.json"])
    findings = json.loads((tmp_path / "a.json").read_text())["findings"]
    assert sorted((finding["severity"], finding["check"]) for finding in findings) == expected


def test_the_phantom_raises_no_false_alarm(tmp_path):
    main(["data=phantom", "data.generate.persons=12", "cost=false", "workers=1", f"json={tmp_path}/a.json"])
    findings = json.loads((tmp_path / "a.json").read_text())["findings"]
    assert {finding["check"] for finding in findings} <= {"few-persons"}


def test_help_says_what_it_does(capsys):
    assert spinelab(["doctor", "--help"]) == 0
    assert "fix=FOLDER" in capsys.readouterr().out
