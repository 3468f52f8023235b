"""The shipped configurations of layouts, from files on disk to class indices and a split."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from spinelab import build
from spinelab.config import compose_config
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import DataError

RAW = {"spider": [0, 1, 9, 100, 103, 201], "other": [0, 1, 2]}


def write(root: Path, name: str, values: list[int] | None = None) -> None:
    """A scan of noise, or a mask that holds the values in stripes, as (X, Y, Z)."""
    shape = (4, 24, 18)
    array = np.random.default_rng(list(name.encode())).integers(0, 900, shape).astype(np.int16)
    if values:
        array[:] = np.array(values, np.int16)[np.arange(24) * len(values) // 24][None, :, None]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".mha"):
        image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
        image.SetSpacing((4.0, 0.6, 0.6))
        sitk.WriteImage(image, root / name)
    else:
        nib.save(nib.Nifti1Image(array, np.diag([4.0, 0.6, 0.6, 1])), root / name)


def spider(root: Path) -> list[str]:
    for series in ("1_t1", "1_t2", "2_t2_SPACE", "3_t2"):
        write(root, f"images/{series}.mha")
        write(root, f"masks/{series}.mha", RAW["spider"])
    return []


def decathlon(root: Path) -> list[str]:
    pairs = [{"image": f"./imagesTr/spine_{n}.nii.gz", "label": f"./labelsTr/spine_{n}.nii.gz"} for n in range(4)]
    for pair in pairs:
        write(root, pair["image"])
        write(root, pair["label"], RAW["other"])
    labels = {"0": "background", "1": "spinal cord", "2": "disc"}
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "MRI"}, "labels": labels, "training": pairs}))
    return ["data.labels.classes=[disc,spinal_cord]"]


def nnunet(root: Path) -> list[str]:
    for case in ("sp_001", "sp_002", "sp_003"):
        write(root, f"imagesTr/{case}_0000.nii.gz")
        write(root, f"imagesTr/{case}_0001.nii.gz")
        write(root, f"labelsTr/{case}.nii.gz", RAW["other"])
    labels = {"background": 0, "cord": [1, 2], "grey matter": 2}
    description = {"channel_names": {"0": "T2", "1": "T1"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(description))
    folds = [{"train": ["sp_001", "sp_002"], "val": ["sp_003"]}, {"train": ["sp_003", "sp_001"], "val": ["sp_002"]}]
    (root / "splits_final.json").write_text(json.dumps(folds))
    return [
        "data.labels.classes=[label_1,grey_matter]", "data.labels.regions={cord: [label_1, grey_matter]}",
        r"data.source.person='sp_(\d+)'", "protocol=nnunet", "protocol.fold=1",
    ]  # fmt: skip


def manifest(root: Path) -> list[str]:
    lines = ["person,image_t2,image_t1,mask"]
    for person in "abc":
        for name in ("t2", "t1"):
            write(root, f"{person}/{name}.nii.gz")
        write(root, f"{person}/{person}.nii.gz", RAW["other"])
        lines.append(f"{person},{person}/t2.nii.gz,{person}/t1.nii.gz,{person}/{person}.nii.gz")
    (root / "scans.csv").write_text("\n".join([lines[0] + ",case", *(f"{line},{line[0]}" for line in lines[1:])]))
    return ["data.source.table=scans.csv", "data.source.labels={1: disc, 2: cord}", "data.labels.classes=[disc,cord]"]


@pytest.mark.parametrize(
    ("layout", "cases", "persons", "channels", "classes"),
    [(spider, 4, 3, 1, [0, 1, 2, 3]), (decathlon, 4, 4, 1, [0, 1, 2]), (nnunet, 3, 3, 2, [0, 1, 2]),
     (manifest, 3, 3, 2, [0, 1, 2])],
)  # fmt: skip
def test_from_files_to_classes(layout, cases, persons, channels, classes, tmp_path):
    config = compose_config([f"data={layout.__name__}", f"data.root={tmp_path}", *layout(tmp_path)])
    listed = build.cases(config)
    assert len(listed) == cases
    assert len({case.person for case in listed}) == persons
    for case in listed:
        volume = prepare_case(case, build.labels(config), build.preprocessing(config))
        assert volume.image.shape[-1] == channels
        assert sorted(np.unique(volume.mask)) == classes
    assert len(build.split(config, listed).persons) == persons


def test_the_values_of_spider_become_vertebra_disc_and_canal(tmp_path):
    config = compose_config(["data=spider", f"data.root={tmp_path}", *spider(tmp_path)])
    mask = prepare_case(build.cases(config)[0], build.labels(config), build.preprocessing(config)).mask
    expected = {1: 8 + 4, 2: 4, 3: 4}  # columns of 24: two whole vertebrae and one cut off, a disc, the canal
    counts = np.bincount(mask[0].ravel(), minlength=4)
    assert {index: int(count) for index, count in enumerate(counts) if index} == {
        index: columns * 18 for index, columns in expected.items()
    }


def test_nnunets_fold_is_taken_by_person(tmp_path):
    config = compose_config(["data=nnunet", f"data.root={tmp_path}", *nnunet(tmp_path)])
    sides = build.split(config, build.cases(config))
    assert (sides.train, sides.val, sides.test) == (("001", "003"), (), ("002",))


def test_a_data_set_without_masks_is_told_in_one_message(tmp_path):
    overrides = spider(tmp_path)
    for file in (tmp_path / "masks").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"4 masks are missing: masks/1_t1\.mha, .*masks/3_t2\.mha\n"):
        build.cases(compose_config(["data=spider", f"data.root={tmp_path}", *overrides]))
