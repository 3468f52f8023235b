"""Archives that mean well, and archives that do not."""

from __future__ import annotations

import io
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from spinelab.data.fetch.unpack import is_archive, unpack
from spinelab.errors import DataError


def zipped(path, entries, links=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return path


def tarred(path, entries, links=()):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "../../outside"
            archive.addfile(info)
    return path


ARCHIVES = [("a.zip", zipped), ("a.tar", tarred), ("a.tar.gz", tarred)]


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "pack"), ARCHIVES)
def test_files_come_out_as_they_went_in(tmp_path, name, pack):
    entries = {"images/1.mha": b"one" * 1000, "masks/1.mha": b"two", "overview.csv": b""}
    unpack(pack(tmp_path / name, entries), tmp_path / "out")
    assert tree(tmp_path / "out") == entries


@pytest.mark.parametrize(("name", "pack"), ARCHIVES)
def test_the_one_folder_around_everything_and_macos_litter_are_left_out(tmp_path, name, pack):
    entries = {"Task02/imagesTr/a.nii.gz": b"a", "Task02/dataset.json": b"{}", "Task02/._dataset.json": b"x"}
    unpack(pack(tmp_path / name, entries | {"__MACOSX/Task02/x": b"x"}), tmp_path / "out")
    assert tree(tmp_path / "out") == {"imagesTr/a.nii.gz": b"a", "dataset.json": b"{}"}


@pytest.mark.parametrize(("name", "pack"), ARCHIVES)
@pytest.mark.parametrize("evil", ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name, pack, evil):
    archive = pack(tmp_path / name, {"good.txt": b"good", evil: b"evil"})
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(archive, tmp_path / "sub/out")
    assert not (tmp_path / "evil.txt").exists()
    assert not (tmp_path / "sub/out").exists()


@pytest.mark.parametrize(("name", "pack"), ARCHIVES)
def test_links_are_refused_or_left_out(tmp_path, name, pack):
    archive = pack(tmp_path / name, {"good.txt": b"good"}, links=["passwords"])
    with pytest.raises(DataError, match="is a link"):
        unpack(archive, tmp_path / "out")
    unpack(archive, tmp_path / "out", skip_links=True)
    assert tree(tmp_path / "out") == {"good.txt": b"good"}


@pytest.mark.parametrize(("name", "pack"), ARCHIVES)
def test_broken_archives(tmp_path, name, pack):
    archive = pack(tmp_path / name, {"a/1.txt": bytes(range(256)) * 100, "b.txt": b"b"})
    archive.write_bytes(archive.read_bytes()[:-700] if name != "a.tar" else b"not a tar at all" * 100)
    with pytest.raises(DataError, match="broken"):
        unpack(archive, tmp_path / "out")


def test_a_damaged_byte_is_found(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a.txt": b"a" * 1000, "b.txt": b"b"})
    data = bytearray(archive.read_bytes())
    data[500] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="broken"):
        unpack(archive, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "1")
        archive.writestr("./a.txt", "2")
    with pytest.raises(DataError, match="twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_what_does_not_fit_is_not_unpacked(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"a.txt": b"a" * 5000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(10, 6, 4999))
    with pytest.raises(DataError, match="free"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_counts_as_an_archive():
    assert [is_archive(n) for n in ("a.zip", "A.ZIP", "a.tar", "a.tgz", "a.nii.gz", "a.csv")] == [True] * 4 + [
        False
    ] * 2
