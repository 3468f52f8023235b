"""A trained U-Net++ cut down: its levels' scores, sizes and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests_shared import disc_overrides, write_disc

from spinelab import build
from spinelab.commands import prune
from spinelab.commands._members import trained_network
from spinelab.commands.prune import main, time_levels, unetpp_of
from spinelab.commands.train import train
from spinelab.config import compose_config
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import ConfigError, RunError
from spinelab.models.unet import unet
from spinelab.models.unetpp import unetpp
from spinelab.reporting.pruning import Timing
from spinelab.run import Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("trained")
    for number in range(6):
        write_disc(folder / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    words = [*disc_overrides(folder / "discs", folder / "runs"), "model=unetpp", "protocol=kfold", "protocol.folds=3"]
    words += ["logger.mode=disabled", "processes=1", "loader.batch_size=4", f"paths.data={folder / 'cache'}"]
    config = compose_config(words)
    train(config)
    return Run.of(config)


@pytest.fixture(scope="module")
def done(trained, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert main([f"run={trained.folder}", f"out={out}"]) == 0
    return out


def test_the_scores_of_each_level_are_those_of_its_head(trained, done):
    """The prediction of a head is the largest of its logits, written out for data that are not resampled."""
    table = pd.read_csv(done / "curve.csv").set_index(["level", "class"])
    network, config = trained_network([trained]).eval(), trained.config()
    persons = Split.load(trained.split).test
    found: dict[int, list[float]] = {level: [] for level in (1, 2, 3, 4)}
    for case in (case for case in build.cases(config) if case.person in persons):
        volume = prepare_case(case, build.labels(config), build.preprocessing(config))
        (grey,) = volume.intensity
        clipped = np.clip(volume.image[..., 0].astype(np.float64), grey.low, grey.high)
        slices = torch.from_numpy(((clipped - grey.shift) / grey.scale).astype(np.float32))[:, None]
        with torch.no_grad():
            heads = network.heads(slices)  # the whole network's first
        for level in found:
            predicted, truth = heads[4 - level].argmax(dim=1).numpy() == 1, volume.mask == 1
            found[level].append(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))
    for level, scores in found.items():
        assert table.loc[(level, "disc"), "mean"] == pytest.approx(np.mean(scores), abs=1e-3)
        assert table.loc[(level, "disc"), "n"] == len(persons) == 2
        change = np.mean(scores) - np.mean(found[4])
        assert table.loc[(level, "disc"), "change_mean"] == pytest.approx(change, abs=1e-3)


def test_the_whole_network_has_the_runs_own_score(trained, done):
    own = pd.read_parquet(trained.cases)
    own = own[(own["metric"] == "dice") & (own["class"] == "disc")]
    table = pd.read_csv(done / "curve.csv").set_index(["level", "class"])
    assert table.loc[(4, "disc"), "mean"] == pytest.approx(own["value"].astype(float).mean(), abs=1e-12)


def test_levels_grow_in_size_and_are_timed_on_a_named_machine(done):
    table = pd.read_csv(done / "curve.csv")
    table = table[table["class"] == "disc"]
    assert list(table["level"]) == [1, 2, 3, 4]
    sizes = [sum(p.numel() for p in unetpp(1, 2, base=4).prune(level).parameters()) for level in (1, 2, 3, 4)]
    assert list(table["parameters"]) == sizes == sorted(sizes)
    assert (table["milliseconds"] > 0).all()
    assert (table["fastest"] <= table["milliseconds"]).all()
    assert (table["milliseconds"] <= table["slowest"]).all()
    assert table["machine"].str.contains("thread").all() or torch.cuda.is_available()
    assert table["machine"].iloc[0] in (done / "curve.md").read_text()


def test_the_page_holds_everything_it_shows(done):
    text = (done / "curve.html").read_text(encoding="utf-8")
    assert text.count('class="plot"') == 2  # against latency and against size
    assert "unetpp L1" in text
    assert "Plotly.newPlot" in text
    assert 'src="http' not in text


def test_times_are_medians_after_warming_up_and_levels_take_turns(monkeypatch):
    turns: list[int] = []

    def seconds(network, image):
        assert image.shape == (1, 1, 32, 48)
        turns.append(network.levels)
        return 9.0 if len(turns) <= 4 * prune.WARM_UP else network.levels * (2.0 if len(turns) > 4 * 7 else 1.0)

    monkeypatch.setattr(prune, "_seconds", seconds)
    timings = time_levels(unetpp(1, 2, base=4), (1, 32, 48), repeats=9)
    assert turns == [1, 2, 3, 4] * (9 + prune.WARM_UP)
    for level, timing in timings.items():  # four at the level's own second, five at twice that
        assert timing == Timing(timing.parameters, 2000.0 * level, 1000.0 * level, 2000.0 * level, 9)


def test_a_whole_network_is_left_as_it_is():
    network = unetpp(1, 2, base=4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    time_levels(network, (1, 32, 32), repeats=1)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "told"),
    [(unet(1, 2, base=4), "no U-Net\\+\\+ by itself"), (unetpp(1, 2, base=4, deep_supervision=False), "one head only")],
    ids=["unet", "without deep supervision"],
)
def test_a_run_of_another_network_is_named(trained, monkeypatch, network, told):
    monkeypatch.setattr("spinelab.commands._members.trained_network", lambda _: network)
    with pytest.raises(RunError, match=told) as error:
        unetpp_of(trained)
    assert str(trained.folder) in str(error.value)


def test_a_run_has_to_be_named():
    with pytest.raises(ConfigError, match="run= is missing"):
        main(["out=x"])
