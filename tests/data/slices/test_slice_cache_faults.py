"""What must not lose a good cache or give wrong slices: kills, full disks, unreadable folders, changing files."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from spinelab.data.slices import build as build_module
from spinelab.data.slices import digests as digests_module
from spinelab.data.slices import filling as filling_module
from spinelab.data.slices import workers as workers_module
from spinelab.data.slices.build import build, cache_key
from spinelab.data.slices.cache import Cache, Damaged
from spinelab.data.slices.digests import Digests
from spinelab.data.slices.parts import prepare_part
from spinelab.errors import DataError

FORK = multiprocessing.get_context("fork")


def folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir()]


def test_a_kill_in_the_middle_leaves_nothing_for_ever(cases, labels, preprocessing, tmp_path, monkeypatch):
    root = tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "file_facts", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        builder = FORK.Process(target=build, args=(cases, labels, preprocessing, root), kwargs={"progress": False})
        builder.start()
        builder.join(30)
    assert builder.exitcode == -signal.SIGKILL
    assert len(folders(root)) == 1
    with pytest.raises(Damaged):
        Cache.open(root / cache_key(cases, labels, preprocessing))
    other = build(cases[:2], labels, preprocessing, root, progress=False)  # of other content, and clears all the same
    assert folders(root) == [other.folder.name]
    whole = build(cases, labels, preprocessing, root, progress=False)
    assert len(Cache.open(whole.folder, verify=True)) == 12


def test_what_a_living_builder_has_is_left_alone(cases, labels, preprocessing, tmp_path):
    root = tmp_path / "cache"
    (root / "abc.xyz").mkdir(parents=True)
    with FileLock(root / "abc.lock"):
        build(cases, labels, preprocessing, root, progress=False)
        assert (root / "abc.xyz").exists()
    build(cases[:1], labels, preprocessing, root, progress=False)
    assert not (root / "abc.xyz").exists()


SLOW_BUILD = """
import sys, time
from pathlib import Path
import slow_parts
if __name__ == "__main__":
    slow_parts.run(Path(sys.argv[1]))
"""
SLOW_PARTS = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from spinelab.data.slices.workers import _end_with_parent

def work(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)

def run(folder):
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=_end_with_parent) as pool:
        list(pool.map(work, [folder] * 2))
"""


def test_workers_end_with_their_killed_parent(tmp_path):
    (tmp_path / "main.py").write_text(SLOW_BUILD)
    (tmp_path / "slow_parts.py").write_text(SLOW_PARTS)
    (seen := tmp_path / "seen").mkdir()
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main.py"), str(seen)], stderr=subprocess.DEVNULL)
    _until(lambda: len(list(seen.iterdir())) == 2)
    parent.kill()
    parent.wait(10)
    _until(lambda: not any(_alive(int(path.name)) for path in seen.iterdir()))


def _until(done, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def _alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


class _KilledPool(workers_module.ProcessPoolExecutor):
    def submit(self, function, *arguments):
        return super().submit(_killed, *arguments)


@pytest.mark.usefixtures("many_processes")
def test_a_killed_worker_is_told(make_case, labels, preprocessing, tmp_path, monkeypatch):
    monkeypatch.setattr(workers_module, "ProcessPoolExecutor", _KilledPool)
    monkeypatch.setattr(workers_module, "get_context", lambda _: FORK)
    cases = [make_case(f"v{n}") for n in range(5)]
    with pytest.raises(DataError, match=r"(?s)was killed.*memory ran out.*use processes=1"):
        build(cases, labels, preprocessing, tmp_path / "cache", workers=2, progress=False)
    assert not folders(tmp_path / "cache")


def test_a_full_disk_found_while_writing(make_case, labels, preprocessing, tmp_path):
    """The limit on the size of a file stands in for the disk: the same write fails, as it does with no space left."""
    case = make_case("large", shape=(8, 64, 64))

    def limited(queue):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            build([case], labels, preprocessing, tmp_path / "cache", progress=False)
        except DataError as error:
            queue.put(str(error))

    queue = FORK.Queue()
    process = FORK.Process(target=limited, args=(queue,))
    process.start()
    message = queue.get(timeout=30)
    process.join(10)
    assert "the disk is full" in message
    assert "needs about" in message
    assert "are free" in message
    assert "paths.cache" in message
    assert not folders(tmp_path / "cache")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    gc.collect()
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_really_full_disk(make_case, labels, preprocessing, small_disk, monkeypatch):
    cases = [make_case("small", shape=(2, 64, 64))]
    good = build(cases, labels, preprocessing, small_disk, progress=False)
    larger = [make_case("larger", shape=(20, 64, 64))]
    with pytest.raises(DataError, match=r"needs about 2\d\d KiB and the disk has 1\d\d KiB free"):
        build(larger, labels, preprocessing, small_disk, progress=False)
    monkeypatch.setattr(build_module, "check_space", lambda *_: None)
    with pytest.raises(DataError, match="the disk is full"):
        build(larger, labels, preprocessing, small_disk, progress=False)
    assert folders(small_disk) == [good.folder.name]
    assert len(Cache.open(good.folder, verify=True)) == 2


def test_a_parked_case_that_lost_its_end_is_refused(cases, labels, preprocessing, tmp_path):
    part = prepare_part(cases[0], 0, labels, preprocessing, tmp_path)
    os.truncate(tmp_path / "000000.image", (tmp_path / "000000.image").stat().st_size - 1)
    with pytest.raises(OSError, match="ends early"):
        deque(part.take("image"))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder(cases, labels, preprocessing, tmp_path, monkeypatch, code):
    root = tmp_path / "cache"
    built = build(cases, labels, preprocessing, root, progress=False)

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code), str(root))

    monkeypatch.setattr(build_module, "FileLock", refuse)
    monkeypatch.setattr(digests_module, "write_atomically", refuse)
    assert build(cases, labels, preprocessing, root, progress=False).folder == built.folder
    with pytest.raises(DataError, match=r"(?s)not there yet and cannot be made.*paths\.cache"):
        build(cases[:2], labels, preprocessing, root, progress=False)


def test_what_cannot_be_read_is_not_thrown_away(cache, cases, labels, preprocessing, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "images.bin")

    with monkeypatch.context() as patch:
        patch.setattr(np, "memmap", refuse)
        with pytest.raises(DataError, match="cannot be read") as raised:
            build(cases, labels, preprocessing, cache.folder.parent, progress=False)
        assert not isinstance(raised.value, Damaged)
    assert len(Cache.open(cache.folder, verify=True)) == len(cache)


def test_a_damaged_cache_is_kept_until_there_is_a_new_one(cache, cases, labels, preprocessing, monkeypatch):
    (cache.folder / "masks.bin").write_bytes(b"damaged")
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "_fill", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(DataError, match="the disk is full"):
            build(cases, labels, preprocessing, cache.folder.parent, progress=False)
    assert (cache.folder / "images.bin").exists()
    rebuilt = build(cases, labels, preprocessing, cache.folder.parent, progress=False)
    assert len(Cache.open(rebuilt.folder, verify=True)) == len(cache)
    assert folders(cache.folder.parent) == [cache.folder.name]


def test_a_disk_that_tells_only_later_that_it_is_full(cases, labels, preprocessing, tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    def fsync(handle: int, real=os.fsync) -> None:
        real(handle) if threading.current_thread() is threading.main_thread() else full(handle)

    with monkeypatch.context() as patch:
        patch.setattr(filling_module, "FLUSH", 1)
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DataError, match="the disk is full"):
            build(cases, labels, preprocessing, tmp_path, progress=False)
    assert folders(tmp_path) == []
    assert len(build(cases, labels, preprocessing, tmp_path, progress=False)) > 0


def test_a_reader_keeps_its_pixels_when_the_cache_is_deleted(cache):
    before = [np.array(cache.image(row)) for row in range(len(cache))]
    stored = pickle.dumps(cache)
    shutil.rmtree(cache.folder)
    for row, image in enumerate(before):
        np.testing.assert_array_equal(cache.image(row), image)
    with pytest.raises(DataError, match="spinelab prepare"):
        pickle.loads(stored)


def test_a_file_that_changes_while_it_is_read(cases, labels, preprocessing, tmp_path, monkeypatch):
    prepare = build_module.prepare_parts

    def changed(*arguments):
        path = cases[0].images[0][0]
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return prepare(*arguments)

    monkeypatch.setattr(build_module, "prepare_parts", changed)
    with pytest.raises(DataError, match="changed while they were read"):
        build(cases, labels, preprocessing, tmp_path / "cache", progress=False)
    assert not folders(tmp_path / "cache")


def test_a_changed_source_gives_another_cache(cases, labels, preprocessing, tmp_path, monkeypatch):
    monkeypatch.setattr(digests_module, "SETTLED", -1.0)
    root = tmp_path / "cache"
    before = build(cases, labels, preprocessing, root, progress=False)
    path = cases[0].images[0][0]
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a careless copy does
    after = build(cases, labels, preprocessing, root, progress=False)
    assert before.folder != after.folder
    assert len(Cache.open(before.folder, verify=True)) == len(Cache.open(after.folder, verify=True))


def test_digests_read_a_file_once(tmp_path, monkeypatch):
    monkeypatch.setattr(digests_module, "SETTLED", -1.0)
    path = tmp_path / "scan"
    path.write_bytes(b"abc")
    first = Digests(tmp_path)
    expected = "06b05ab6733a618578af5f94892f3950"  # XXH3_128bits of "abc" with seed 0
    assert first.of(path) == first.of(path) == expected
    assert first.read == 1
    first.save()
    again = Digests(tmp_path)
    assert again.of(path) == expected
    assert again.read == 0
    path.write_bytes(b"abd")
    assert again.of(path) != expected
    later = time.time() + 31 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    late = Digests(tmp_path)
    late.of(path)
    assert late.read == 1


def test_digests_do_not_remember_what_was_just_written(tmp_path):
    (path := tmp_path / "scan").write_bytes(b"abc")
    digests = Digests(tmp_path)
    digests.of(path)
    digests.of(path)
    assert digests.read == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [1, 2, 3]}', "\x00"])
def test_a_damaged_table_of_digests_is_ignored(tmp_path, text):
    (tmp_path / digests_module.NAME).write_text(text)
    (path := tmp_path / "scan").write_bytes(b"abc")
    assert Digests(tmp_path).of(path).startswith("06b05ab6")


SCRIPT = """
from pathlib import Path
import pickle, sys
from spinelab.data.slices import plan
from spinelab.data.slices.build import build
from spinelab.data.volumes.prepare import Preprocessing
plan.WORTH = 0
cases, labels, root = pickle.loads(Path(sys.argv[1]).read_bytes())
build(cases, labels, Preprocessing(), root, workers=2)
"""


def test_a_script_without_main_guard_does_not_hang(make_case, labels, tmp_path):
    cases = [make_case(f"v{n}") for n in range(5)]
    (tmp_path / "arguments").write_bytes(pickle.dumps((cases, labels, tmp_path / "cache")))
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "arguments")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode
    assert "__name__ == '__main__'" in done.stderr
