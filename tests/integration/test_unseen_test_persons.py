"""What only tunes does not so much as open the scans of those it will be judged by."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from tests_shared import disc_overrides, write_disc

from spinelab.commands.train import train
from spinelab.config import compose_config
from spinelab.data.splits import Split
from spinelab.errors import ConfigError
from spinelab.run import Run


@pytest.fixture
def discs(tmp_path) -> Path:
    for number in range(8):
        write_disc(tmp_path / "discs", f"sub-{number}", np.random.default_rng(number))
    return tmp_path / "discs"


def configured(discs: Path, *overrides: str):
    usual = disc_overrides(discs, discs.parent / "runs")
    usual = [*usual, f"paths.data={discs.parent / 'cache'}", "logger=none", "trainer.max_epochs=1", "processes=1"]
    return compose_config([*usual, "protocol=nested", "protocol.folds=2", *overrides])


def test_the_scans_of_the_outer_test_persons_may_be_unreadable(discs):
    tested = _outer_test(discs)
    for person in tested:
        for file in discs.rglob(f"{person}.nii.gz"):
            file.write_bytes(b"not a scan")
    config = configured(discs, "protocol.inner=0", "test=false")
    assert train(config) >= 0
    split = Split.load(Run.of(config).split)
    assert not set(split.persons) & tested
    assert len(split.persons) == 8 - len(tested)


def test_tuning_opens_no_file_of_a_test_person(discs, monkeypatch):
    tested, opened = _outer_test(discs), set()
    real = builtins.open

    def watched(file, *arguments, **options):
        opened.add(str(file))
        return real(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr("io.open", watched)
    train(configured(discs, "protocol.inner=1", "test=false"))
    scans = {Path(file).name.split(".")[0] for file in opened if file.endswith(".nii.gz")}
    assert scans  # the watch works
    assert not scans & tested


def test_an_inner_split_cannot_be_tested(discs):
    with pytest.raises(ConfigError, match="test=false"):
        train(configured(discs, "protocol.inner=0"))


def _outer_test(discs: Path) -> set[str]:
    from spinelab import build

    config = configured(discs)
    return set(build.split(config, build.listing(config)).test)
