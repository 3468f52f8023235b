"""What a search's journal shows."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from spinelab.errors import RunError
from spinelab.journal import open_journal
from spinelab.reporting.compare import compare
from spinelab.reporting.search import search_sections

SPACE = {
    "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
    "loss": CategoricalDistribution(["ce", "dice"]),
    "unimportant": FloatDistribution(0, 1),
}


@pytest.fixture
def journal(tmp_path):
    """A study in which the learning rate is everything, with one pruned and one failed trial; and an empty one."""
    storage, rng = open_journal(tmp_path / "search.journal"), np.random.default_rng(0)
    study = optuna.create_study(study_name="model=unet", storage=storage, direction="maximize")
    for _ in range(30):
        lr, loss, other = 10 ** rng.uniform(-4, -2), rng.choice(["ce", "dice"]), rng.random()
        params = {"optimizer.lr": lr, "loss": str(loss), "unimportant": other}
        value = 0.9 - (np.log10(lr) + 3) ** 2 / 2
        study.add_trial(optuna.create_trial(params=params, distributions=SPACE, value=value))
    kept = {"params": params, "distributions": SPACE}
    study.add_trial(optuna.create_trial(state=TrialState.PRUNED, intermediate_values={0: 0.99}, value=0.99, **kept))
    study.add_trial(optuna.create_trial(state=TrialState.FAIL, user_attrs={"reason": "no memory"}, **kept))
    optuna.create_study(study_name="model=fcn", storage=storage, direction="maximize")
    return tmp_path / "search.journal"


def test_the_best_trial_and_the_counts(journal):
    unet, fcn = search_sections(journal)
    assert (unet.name, fcn.name) == ("model=unet", "model=fcn")
    assert unet.counts == {"complete": 30, "fail": 1, "pruned": 1}
    assert unet.best["optimizer.lr"] == pytest.approx(1e-3, rel=0.5)
    assert 0.85 < unet.value < 0.9  # not the pruned trial's 0.99
    assert fcn.best is None
    assert math.isnan(fcn.value)
    assert fcn.figures == {}


def test_the_table_has_the_best_first_and_a_reason(journal):
    table = search_sections(journal)[0].trials
    assert len(table) == 32
    assert table["value"][0] == pytest.approx(search_sections(journal)[0].value)
    assert table["value"].dropna().is_monotonic_decreasing
    assert table.loc[table["state"] == "fail", "reason"].tolist() == ["no memory"]
    assert {"optimizer.lr", "loss", "unimportant"} <= set(table.columns)


def test_the_figures_show_the_trials(journal):
    figures = search_sections(journal)[0].figures
    assert list(figures) == ["History", "Parameters", "Importance"]
    history = figures["History"]
    assert len(history.data[0].y) == 30
    best_so_far = list(history.data[1].y)
    assert best_so_far == sorted(best_so_far)
    shares = dict(zip(figures["Importance"].data[0].y, figures["Importance"].data[0].x, strict=True))
    assert max(shares, key=shares.get) == "optimizer.lr"
    for figure in figures.values():
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"  # the page's style sheet decides
        assert figure.layout.title.text is None
        assert len(figure.to_json()) < 200_000


def test_there_may_be_no_search(tmp_path):
    with pytest.raises(RunError, match="no search here"):
        search_sections(tmp_path / "search.journal")
    assert not (tmp_path / "search.journal").exists()


def test_torch_is_not_needed(journal):
    code = (
        "import sys; from pathlib import Path; from spinelab.reporting.search import search_sections\n"
        f"assert search_sections(Path({str(journal)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_page_of_the_winners_shows_how_they_were_found(journal, write_run, tmp_path):
    write_run("unet")
    page = compare([tmp_path / "runs"], tmp_path / "out", journal).read_text(encoding="utf-8")
    assert "how the settings were chosen" in page
    assert "30 complete" in page
    for title in ("History", "Parameters", "Importance"):
        assert f'aria-label="Search, model=unet, {title}"' in page
    assert "<td>no memory</td>" in page
    plain = compare([tmp_path / "runs"], tmp_path / "out").read_text(encoding="utf-8")
    assert "how the settings were chosen" not in plain
