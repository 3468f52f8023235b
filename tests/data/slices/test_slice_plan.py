from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
import psutil
import pytest

from spinelab.data.slices import plan as module
from spinelab.data.slices.build import build
from spinelab.data.slices.plan import Plan, need
from spinelab.data.slices.storage import size
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError


def test_disk_is_what_the_cache_takes(cases, labels, preprocessing, tmp_path):
    cases = [case for case in cases if case.name != "c1"]  # of one type, as its 8 bits would be widened
    cache = build(cases, labels, preprocessing, tmp_path / "cache", progress=False)
    slices = (3 + 4 + 2, 3 * 12 * 16 + 4 * 10 * 20 + 2 * 12 * 16)
    assert len(cache) == slices[0]
    assert Plan.of(cases, preprocessing).disk == slices[1] * (2 + 1)


@pytest.mark.parametrize(
    ("settings", "voxels", "width"),
    [
        ({"crop": (8, 24)}, 3 * 8 * 24, 2),
        ({"spacing_mm": (1.0, 1.0)}, 3 * 12 * 16 * 0.5 * 0.75, 4),
        ({"plane": "axial", "spacing_mm": (1.0, 1.0)}, 16 * 3 * 12 * 4 * 0.5, 4),
    ],
)
def test_disk_follows_the_preprocessing(make_case, labels, settings, voxels, width):
    found = need(make_case("a"), Preprocessing(**settings))
    assert found.disk == pytest.approx(voxels * (width + 1))


def test_channels_count(make_case, preprocessing):
    case = make_case("a")
    double = dataclasses.replace(case, images=case.images * 2)
    assert need(double, preprocessing).disk == 3 * 12 * 16 * (2 * 2 + 1)
    assert need(double, preprocessing).memory == 2 * need(case, preprocessing).memory


def test_an_unreadable_header_is_left_to_the_preparation(make_case, preprocessing):
    case = make_case("a")
    case.images[0][0].write_bytes(b"x")
    assert need(case, preprocessing).memory == 0


@pytest.fixture
def large(tmp_path, make_case):
    """A header that claims 512 MiB; nobody reads its pixels."""
    case = make_case("large")
    image = nib.Nifti1Image(np.broadcast_to(np.int16(0), (256, 1024, 1024)), np.diag([4.0, 0.5, 0.5, 1]))
    header = image.header.binaryblock
    case.images[0][0].write_bytes(header + bytes(4))
    return case


def _memory(monkeypatch, mebibytes):
    free = type("Memory", (), {"available": mebibytes * 2**20})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)


def test_fewer_processes_where_memory_would_not_do(make_case, large, preprocessing, monkeypatch):
    cases = [large, *(make_case(f"v{n}") for n in range(7))]
    each = module.PROCESS + 256 * 2**20 * module.PER_VOXEL
    monkeypatch.setattr(module, "WORTH", 0)
    _memory(monkeypatch, 32 * 1024)
    plan = Plan.of(cases, preprocessing, workers=8)
    assert plan.memory_each == each
    assert plan.workers == 32 * 2**30 // each == 6
    _memory(monkeypatch, 8 * 1024)
    assert Plan.of(cases, preprocessing, workers=8).workers == 1


def test_too_little_memory_is_told_before_it_starts(make_case, large, labels, preprocessing, tmp_path, monkeypatch):
    _memory(monkeypatch, 1024)
    with pytest.raises(DataError, match=r"preparing large takes about 5\.2 GiB of memory and 1\.0 GiB are free"):
        build([make_case("a"), large], labels, preprocessing, tmp_path / "cache")


def test_a_second_process_must_be_worth_its_start(make_case, preprocessing, monkeypatch):
    cases = [make_case(f"v{n}") for n in range(5)]
    assert Plan.of(cases, preprocessing, workers=2).workers == 1
    monkeypatch.setattr(module, "WORTH", 5 * 3 * 12 * 16 * module.SECONDS / 3.5)
    assert Plan.of(cases, preprocessing, workers=2).workers == 2
    assert Plan.of(cases, preprocessing, workers=8).workers == 3


def test_the_plan_is_printed_before_it_starts(cases, labels, preprocessing, tmp_path, capsys):
    build(cases, labels, preprocessing, tmp_path / "cache")
    assert "4 cases, about 2 KiB each, 1 process: up to 180 MiB of memory, 6 KiB on disk" in capsys.readouterr().out
    build(cases, labels, preprocessing, tmp_path / "cache")
    assert "on disk" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (5 << 20, "5 MiB"), (3 << 29, "1.5 GiB")]
)
def test_size(amount, text):
    assert size(amount) == text
