"""Whole data sets: planned, downloaded, unpacked, or left as they were."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from spinelab.data.fetch import download
from spinelab.data.fetch import fetch as module
from spinelab.data.fetch.annex import pointers
from spinelab.data.fetch.catalogue import Annex, RemoteFile, RemoteSet, catalogue
from spinelab.data.fetch.fetch import NOTE, check_room, fetch, is_fetched, plan, workshop
from spinelab.errors import DataError
from spinelab.groups import groups


def zip_of(entries, links=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return buffer.getvalue()


IMAGES = zip_of({"images/1_t1.mha": np.random.default_rng(1).bytes(400_000), "images/2_t1.mha": b"second"})
MASKS = zip_of({"masks/1_t1.mha": b"mask", "masks/2_t1.mha": b"mask"})
TABLE = b"new_file_name,subset\n1_t1,training\n"


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


@pytest.fixture
def remote(site):
    contents = {"images.zip": IMAGES, "masks.zip": MASKS, "overview.csv": TABLE}
    into = {"images.zip": "images", "masks.zip": "masks", "overview.csv": "."}
    files = tuple(RemoteFile(name, site.offer(name, content), into=into[name]) for name, content in contents.items())
    record = {"files": [{"key": n, "size": len(c), "checksum": md5(c)} for n, c in contents.items()]}
    about = {"title": "A set", "persons": 2, "gigabytes": 0.1, "licence": "CC BY 4.0", "citation": "Somebody (2024)"}
    url = site.offer("record", json.dumps(record).encode())
    return RemoteSet("mini", **about, homepage="x", purpose="x", files=files, record=url)


def test_a_set_arrives_whole_with_a_note(remote, tmp_path):
    root = fetch(remote, tmp_path / "mini")
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert names == [NOTE, "images/1_t1.mha", "images/2_t1.mha", "masks/1_t1.mha", "masks/2_t1.mha", "overview.csv"]
    note = json.loads((root / NOTE).read_text())
    assert note["licence"] == "CC BY 4.0"
    assert note["files"][remote.files[0].url] == f"sha256:{hashlib.sha256(IMAGES).hexdigest()}"
    assert sorted(path.name for path in workshop(root).iterdir()) == ["busy", "lock.json"]  # the archives are gone


def test_a_second_call_asks_the_server_nothing(remote, site, tmp_path):
    fetch(remote, tmp_path / "mini")
    before = len(site.asked)
    fetch(remote, tmp_path / "mini")
    assert len(site.asked) == before


def test_hashes_and_sizes_come_from_the_publishers_record(remote, tmp_path):
    files = plan(remote, tmp_path / "mini")
    assert [(f.hash, f.bytes) for f in files] == [(md5(c), len(c)) for c in (IMAGES, MASKS, TABLE)]


def test_a_pinned_hash_goes_before_the_records(remote, tmp_path):
    pinned = replace(remote.files[0], hash=f"sha256:{'0' * 64}")
    with pytest.raises(DataError, match="not the file that was published"):
        fetch(replace(remote, files=(pinned, *remote.files[1:])), tmp_path / "mini")
    assert not (tmp_path / "mini").exists()


def test_a_file_that_the_record_denies(remote, site, tmp_path):
    site.offer("masks.zip", zip_of({"masks/1_t1.mha": b"another"}))
    with pytest.raises(DataError, match=r"masks\.zip"):
        fetch(remote, tmp_path / "mini")
    assert not (tmp_path / "mini").exists()


def test_without_a_published_hash_the_first_download_pins_it(remote, site, tmp_path):
    remote = replace(remote, record="")
    root = fetch(remote, tmp_path / "mini")
    shutil.rmtree(root)
    site.offer("overview.csv", TABLE.replace(b"training", b"held_out"))
    with pytest.raises(DataError, match=r"lock\.json"):
        fetch(remote, root)
    site.offer("overview.csv", TABLE)
    assert is_fetched(fetch(remote, root))


def test_a_record_that_is_none(remote, site, tmp_path):
    site.offer("record", b"<html>maintenance</html>")
    with pytest.raises(DataError, match="record"):
        fetch(remote, tmp_path / "mini")


def test_a_folder_with_something_else_is_left_alone(remote, tmp_path):
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        fetch(remote, tmp_path / "mini")
    assert [path.name for path in (tmp_path / "mini").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(remote, tmp_path):
    (tmp_path / "mini").mkdir()
    assert is_fetched(fetch(remote, tmp_path / "mini"))


def test_too_little_room_is_told_before_anything_is_downloaded(remote, site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(10, 0, 500_000))
    with pytest.raises(DataError, match="free"):
        fetch(remote, tmp_path / "mini")
    assert not any(path.endswith(("zip", "csv")) for method, path, _ in site.asked if method == "GET")


def test_room_counts_archives_twice_and_what_is_there_not(remote, tmp_path):
    root = tmp_path / "mini"
    files = plan(remote, root)
    all_of_it = 2 * (len(IMAGES) + len(MASKS)) + len(TABLE)
    assert check_room(files, root)[0] == all_of_it
    workshop(root).mkdir()
    (workshop(root) / "images.zip.part").write_bytes(IMAGES[:1000])
    assert check_room(files, root)[0] == all_of_it - 1000


def test_an_evil_archive_leaves_nothing(remote, site, tmp_path):
    evil = zip_of({"masks/1_t1.mha": b"mask", "../../evil.txt": b"evil"})
    remote = replace(remote, record="")
    site.offer("masks.zip", evil)
    with pytest.raises(DataError, match="leads out"):
        fetch(remote, tmp_path / "sub/mini")
    assert not (tmp_path / "sub/mini").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_failed_unpacking_is_done_again_without_downloading(remote, site, tmp_path, monkeypatch):
    unpack = module.unpack

    def dies_at_masks(archive, folder, **options):
        if archive.name == "masks.zip":
            raise KeyboardInterrupt
        return unpack(archive, folder, **options)

    monkeypatch.setattr(module, "unpack", dies_at_masks)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote, tmp_path / "mini")
    assert not (tmp_path / "mini").exists()
    monkeypatch.setattr(module, "unpack", unpack)
    before = len([path for method, path, _ in site.asked if method == "GET" and path != "/record"])
    assert is_fetched(fetch(remote, tmp_path / "mini"))
    assert len([path for method, path, _ in site.asked if method == "GET" and path != "/record"]) == before


def test_two_at_once(remote, tmp_path):
    workshop(tmp_path / "mini").mkdir()
    with FileLock(workshop(tmp_path / "mini") / "busy"), pytest.raises(DataError, match="another process"):
        fetch(remote, tmp_path / "mini")


def test_a_killed_process_leaves_a_part_that_is_continued(remote, site, tmp_path):
    site.behaviour = [("drop", 200_000)] + [503] * 1000
    code = f"""
        from pathlib import Path
        from spinelab.data.fetch.download import download
        from spinelab.data.fetch.catalogue import RemoteFile
        download(RemoteFile("images.zip", "{remote.files[0].url}"), Path({str(workshop(tmp_path / "mini"))!r}))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL)
    part = workshop(tmp_path / "mini") / "images.zip.part"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (part.is_file() and part.stat().st_size):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "mini").exists()
    have = part.stat().st_size
    assert 0 < have <= 200_000
    site.behaviour, site.asked = [], []
    assert is_fetched(fetch(remote, tmp_path / "mini"))
    assert f"bytes={have}-" in site.gets()
    assert sorted(path.name for path in workshop(tmp_path / "mini").iterdir()) == ["busy", "lock.json"]


def annexed(site, *, as_links):
    """A release whose images are pointers, as symbolic links (locked) or as small files (unlocked)."""
    contents = {
        f"sub-{i}/anat/sub-{i}_{kind}.nii.gz": f"{i}{kind}".encode() * 500 for i in (1, 2) for kind in ("T1w", "T2w")
    }
    keys = {p: f"SHA256E-s{len(c)}--{hashlib.sha256(c).hexdigest()}.nii.gz" for p, c in contents.items()}
    for path, key in keys.items():
        site.offer(key, contents[path])
    prefix, plain = "data-r1/", {"data-r1/participants.tsv": b"participant_id\n", "data-r1/README.md": b"read me"}
    links = {f"{prefix}{p}": f"../../.git/annex/objects/Qx/9z/{key}/{key}" for p, key in keys.items()}
    files = {f"{prefix}{p}": f"/annex/objects/{key}\n".encode() for p, key in keys.items()}
    return zip_of(plain, links) if as_links else zip_of(plain | files), contents


@pytest.mark.parametrize("as_links", [True, False])
def test_annexed_files_are_fetched_where_asked_for(remote, site, tmp_path, as_links):
    release, contents = annexed(site, as_links=as_links)
    file = RemoteFile("r1.zip", site.offer("r1.zip", release))
    remote = replace(remote, record="", files=(file,), annex=Annex(site.url, ("sub-*_T2w.nii.gz",)))
    root = fetch(remote, tmp_path / "generic")
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    wanted = {path for path in contents if "T2w" in path}
    assert there == wanted | {"participants.tsv", "README.md", NOTE}
    assert all((root / path).read_bytes() == contents[path] for path in wanted)


def test_an_annexed_file_that_is_not_what_its_key_says(remote, site, tmp_path):
    release, _ = annexed(site, as_links=True)
    (tmp_path / "r1.zip").write_bytes(release)
    key = pointers(tmp_path / "r1.zip")["sub-1/anat/sub-1_T2w.nii.gz"].split("/")[-1]
    site.offer(key, b"x" * len(site.files[f"/{key}"]))
    file = RemoteFile("r1.zip", site.offer("r1.zip", release))
    remote = replace(remote, record="", files=(file,), annex=Annex(site.url, ("sub-*_T2w.nii.gz",)))
    with pytest.raises(DataError, match="not the file that was published"):
        fetch(remote, tmp_path / "generic")
    assert not (tmp_path / "generic").exists()


def test_the_shipped_sets_are_complete():
    sets = catalogue()
    assert {"spider", "spine_generic", "sct_testing", "msd_prostate"} <= set(sets)
    for name, remote in sets.items():
        assert remote.name == name
        assert remote.licence
        assert remote.citation
        assert remote.homepage.startswith("http")
        assert remote.files
        assert remote.data in ("", *groups()["data"])
        for file in remote.files:
            assert file.url.startswith("https://")
            algorithm, _, digest = file.hash.partition(":")
            assert len(digest) == {"": 0, "md5": 32, "sha256": 64}[algorithm]


def test_decathlon_hashes_are_monais():
    spec = importlib.util.find_spec("monai")
    if spec is None or spec.origin is None:
        pytest.skip("MONAI is not installed")
    source = (Path(spec.origin).parent / "apps/datasets.py").read_text(encoding="utf-8")  # importing takes seconds
    files = [file for name, remote in catalogue().items() if name.startswith("msd_") for file in remote.files]
    assert len(files) == 4
    for file in files:
        task = file.name.removesuffix(".tar")
        assert f'"{task}": "{file.url}"' in source
        assert f'"{task}": "{file.hash.removeprefix("md5:")}"' in source
