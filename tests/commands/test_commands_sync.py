"""`spinelab sync`: which runs are sent, with which words, and what is told of failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from tests_wandb import serve
from wandb import teardown

from spinelab.callbacks.wandb_run import WandbRun
from spinelab.commands import sync
from spinelab.errors import ConfigError, RunError
from spinelab.run_state import write_state


def record(run: Path, time: str, id: str = "1a2b3c4d", *, sent: bool = False) -> Path:
    """What W&B leaves of one start of a run."""
    file = run / "wandb" / f"offline-run-20260101_{time}-{id}" / f"run-{id}.wandb"
    file.parent.mkdir(parents=True)
    file.touch()
    if sent:
        file.with_suffix(".wandb.synced").touch()
    return file


@pytest.fixture
def wandb(monkeypatch):
    """A wandb that marks as sent what it is given, but for runs named in `refuses`."""
    told = SimpleNamespace(calls=[], refuses=set(), says="wandb: \x1b[31mERROR\x1b[0m permission denied")

    def run(command, **_):
        told.calls.append(command[command.index("sync") + 1 :])
        for folder in (Path(word) for word in command if "offline-run" in word):
            if folder.parents[1].name in told.refuses:
                return subprocess.CompletedProcess(command, 0, "", told.says)
            for file in folder.glob("*.wandb"):
                file.with_suffix(".wandb.synced").touch()
        return subprocess.CompletedProcess(command, 0, "wandb: done", "")

    monkeypatch.setattr(sync.subprocess, "run", run)
    return told


def test_each_run_is_sent_once_and_its_parts_in_order(tmp_path, wandb, capsys):
    late, early = record(tmp_path / "a", "120000"), record(tmp_path / "a", "110000")
    record(tmp_path / "deep" / "b", "100000", "ffffffff")
    assert sync.main([str(tmp_path), "entity=team", "jobs=1"]) == 0
    assert wandb.calls[0] == ["--entity=team", str(early.parent), str(late.parent)]
    assert len(wandb.calls) == 2
    assert "2 runs: 2 sent" in capsys.readouterr().out
    assert sync.main([str(tmp_path)]) == 0
    assert len(wandb.calls) == 2, "what is sent is not sent again"


def test_a_part_that_came_later_goes_alone(tmp_path, wandb):
    record(tmp_path / "a", "110000", sent=True)
    second = record(tmp_path / "a", "120000")
    sync.main([str(tmp_path)])
    assert wandb.calls == [[str(second.parent)]]


def test_failures_are_told_and_the_others_are_sent(tmp_path, wandb, capsys):
    record(tmp_path / "bad", "110000", "00000000"), record(tmp_path / "good", "110000")
    wandb.refuses = {"bad"}
    assert sync.main([str(tmp_path)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "failed: permission denied" in out
    assert "1 failed, 1 sent" in out
    wandb.refuses = set()
    assert sync.main([str(tmp_path)]) == 0
    assert len(wandb.calls) == 3


def test_a_run_in_training_waits(tmp_path, wandb, capsys):
    record(tmp_path / "a", "110000")
    write_state(tmp_path / "a", "running")  # by this very process
    assert sync.main([str(tmp_path)]) == 0
    assert not wandb.calls
    assert "1 running" in capsys.readouterr().out


def test_wandb_that_never_ends_is_given_up(tmp_path, monkeypatch, capsys):
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(sync.subprocess, "run", hang)
    record(tmp_path / "a", "110000")
    assert sync.main([str(tmp_path), "minutes=2"]) == 1
    assert "not sent after 2 minutes" in " ".join(capsys.readouterr().out.split())


def test_nothing_to_send_and_wrong_words(tmp_path, capsys):
    assert sync.main([str(tmp_path)]) == 0
    assert "nothing was recorded" in capsys.readouterr().out
    with pytest.raises(RunError, match="no such folder"):
        sync.main([str(tmp_path / "nowhere")])
    with pytest.raises(ConfigError, match="jobs=0"):
        sync.main([str(tmp_path), "jobs=0"])


@pytest.fixture
def server(monkeypatch):
    with serve() as (told, address):
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        yield told


RECORD = """
import sys, wandb
settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
for part in range(2):
    run = wandb.init(project="spinelab", id="1a2b3c4d", group="my-sweep", job_type="train", tags=["fold0"],
                     dir=sys.argv[1], mode="offline", settings=settings)
    run.log({"epoch": part, "val/dice": 0.5 + part / 10})
    run.finish()
    import time; time.sleep(1.1)  # folders are named by the second
"""


def test_wandb_itself_sends_a_resumed_run_as_one_with_its_group(tmp_path, server, capfd):
    run = tmp_path / "unet-s0-f0-1a2b3c4d"
    run.mkdir()
    code = [sys.executable, "-c", RECORD, str(run)]
    subprocess.run(code, check=True, capture_output=True, env=dict(os.environ), timeout=60)
    (found,) = sync.offline_runs([tmp_path])
    assert len(found.records) == 2
    assert sync.main([str(tmp_path), "minutes=1"]) == 0, capfd.readouterr().out
    assert {given["name"] for given in server.upserts} == {"1a2b3c4d"}
    assert {given["groupName"] for given in server.upserts if given["groupName"]} == {"my-sweep"}
    assert [server.rows[line]["epoch"] for line in sorted(server.rows)] == [0, 1]
    found.records[1].with_suffix(".wandb.synced").unlink()
    assert sync.main([str(tmp_path)]) == 0
    rows = [server.rows[line]["epoch"] for line in sorted(server.rows)]
    assert rows == [0, 1, 1], "what is sent later is added; the part that was sent before is not sent again"


CASES = pd.DataFrame({"person": ["sub-01", "sub-02"], "metric": ["dice", "hd"], "value": [0.5, float("nan")]})


@pytest.fixture
def recorded(tmp_path, server):
    """A finished run with its table of cases, recorded offline; wandb remembers the server that it first knew."""
    teardown()
    run = tmp_path / "runs" / "unet-s0-f0-1a2b3c4d"
    run.mkdir(parents=True)
    CASES.to_parquet(run / "cases.parquet")
    (run / "config.yaml").write_text("logger: {project: spinelab}\n", encoding="utf-8")
    view = WandbRun("1a2b3c4d", "unet", str(run), {}, group="my-sweep")
    view.log_metrics({"epoch": 0})
    view.log_cases(CASES, {"test/dice": 0.6})
    view.close()
    teardown()
    return run


def table_on(server):
    file = json.loads(server.artifacts["run-1a2b3c4d-cases"]["cases.table.json"])
    return file["columns"], file["data"]


EXPECTED = (["person", "metric", "value"], [["sub-01", "dice", 0.5], ["sub-02", "hd", None]])


def test_the_table_of_cases_arrives_as_it_was_logged(recorded, server, capsys):
    assert sync.main([str(recorded)]) == 0, capsys.readouterr().out
    assert table_on(server) == EXPECTED
    assert len(server.rows) == 2, "the epoch, the table, nothing sent twice"
    told = len(server.upserts)
    assert sync.main([str(recorded)]) == 0
    assert len(server.upserts) == told
    assert "1 sent before" in capsys.readouterr().out


def test_a_table_that_wandb_no_longer_has_is_sent_from_the_run(recorded, server, monkeypatch, tmp_path):
    for staged in Path(os.environ["WANDB_DATA_DIR"]).rglob("staging/*"):
        staged.unlink()
    assert sync.main([str(recorded)]) == 0
    assert table_on(server) == EXPECTED


def test_a_refused_table_is_told_and_sent_the_next_time(recorded, server, capsys):
    server.refuses = True
    assert sync.main([str(recorded)]) == 1
    assert "sending the table of cases failed: the server did not take it" in " ".join(capsys.readouterr().out.split())
    assert not server.artifacts
    server.refuses = False
    assert sync.main([str(recorded)]) == 0
    assert table_on(server) == EXPECTED
    assert [row.get("epoch") for row in server.rows.values()].count(0) == 1, "metrics are not sent again"


def test_looking_for_what_is_to_be_sent_loads_no_torch(tmp_path):
    code = "import sys, spinelab.commands.sync as sync; sync.main(sys.argv[1:]); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "False"
