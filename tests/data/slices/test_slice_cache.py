from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.data.slices import build as build_module
from spinelab.data.slices.build import build, cache_key
from spinelab.data.slices.cache import Cache, Damaged, seal, unseal
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case, LabelMap


def assert_equals_prepared(cache: Cache, cases: list[Case], labels: LabelMap, preprocessing: Preprocessing) -> None:
    row = 0
    for position, case in enumerate(cases):
        volume = prepare_case(case, labels, preprocessing)
        info = cache.volumes[position]
        assert (info.name, info.person, info.site, info.group) == (case.name, case.person, case.site, case.group)
        assert info.intensity == volume.intensity
        assert info.slices == len(volume.image)
        np.testing.assert_array_equal(info.spacing, volume.geometry.spacing)
        for index in np.flatnonzero(volume.usable):
            assert cache.table["volume"][row] == position
            assert cache.table["slice"][row] == index
            np.testing.assert_array_equal(cache.image(row), volume.image[index].astype(cache.images.dtype))
            np.testing.assert_array_equal(cache.image(row), volume.image[index])
            np.testing.assert_array_equal(cache.mask(row), volume.mask[index])
            counts = [np.count_nonzero(volume.mask[index] == label) for label in range(labels.count)]
            assert cache.pixels[row].tolist() == counts
            row += 1
    assert len(cache) == row


@pytest.mark.parametrize(
    "settings",
    [{}, {"spacing_mm": (1.0, 1.0)}, {"crop": (8, 24)}, {"plane": "axial", "slices": "complete"}],
    ids=["native", "resampled", "cropped", "axial"],
)
def test_cache_holds_what_prepare_case_returns(cases, labels, tmp_path, settings):
    preprocessing = Preprocessing(**settings)
    cache = build(cases, labels, preprocessing, tmp_path / "cache", progress=False)
    assert_equals_prepared(cache, cases, labels, preprocessing)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(0, 200, "int16"), (0, 255, "uint8")], "uint8"),
        ([(-100, 100, "int16"), (0, 90, "uint8")], "int8"),
        ([(-5, 100, "int16"), (0, 255, "uint8")], "int16"),
        ([(0, 60000, "uint16"), (0, 255, "uint8")], "uint16"),
        ([(-5, 100, "int16"), (0, 60000, "uint16")], "int32"),
        ([(0, 200, "float32"), (0, 255, "uint8")], "float32"),
    ],
)
def test_smallest_type_that_holds_every_volume(make_case, labels, preprocessing, tmp_path, ranges, expected):
    cases = [make_case(f"v{n}", low=low, high=high, dtype=dtype) for n, (low, high, dtype) in enumerate(ranges)]
    cache = build(cases, labels, preprocessing, tmp_path / "cache", progress=False)
    assert cache.images.dtype == expected
    assert_equals_prepared(cache, cases, labels, preprocessing)


@pytest.mark.usefixtures("many_processes")
def test_several_processes_give_the_same_cache(make_case, labels, preprocessing, tmp_path):
    cases = [make_case(f"v{n}") for n in range(5)]
    one = build(cases, labels, preprocessing, tmp_path / "one", workers=1, progress=False)
    two = build(cases, labels, preprocessing, tmp_path / "two", workers=2, progress=False)
    assert (one.folder / "meta.json").read_text() == (two.folder / "meta.json").read_text()


def test_second_build_reads_no_case_again(cache, cases, labels, preprocessing, monkeypatch):
    monkeypatch.setattr(build_module, "prepare_parts", lambda *_, **__: pytest.fail("a case was read again"))
    again = build(cases, labels, preprocessing, cache.folder.parent, progress=False)
    assert again.folder == cache.folder


def test_every_broken_case_is_listed_at_once(cases, labels, preprocessing, tmp_path):
    for broken in (cases[0], cases[3]):
        broken.images[0][0].write_bytes(b"not a scan" * 100)
    unmasked = dataclasses.replace(cases[1], masks=())
    with pytest.raises(DataError) as raised:
        build([cases[0], unmasked, cases[2], cases[3]], labels, preprocessing, tmp_path / "cache", progress=False)
    message = str(raised.value)
    assert "3 of 4 cases" in message
    assert all(part in message for part in ("a1.nii", "b1: ", "no mask", "c1.nii"))
    assert "a2: " not in message


@pytest.mark.usefixtures("many_processes")
def test_every_broken_case_is_listed_from_several_processes(make_case, labels, preprocessing, tmp_path):
    cases = [make_case(f"v{n}") for n in range(5)]
    for broken in cases[1:3]:
        broken.images[0][0].write_bytes(b"not a scan" * 100)
    with pytest.raises(DataError, match="2 of 5 cases"):
        build(cases, labels, preprocessing, tmp_path / "cache", workers=2, progress=False)


def test_missing_files_are_listed(cases, labels, preprocessing, tmp_path):
    cases[1].images[0][0].unlink()
    cases[2].masks[0].files[0].unlink()
    with pytest.raises(DataError, match=r"(?s)2 of 4.*b1\.nii.*a2_mask\.nii"):
        build(cases, labels, preprocessing, tmp_path / "cache", progress=False)


def test_unlike_channels_are_an_error(cases, labels, preprocessing, tmp_path):
    double = dataclasses.replace(cases[1], images=cases[1].images * 2)
    with pytest.raises(DataError, match="number of channels"):
        build([cases[0], double], labels, preprocessing, tmp_path / "cache", progress=False)


def test_two_channels_stay_apart(cases, labels, preprocessing, tmp_path):
    double = dataclasses.replace(cases[1], images=cases[1].images * 2)
    cache = build([double], labels, preprocessing, tmp_path / "cache", progress=False)
    assert cache.channels == 2
    assert_equals_prepared(cache, [double], labels, preprocessing)


def test_no_cases_is_an_error(labels, preprocessing, tmp_path):
    with pytest.raises(DataError, match="no cases"):
        build([], labels, preprocessing, tmp_path)


@pytest.mark.parametrize("step", ["_fill", "_finish", "sync", "_table", "file_facts", "prepare_parts"])
def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(
    cases, labels, preprocessing, tmp_path, monkeypatch, step
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    root = tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(build_module, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(cases, labels, preprocessing, root, progress=False)
    assert not [path for path in root.iterdir() if path.is_dir()]
    assert_equals_prepared(build(cases, labels, preprocessing, root, progress=False), cases, labels, preprocessing)


def test_what_a_killed_process_left_is_cleared(cases, labels, preprocessing, tmp_path):
    key = cache_key(cases, labels, preprocessing)
    left = tmp_path / "cache" / f"{key}.abc" / "done"
    left.mkdir(parents=True)
    build(cases, labels, preprocessing, tmp_path / "cache", progress=False)
    assert not left.parent.exists()


@pytest.mark.parametrize("name", ["images.bin", "masks.bin", "slices.parquet", "volumes.json", "meta.json"])
def test_a_flipped_byte_is_found_and_repaired(cache, cases, labels, preprocessing, name):
    path = cache.folder / name
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match=f"{name} does not have the checksum"):
        Cache.open(cache.folder, verify=True)
    rebuilt = build(cases, labels, preprocessing, cache.folder.parent, progress=False)
    assert rebuilt.folder == cache.folder
    assert_equals_prepared(rebuilt, cases, labels, preprocessing)


@pytest.mark.parametrize("name", ["images.bin", "masks.bin", "slices.parquet", "volumes.json", "meta.json"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_truncated_or_missing_file_is_found_at_opening(cache, name, missing):
    path = cache.folder / name
    path.unlink() if missing else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="no usable cache"):
        Cache.open(cache.folder)


def test_pixels_that_would_be_objects_are_not_trusted(cache):
    meta = unseal((cache.folder / "meta.json").read_text()) | {"dtype": "object"}
    (cache.folder / "meta.json").write_text(seal(meta))
    with pytest.raises(DataError, match="pixels cannot be object"):
        Cache.open(cache.folder)


def test_pixels_cannot_be_written(cache):
    with pytest.raises(ValueError, match="read-only"):
        cache.image(0)[:] = 0


def _build_elsewhere(queue, *arguments):
    queue.put(build(*arguments, progress=False).folder)


def test_two_builders_at_once_get_the_same_cache(cases, labels, preprocessing, tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    arguments = (queue, cases, labels, preprocessing, tmp_path / "cache")
    builders = [context.Process(target=_build_elsewhere, args=arguments) for _ in range(2)]
    for builder in builders:
        builder.start()
    folders = {queue.get(timeout=60) for _ in builders}
    for builder in builders:
        builder.join(10)
        assert builder.exitcode == 0
    assert len(folders) == 1
    assert_equals_prepared(Cache.open(folders.pop(), verify=True), cases, labels, preprocessing)


def test_key_depends_on_all_that_pixels_depend_on(cases, labels, preprocessing, make_case):
    key = cache_key(cases, labels, preprocessing)
    assert key == cache_key(list(cases), labels, Preprocessing())
    others = [
        cache_key(cases[::-1], labels, preprocessing),
        cache_key(cases[:-1], labels, preprocessing),
        cache_key(cases, LabelMap(("disc", "vertebra")), preprocessing),
        cache_key(cases, labels, Preprocessing(crop=(8, 8))),
        cache_key([dataclasses.replace(cases[0], person="z"), *cases[1:]], labels, preprocessing),
    ]
    for path in (cases[0].images[0][0], cases[0].masks[0].files[0]):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        others.append(cache_key(cases, labels, preprocessing))
    assert len({key, *others}) == len(others) + 1


def test_key_does_not_depend_on_place_or_regions(cases, preprocessing, labels, tmp_path):
    key = cache_key(cases, labels, preprocessing)
    moved = tmp_path / "elsewhere.nii"
    cases[0].images[0][0].rename(moved)
    assert key == cache_key([dataclasses.replace(cases[0], images=((moved,),)), *cases[1:]], labels, preprocessing)
    assert key == cache_key(
        [dataclasses.replace(cases[0], images=((moved,),)), *cases[1:]],
        LabelMap(labels.classes, {"spine": labels.classes}),
        preprocessing,
    )


def test_pickle_is_small_and_maps_the_same_pixels(cache):
    stored = pickle.dumps(cache)
    assert len(stored) < 1000
    again = pickle.loads(stored)
    assert isinstance(again.images, np.memmap)
    np.testing.assert_array_equal(again.images, cache.images)
    assert again.volumes == cache.volumes


def test_unknown_spacing_survives(labels, preprocessing, tmp_path):
    from PIL import Image

    from spinelab.types import MaskFiles

    for name, value in (("image.png", 7), ("mask.png", 1)):
        Image.fromarray(np.full((9, 8), value, np.uint8) * np.eye(9, 8, dtype=np.uint8)).save(tmp_path / name)
    truth = MaskFiles((tmp_path / "mask.png",), {1: "vertebra"})
    case = Case("a", "a", ((tmp_path / "image.png",),), (truth,))
    cache = build([case], labels, preprocessing, tmp_path / "cache", progress=False)
    assert np.isnan(cache.volumes[0].spacing).all()


def test_persons_and_sites(cache):
    assert cache.sites == {"a": "north", "b": "south", "c": "south"}
    assert cache.volumes_of(["c", "a"]) == [0, 2, 3]
    with pytest.raises(ConfigError, match="x, z"):
        cache.volumes_of(["a", "z", "x"])


def test_open_of_nothing_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="spinelab prepare"):
        Cache.open(Path(tmp_path / "nothing"))


def test_a_wider_scan_in_the_middle_changes_the_type_of_all(make_case, labels, preprocessing, tmp_path):
    """The first fit into uint8, the second needs int16, the third (float) float32; each pixel is still there."""
    first, second, third = (make_case(f"v{n}") for n in range(3))
    for case, change in ((first, lambda a: (a % 200).astype(np.uint8)), (second, lambda a: (a - 500).astype(np.int16)),
                         (third, lambda a: a.astype(np.float32) + 0.5)):  # fmt: skip
        path = case.images[0][0]
        image = nib.load(path)
        values = change(np.abs(np.asarray(image.dataobj)))
        nib.save(nib.Nifti1Image(values, image.affine, dtype=values.dtype), path)
    for wanted, some in (("uint8", [first]), ("int16", [first, second]), ("float32", [first, second, third])):
        cache = build(some, labels, preprocessing, tmp_path / "cache", progress=False)
        assert cache.images.dtype == wanted
        assert_equals_prepared(cache, some, labels, preprocessing)
        assert Cache.open(cache.folder, verify=True)
