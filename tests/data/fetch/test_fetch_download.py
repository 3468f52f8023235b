"""Downloads that break off, are refused, or bring the wrong bytes."""

from __future__ import annotations

import errno
import hashlib
import os

import numpy as np
import pytest

from spinelab.data.fetch import download as module
from spinelab.data.fetch.catalogue import RemoteFile
from spinelab.data.fetch.download import download
from spinelab.errors import DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def remote(site, content=CONTENT, **about):
    return RemoteFile("scans.bin", site.offer("scans.bin", content), **{"hash": SHA256, "bytes": len(CONTENT)} | about)


def bring(file, folder):
    return download(file, folder, pause_s=0.001)


def test_a_whole_file(site, tmp_path):
    seen = []
    path = download(remote(site), tmp_path, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["scans.bin"]
    bring(remote(site), tmp_path)
    assert len(site.gets()) == 1  # what is there is not asked for again


def test_broken_connections_are_continued_by_range(site, tmp_path):
    site.behaviour = [("drop", 1_000_000), ("drop", 500_000), "ok"]
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT
    first, second, third = site.gets()
    assert first is None
    assert 0 < int(second[6:-1]) <= 1_000_000
    assert int(second[6:-1]) < int(third[6:-1]) <= 1_500_000


def test_an_interrupted_download_is_continued_by_the_next_call(site, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total):
        raise Killed

    with pytest.raises(Killed):
        download(remote(site), tmp_path, kill)
    assert not (tmp_path / "scans.bin").exists()
    part = (tmp_path / "scans.bin.part").read_bytes()
    assert part
    assert CONTENT.startswith(part)
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT
    assert site.gets()[1] == f"bytes={len(part)}-"


def test_a_server_without_ranges_sends_all_again(site, tmp_path):
    site.ranges = False
    site.behaviour = [("drop", 1_000_000)]
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT


def test_a_file_that_changed_between_two_attempts_is_not_glued_together(site, tmp_path):
    (tmp_path / "scans.bin.part").write_bytes(b"old" * 1000)
    (tmp_path / "scans.bin.part.etag").write_text('"another"')
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT


def test_a_partial_file_that_is_whole_is_not_downloaded(site, tmp_path):
    (tmp_path / "scans.bin.part").write_bytes(CONTENT)
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT
    assert site.gets() == []


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_partial_file_of_unknown_size_that_is_whole_or_too_long(site, tmp_path, extra):
    (tmp_path / "scans.bin.part").write_bytes(CONTENT + extra)
    assert bring(remote(site, bytes=None), tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_after_the_time_that_it_names(site, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    site.behaviour = [503, 503, 429, "ok"]
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT
    assert waits == [0.001, 0.002, 7]


def test_a_server_that_stays_busy(site, tmp_path):
    site.behaviour = [503] * 20
    with pytest.raises(DataError, match="503"):
        bring(remote(site), tmp_path)
    assert len(site.gets()) == module.PATIENCE


def test_no_such_file_is_not_asked_for_again(site, tmp_path):
    with pytest.raises(DataError, match="404"):
        bring(RemoteFile("scans.bin", f"{site.url}/elsewhere.bin"), tmp_path)
    assert len(site.gets()) == 1


def test_no_server(tmp_path):
    with pytest.raises(DataError, match="could not be downloaded"):
        bring(RemoteFile("scans.bin", "http://127.0.0.1:9/scans.bin"), tmp_path)


@pytest.mark.parametrize("digest", [f"sha256:{'0' * 64}", f"md5:{'0' * 32}"])
def test_a_wrong_hash_leaves_no_file_and_starts_anew(site, tmp_path, digest):
    with pytest.raises(DataError, match="not the file that was published"):
        bring(remote(site, hash=digest), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert bring(remote(site), tmp_path).read_bytes() == CONTENT


def test_md5_is_taken_as_published(site, tmp_path):
    digest = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert bring(remote(site, hash=digest), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("difference", [-1000, 1000])
def test_a_wrong_size(site, tmp_path, difference):
    with pytest.raises(DataError, match=f"has {len(CONTENT)} bytes, published are {len(CONTENT) + difference}"):
        bring(remote(site, bytes=len(CONTENT) + difference, hash=""), tmp_path)
    assert not (tmp_path / "scans.bin").exists()


def test_a_full_disk_keeps_what_is_there(site, tmp_path, monkeypatch):
    def full(self, block):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        write = full

    (tmp_path / "scans.bin.part").write_bytes(CONTENT[:1000])
    opened = module.Path.open
    monkeypatch.setattr(
        module.Path, "open", lambda self, mode="r", *a, **k: Full() if mode == "ab" else opened(self, mode, *a, **k)
    )
    with pytest.raises(DataError, match="disk is full"):
        bring(remote(site), tmp_path)
    assert (tmp_path / "scans.bin.part").read_bytes() == CONTENT[:1000]
