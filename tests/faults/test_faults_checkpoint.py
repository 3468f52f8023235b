"""Checkpoint files that are damaged, cut short, poisoned, or do not fit on the disk."""

from __future__ import annotations

import errno
import os
import resource
import signal
import zipfile
from pathlib import Path

import pytest
import torch
from tests_runs import discs, finish, intact_checkpoints, tiny

from spinelab.errors import RunError
from spinelab.files import replacing, sweep
from spinelab.run import Run
from spinelab.tasks.checkpoint_io import CheckpointFiles
from spinelab.tasks.seal import LAST, PREVIOUS, intact, resume_point, seal
from spinelab.tasks.weights import read_weights

FILES = CheckpointFiles()


def content(number: float) -> dict[str, object]:
    return {"state_dict": {"network.weight": torch.full((50, 50), number)}, "epoch": number}


def number_in(file: Path) -> float:
    return FILES.load_checkpoint(file)["epoch"]


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """A folder with two generations, 1 and 2."""
    path = tmp_path / "checkpoints" / LAST
    for number in (1.0, 2.0):
        FILES.save_checkpoint(content(number), path)
    return path


def test_the_checksum_is_that_of_the_bytes_before_it_and_the_file_stays_an_archive(last):
    import hashlib

    raw = last.read_bytes()
    comment = zipfile.ZipFile(last).comment
    assert raw.endswith(comment)
    assert comment.decode() == f"spinelab sha256 {hashlib.sha256(raw[: -len(comment)]).hexdigest()}"
    assert torch.load(last, weights_only=True)["epoch"] == 2.0
    with pytest.raises(ValueError, match="comment already"):
        seal(last)


def test_two_generations_are_kept(last):
    assert (number_in(last), number_in(last.with_name(PREVIOUS))) == (2.0, 1.0)
    assert sorted(path.name for path in last.parent.iterdir()) == [LAST, PREVIOUS]


def test_every_changed_byte_is_seen(last):
    raw = last.read_bytes()
    for position in range(0, len(raw), 97):
        last.write_bytes(raw[:position] + bytes([raw[position] ^ 4]) + raw[position + 1 :])
        assert not intact(last), position
    last.write_bytes(raw)
    assert intact(last)


@pytest.mark.parametrize("kept", [0, 1, 22, 100, 5000, -1])
def test_a_file_that_is_cut_short_is_seen(last, kept):
    last.write_bytes(last.read_bytes()[:kept])
    assert not intact(last)
    with pytest.raises(RunError, match=r"last\.ckpt.*damaged"):
        FILES.load_checkpoint(last)


def test_the_one_before_is_used_and_the_damaged_one_set_aside(last):
    last.write_bytes(b"\0" * 1000)
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged"):
        assert resume_point(last.parent) == last.with_name(PREVIOUS)
    FILES.save_checkpoint(content(3.0), last)  # must not push the good one out by the damaged one
    assert (number_in(last), number_in(last.with_name(PREVIOUS))) == (3.0, 1.0)
    assert last.with_name(f"{LAST}.damaged").is_file()


def test_without_any_good_one_training_starts_from_the_beginning(last, tmp_path):
    for path in (last, last.with_name(PREVIOUS)):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        assert resume_point(last.parent) is None
    assert resume_point(tmp_path / "nothing") is None


@pytest.mark.parametrize("call", range(1, 8))
def test_whatever_step_of_writing_is_the_last_one_a_good_checkpoint_remains(last, monkeypatch, call):
    """The process ends at one of the calls that change names or wait for the disk."""

    class Killed(BaseException):
        pass

    left = [call]

    def dies(original):
        def action(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return original(*args, **kwargs)

        return action

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dies(os.fsync))
        patch.setattr(Path, "replace", dies(Path.replace))
        try:
            FILES.save_checkpoint(content(3.0), last)
        except Killed:
            pass
        else:
            assert left[0] > 0, "a step was passed over"
    assert number_in(resume_point(last.parent)) in (2.0, 3.0)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_malicious_pickle_is_refused_by_name_and_not_run(tmp_path, sealed):
    file, mark = tmp_path / LAST, tmp_path / "run.txt"
    torch.save(content(1.0) | {"extra": Evil(mark)}, file)
    if sealed:
        seal(file)
    readers = (FILES.load_checkpoint, read_weights) if sealed else (read_weights,)
    for read in readers:
        with pytest.raises(RunError, match=r"(?s)last\.ckpt.*could run any code.*do not use this file"):
            read(file)
    assert not mark.exists()
    torch.load(file, weights_only=False)
    assert mark.exists(), "the test's own pickle is harmless"


def test_a_full_disk_is_told_and_leaves_what_was_there(last, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in last.parent.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"(?s)last\.ckpt.*No space left.*what to do: make room"):
            FILES.save_checkpoint(content(3.0), last)
    assert {path.name: path.read_bytes() for path in last.parent.iterdir()} == before


class FilesOfAtMost:
    """Lets no file of the process grow beyond a size, as a full disk does, from a training step on."""

    def __init__(self, size: int, step: int) -> None:
        self.size, self.left = size, step

    def __call__(self) -> None:
        from spinelab.tasks.segmentation import SegmentationTask

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        original = SegmentationTask.training_step

        def step(task, batch, index):
            self.left -= 1
            if self.left == 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))
            return original(task, batch, index)

        SegmentationTask.training_step = step


def test_a_training_whose_disk_fills_up_says_so_and_goes_on_later(tmp_path):
    config = tiny(discs(tmp_path / "discs"), tmp_path / "runs", trainer__max_epochs=2)
    status, printed = finish(config, FilesOfAtMost(200_000, step=12))
    assert status == 2, printed
    assert "cannot be written (File too large)" in printed
    assert "make room" in printed
    folder = Run.of(config).checkpoints
    assert intact_checkpoints(config) == [folder / LAST]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")], "temporary files are left"
    assert finish(config)[0] == 0


def test_temporary_files_of_killed_processes_are_swept_and_nothing_else(tmp_path):
    (tmp_path / ".gitignore").touch()
    (tmp_path / LAST).touch()
    with replacing(tmp_path / "best.ckpt") as temporary:
        left = tmp_path / f"{temporary.name[:-8]}abcd_123"
        left.write_bytes(b"half a checkpoint")
    assert sweep(tmp_path) == [left]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "best.ckpt", LAST]


def test_who_takes_up_a_run_clears_its_folder_its_checkpoints_and_its_panels(tmp_path):
    run = Run(tmp_path / "run", "1a2b3c4d")
    kept = [run.metrics, run.checkpoints / LAST, run.folder / "panels" / "sub-01.png"]
    left = [path.with_name(f".{path.name}.abcd_123") for path in kept]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with run.alone():
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in left)
