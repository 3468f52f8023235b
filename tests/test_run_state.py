"""How far a run is, by the files in its folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from spinelab.errors import DataError, RunPruned
from spinelab.run_state import recorded, run_state, write_state


def test_a_folder_that_is_not_there_is_queued(tmp_path):
    assert run_state(tmp_path / "nowhere").name == "queued"
    assert run_state(tmp_path).name == "queued"


def test_a_run_from_before_states_were_written_is_interrupted_or_done(tmp_path):
    (tmp_path / "config.yaml").touch()
    assert run_state(tmp_path).name == "interrupted"
    (tmp_path / "cases.parquet").touch()
    assert run_state(tmp_path).name == "done"


def test_work_is_seen_while_it_goes_on_and_after(tmp_path):
    with recorded(tmp_path, "fitted"):
        state = run_state(tmp_path)
        assert (state.name, state.pid, state.host) == ("running", os.getpid(), socket.gethostname())
    assert run_state(tmp_path).name == "fitted"


@pytest.mark.parametrize(
    ("error", "name", "reason"),
    [
        (DataError("no such scan", "look for it", "a.nii.gz"), "failed", "no such scan"),
        (RunPruned("worse than half of the others at epoch 3", "nothing"), "pruned", "at epoch 3"),
        (KeyboardInterrupt(), "interrupted", ""),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
    ],
)
def test_an_error_passes_and_is_written_down(tmp_path, error, name, reason):
    with pytest.raises(type(error)), recorded(tmp_path, "done"):
        raise error
    state = run_state(tmp_path)
    assert state.name == name
    assert reason in state.reason
    assert bool(state.reason) == bool(reason)


def test_a_process_that_was_killed_leaves_an_interrupted_run(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from spinelab.run_state import write_state\n"
        "write_state(Path(sys.argv[1]), 'running'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert run_state(tmp_path).name == "interrupted"


def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path):
    write_state(tmp_path, "running")
    status = tmp_path / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"born": 1.0}))
    assert run_state(tmp_path).name == "interrupted"


def test_a_run_on_another_machine_is_believed_to_run(tmp_path):
    write_state(tmp_path, "running")
    status = tmp_path / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"host": "node17", "pid": 1}))
    assert run_state(tmp_path).name == "running"


def test_epochs_time_and_score_come_from_the_run_s_own_files(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step\n0,4\n1,8\n")
    (tmp_path / "environment.json").write_text('{"val_dice": 0.5, "seconds": 12.5}')
    write_state(tmp_path, "fitted")
    state = run_state(tmp_path)
    assert (state.epoch, state.val_dice, state.seconds) == (2, 0.5, 12.5)


def test_a_run_that_nobody_validated_has_no_score(tmp_path):
    (tmp_path / "environment.json").write_text('{"val_dice": NaN, "seconds": 12.5}')
    assert run_state(tmp_path).val_dice is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_file_is_no_state(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    assert run_state(tmp_path).name == "queued"
