"""Runs whose scans are made worse: what is predicted, what is kept, and what the page says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from tests_shared import disc_overrides, write_disc

from spinelab.commands import robustness
from spinelab.commands._members import trained_network
from spinelab.commands.robustness import main
from spinelab.commands.train import train
from spinelab.config import compose_config
from spinelab.data.splits import Split
from spinelab.errors import ConfigError, RunError
from spinelab.reporting.results import read_runs
from spinelab.run import Run
from spinelab.sweeps.study import Plan
from spinelab.sweeps.study_file import find_study, read_study
from spinelab.tasks.degradation import LEVELS
from spinelab.tasks.evaluation import evaluate_case

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FILE = "evaluations/robustness/scores-v1.parquet"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """U-Net in two of three folds, and a technique without a network in one; a folder that holds their runs."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(6):
        write_disc(folder / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    usual = disc_overrides(folder / "discs", folder / "runs")
    usual += ["protocol=kfold", "protocol.folds=3", "logger.mode=disabled", "processes=1"]
    usual += [f"paths.data={folder / 'cache'}"]
    for fold in (0, 1):
        train(compose_config([*usual, "loader.batch_size=4", f"protocol.fold={fold}"]))
    network = ("model.", "trainer", "optimizer.", "callbacks.", "augmentation", "loader.")
    usual = [text for text in usual if not text.startswith(network)]
    train(compose_config([*usual, "classical=otsu", "classical.trials=2", "classical.slices=10"]))
    return folder / "runs"


@pytest.fixture
def runs(trained, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


@pytest.fixture(scope="module")
def done(trained, tmp_path_factory) -> tuple[Path, Path]:
    """The runs after one whole command, and where its results lie."""
    top = tmp_path_factory.mktemp("done")
    copied = Path(shutil.copytree(trained, top / "runs"))
    assert main([f"run={copied}", f"out={top / 'out'}"]) == 0
    return copied, top / "out"


def folders(top: Path) -> list[Path]:
    return sorted(file.parent for file in top.rglob("config.yaml"))


def dice(table: pd.DataFrame) -> pd.Series:
    rows = table[(table["metric"] == "dice") & (table["class"] == "disc")]
    return rows.set_index("case")["value"].astype(float).sort_index()


def test_level_zero_is_the_runs_own_table(done):
    top, out = done
    table = pd.read_parquet(out / "robustness.parquet")
    assert set(table["effect"]) == set(LEVELS)
    for folder in folders(top):
        own = dice(pd.read_parquet(folder / "cases.parquet"))
        run = Run.open(folder).id
        for effect in LEVELS:
            rows = table[(table["run"] == run) & (table["effect"] == effect) & (table["level"] == 0)]
            pd.testing.assert_series_equal(dice(rows), own)


def test_every_level_of_every_test_person_is_scored_once(done):
    top, out = done
    table = pd.read_parquet(out / "robustness.parquet")
    table = table[(table["metric"] == "dice") & (table["class"] == "disc")]
    for folder in folders(top):
        own = table[table["run"] == Run.open(folder).id]
        persons = set(Split.load(folder / "split.json").test)
        assert len(persons) == 2
        for effect, strengths in LEVELS.items():
            part = own[own["effect"] == effect]
            assert len(part) == len(persons) * len(strengths)
            assert set(zip(part["person"], part["level"], part["strength"], strict=True)) == {
                (person, level, strength) for person in persons for level, strength in enumerate(strengths)
            }


def test_a_degraded_score_is_counted_on_the_degraded_file(done, tmp_path):
    from spinelab import build
    from spinelab.tasks.degradation import degraded_case

    top, out = done
    run = next(Run.open(folder) for folder in folders(top) if folder.name.startswith("unet"))
    config = run.config()
    case = next(case for case in build.cases(config) if case.person in Split.load(run.split).test)
    worse = degraded_case(case, "noise", 3, config.data.preprocessing.plane, tmp_path)
    before, after = (np.asarray(nib.load(c.images[0][0]).dataobj) for c in (case, worse))
    assert not np.allclose(before, after)
    labels = build.labels(config)
    found = evaluate_case(trained_network([run]), worse, labels, build.preprocessing(config)).native == 1
    truth = np.asarray(nib.load(case.masks[0].files[0]).dataobj) == 1
    by_hand = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    table = pd.read_parquet(out / "robustness.parquet")
    rows = table[(table["run"] == run.id) & (table["effect"] == "noise") & (table["level"] == 3)]
    assert dice(rows)[case.name] == pytest.approx(by_hand, abs=1e-12)


def test_what_is_scored_is_not_predicted_again(done, tmp_path, monkeypatch, capsys):
    top, _ = done
    monkeypatch.setattr(robustness, "_rows", lambda *_: pytest.fail("predicted again"))
    assert main([f"run={top}", "effect=noise,bias_field", f"out={tmp_path}"]) == 0
    assert "3 run(s), 54 predictions, 54 of them are there" in capsys.readouterr().out
    assert set(pd.read_parquet(tmp_path / "robustness.parquet")["effect"]) == {"noise", "bias_field"}


def test_an_interrupted_command_goes_on(runs, tmp_path, monkeypatch):
    rows, count = robustness._rows, 0

    def some(*arguments):
        nonlocal count
        count += 1
        if count == 7:
            raise KeyboardInterrupt
        return rows(*arguments)

    own = sorted(folders(runs))[-2:]
    words = [f"run={own[0]},{own[1]}", "effect=resolution", f"out={tmp_path / 'out'}"]
    monkeypatch.setattr(robustness, "_rows", some)
    with pytest.raises(KeyboardInterrupt):
        main(words)
    assert not (tmp_path / "out").exists()
    kept = [pd.read_parquet(folder / FILE) for folder in folders(runs) if (folder / FILE).is_file()]
    assert sum(len(table[["case", "effect", "level"]].drop_duplicates()) for table in kept) == 6
    count = 100
    assert main(words) == 0
    assert count == 100 + 2 * 2 * 5 - 6


def test_the_table_says_means_over_persons_and_their_number(done):
    _, out = done
    table, cases = pd.read_csv(out / "table.csv"), pd.read_parquet(out / "robustness.parquet")
    assert set(table["model"]) == {"unet", "otsu"}
    row = table[(table["model"] == "unet") & (table["effect"] == "noise") & (table["level"] == 4)]
    row = row[row["class"] == "disc"].iloc[0]
    one = cases[(cases["model"] == "unet") & (cases["effect"] == "noise") & (cases["metric"] == "dice")]
    worst, best = (one[one["level"] == level].set_index("person")["value"] for level in (4, 0))
    assert row["n"] == 4  # both folds
    assert row["mean"] == pytest.approx(worst.mean())
    assert row["change_mean"] == pytest.approx((worst - best).mean())
    assert row["low"] <= row["mean"] <= row["high"]
    assert row["strength"] == LEVELS["noise"][4]
    text = (out / "table.md").read_text()
    assert "| unet | 0" in text
    assert "n=4" in text
    assert "n=2" in text
    assert text.count("## Noise") == text.count("## Bias field") == 2


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome")
def test_the_page_opens_and_draws_its_curves(done, tmp_path):
    text = (done[1] / "index.html").read_text(encoding="utf-8")
    probe = (
        '<script>addEventListener("load", () => { const plots = [...document.querySelectorAll(".plot")];'
        'const out = document.createElement("pre"); out.id = "found"; out.textContent = JSON.stringify({'
        'errors: window.errors, count: plots.length, drawn: plots.every(p => p.querySelector(".main-svg")),'
        'curves: plots[0].querySelectorAll(".lines .js-line").length,'
        "wide: document.documentElement.scrollWidth - window.innerWidth}); document.body.append(out); });</script>"
    )
    catch = "<script>window.errors = []; addEventListener('error', e => window.errors.push(e.message));</script>"
    page = tmp_path / "page.html"
    page.write_text(text.replace("<head>", f"<head>{catch}", 1).replace("</body>", f"{probe}</body>"), "utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=5000"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    found = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)[1]))
    assert found["errors"] == []
    assert found["count"] == 3  # an effect each; the mean over one class is that class
    assert found["drawn"]
    assert found["curves"] == 4  # a line and a band for each of two rows
    assert found["wide"] <= 0


def test_changed_data_are_told(runs, tmp_path):
    folder = folders(runs)[0]
    table = pd.read_parquet(folder / "cases.parquet")
    table.loc[table["metric"] == "dice", "value"] = 0.123
    table.to_parquet(folder / "cases.parquet")
    with pytest.raises(RunError, match=r"untouched, sub-\d\d: disc has Dice 0.*, in the run's own table 0.123"):
        main([f"run={folder}", f"out={tmp_path}"])


def test_a_sweeps_folder_names_its_runs(trained, tmp_path):
    own = folders(trained)
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    jobs = [{"run": f"../away/{folder.name}"} for folder in own[:2]]
    (sweep / "sweep.json").write_text(json.dumps({"sweep": "x", "jobs": jobs}))
    shutil.copytree(own[0].parent, tmp_path / "away")
    found = read_runs([sweep, own[2]]).runs
    assert {run.folder.name for run in found} == {folder.name for folder in own}


@pytest.mark.parametrize(
    ("words", "told"),
    [(["run=x", "effect=nois"], "did you mean noise"), (["effect=noise"], "run= is missing"), (["runs=x"], "run")],
)
def test_wrong_words_are_told(words, told):
    with pytest.raises(ConfigError, match=told):
        main(words)


def test_the_study_leaves_one_site_out_and_differs_in_the_model_alone():
    study = read_study(find_study("robustness"))
    jobs = Plan(study, study.budget("smoke")).jobs(check=False)
    assert len(jobs) == 4 * 2
    configs = [compose_config(job.overrides) for job in jobs if "protocol.fold=0" in job.overrides]
    assert {config.model._target_.rpartition(".")[2] for config in configs} == {
        "unet", "unetpp", "fcn", "attention_unet",
    }  # fmt: skip
    assert {config.encoder.name for config in configs} == {"resnet18"}
    assert all("leave_one_site_out" in config.protocol._target_ for config in configs)
    assert len({str((config.loss, config.optimizer, config.trainer, config.data)) for config in configs}) == 1
