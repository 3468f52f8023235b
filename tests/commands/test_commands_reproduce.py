"""`spinelab reproduce`: a small table from nothing to its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests_shared import disc_overrides

from spinelab.commands.reproduce import check_plan, main
from spinelab.commands.study import planned
from spinelab.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def table(tmp_path, discs, monkeypatch) -> Path:
    """A table 3 of the user's own: two networks on the discs, one fold."""
    monkeypatch.chdir(tmp_path)
    base = [text for text in disc_overrides(discs, Path("runs")) if not text.startswith(("paths.runs", "model."))]
    told = {
        "title": "Discs", "question": "Which network finds discs?", "base": [*base, "logger=none", "protocol=kfold"],
        "rows": {"U-Net": ["model=unet", "model.base=4"], "U-Net thin": ["model=unet", "model.base=2"]},
        "data": {"discs": ["processes=1"]}, "folds": [0], "budgets": {"smoke": {"cost": "Seconds."}},
    }  # fmt: skip
    file = tmp_path / "experiments" / "table3.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(told))  # JSON is YAML
    return file


def test_a_table_from_nothing_to_its_page(table, capsys):
    assert main(["table3", "table=true"]) == 0
    assert "not yet run: none of its runs is done" in capsys.readouterr().out

    assert main(["table3"]) == 0
    out = capsys.readouterr().out
    assert "| U-Net | Dice | 0.85 <sup>1</sup> | unsourced | 0." in out
    assert "| U-Net thin | Dice | – | – | 0." in out
    assert "| U-Net | Specificity in the truth's box | – | – |" in out
    assert (
        "| Attention U-Net | Dice | 0.88 <sup>2</sup> | unsourced | not yet run: this budget does not hold it |" in out
    )
    folder = Path("runs/table3/smoke/reproduction")
    names = {"table.md", "table.tex", "table.csv", "figure.png", "page.html", "comparisons.csv"}
    assert {file.name for file in folder.iterdir()} == names
    assert f"page: {(folder / 'page.html').resolve()}" in out
    page = (folder / "page.html").read_text()
    assert "spinelab reproduce table3 budget=smoke</code> makes it again" in page
    assert "A typical case" in page, "the run's own pictures can be cut"
    assert page.count('class="enlarge"') == 1 + 2

    before = {name: (folder / name).read_bytes() for name in names}
    times = {file: file.stat().st_mtime_ns for file in Path("runs").rglob("cases.parquet")}
    for name in names:
        (folder / name).unlink()
    assert main(["3", "table=true"]) == 0
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert times == {file: file.stat().st_mtime_ns for file in Path("runs").rglob("cases.parquet")}


def test_rows_on_other_terms_are_refused_before_anything_runs(table):
    told = json.loads(table.read_text())
    told["rows"]["U-Net thin"] += ["trainer.max_epochs=3"]
    table.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=r"table3\.yaml.*\n.*max_epochs is 2 for U-Net, 3 for U-Net thin"):
        main(["table3"])
    assert not list(Path("runs").rglob("status.json"))


def test_without_arguments_tables_and_budgets_are_listed_and_torch_is_not_loaded():
    code = "import sys; from spinelab.commands.reproduce import main; main([]); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"
    for name in ("table3", "table4", "table5", "table6", "table7", "table8", "text"):
        for budget, said in yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["budgets"].items():
            assert f"budget={budget:<7} {said['cost']}" in out


def test_settings_are_told_beside_what_the_preset_sets(capsys):
    assert main(["table1"]) == 0
    out = capsys.readouterr().out
    for said in ("max_epochs is 50", "batch_size is 16", "optimizer.lr is 0.001", "choices.loss is bce"):
        assert said in out


def test_a_table_without_study_names_the_reason_of_each_row(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spinelab.commands.reproduce.study_of", lambda name: None)
    assert main(["8"]) == 0
    assert "Mask R-CNN, dice: 84.6 ± 3.8 % (garbled" in (out := capsys.readouterr().out)
    assert "not yet run: detects and segments single vertebrae" in out


def test_all_tables_make_one_page_from_whatever_is_done(table, capsys, monkeypatch):
    own = table.parent / "table3.yaml"
    monkeypatch.setattr("spinelab.commands.reproduce.study_of", lambda name: own if name == "table3" else None)
    assert main(["all", "table=true", "paths.runs=other place"]) == 0
    file = Path("other place/reproduction.html")
    assert f"all tables: {file.resolve()}" in capsys.readouterr().out
    page = file.read_text()
    for name in [*(f"table{number}" for number in range(1, 9)), "text"]:
        assert page.count(f'<article id="{name}">') == 1
    assert 'href="table3/smoke/reproduction/page.html"' in page
    assert "trainer.max_epochs is 50" in page, "Table 1 beside the preset"
    assert "none of its runs is done" in page
    assert "budget=smoke &#39;paths.runs=other place&#39;" in page


def test_a_table_that_cannot_be_run_does_not_stop_the_others(table, capsys, monkeypatch):
    broken = table.with_name("table4.yaml")
    broken.write_text("rows: 3")
    files = {"table3": table, "table4": broken}
    monkeypatch.setattr("spinelab.commands.reproduce.study_of", files.get)
    assert main(["all", "table=true"]) == 1
    assert "table4.yaml: " in capsys.readouterr().err
    page = Path("runs/reproduction.html").read_text()
    assert '<article id="table5">' in page
    assert '<article id="table4">' not in page


@pytest.mark.parametrize(("words", "told"), [(["tabel3"], "did you mean table3"), (["table3", "table6"], "one name")])
def test_what_is_wrong_is_told(words, told):
    with pytest.raises(ConfigError, match=told):
        main(words)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table3", "table4", "table5", "table6", "table7", "table8", "text"])
def test_the_shipped_tables_give_all_rows_the_same_terms(name, shared, monkeypatch):
    monkeypatch.setenv("SPINELAB_DATA", str(shared))
    for budget in yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["budgets"]:
        check_plan(planned(name, [f"budget={budget}"])[0])
