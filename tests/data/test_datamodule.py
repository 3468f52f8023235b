from __future__ import annotations

from pathlib import Path

import lightning as L
import nibabel as nib
import numpy as np
import pytest
import torch
from torch import distributed

from spinelab.data.datamodule import SliceDataModule
from spinelab.data.slices.build import build
from spinelab.data.slices.cache import Cache
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import ConfigError
from spinelab.types import Case, LabelMap, MaskFiles

SPLIT = Split("by hand", 0, 0, ("a", "b"), ("c",), ("d",))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Two volumes of person a, one of b, c and d each, five slices in every volume."""
    folder = tmp_path_factory.mktemp("scans")
    return build([_case(folder, name) for name in ("a1", "a2", "b1", "c1", "d1")], *_how(), folder, progress=False)


def _how() -> tuple[LabelMap, Preprocessing]:
    return LabelMap(("vertebra",)), Preprocessing()


def _case(folder: Path, name: str) -> Case:
    rng = np.random.default_rng(list(name.encode()))
    files = (folder / f"{name}.nii", folder / f"{name}_mask.nii")
    for path, high in zip(files, (200, 2), strict=True):
        nib.save(nib.Nifti1Image(rng.integers(0, high, (5, 12, 16)).astype(np.int16), np.eye(4)), path)
    return Case(name, name[0], ((files[0],),), (MaskFiles((files[1],), {1: "vertebra"}),))


def _keys(loader) -> list[tuple[int, int]]:
    return [pair for batch in loader for pair in zip(batch["volume"].tolist(), batch["slice"].tolist(), strict=True)]


def test_each_side_has_the_slices_of_its_persons(cache):
    data = SliceDataModule(cache, SPLIT, batch_size=4)
    found = [[volume.name for volume in part.volumes] for part in (data.train_set, data.val_set, data.test_set)]
    assert found == [["a1", "a2", "b1"], ["c1"], ["d1"]]
    assert _keys(data.val_dataloader()) == _keys(data.test_dataloader()) == [(0, n) for n in range(5)]


def test_training_is_shuffled_and_drops_a_small_last_batch(cache):
    loader = SliceDataModule(cache, SPLIT, batch_size=4).train_dataloader()
    assert [len(batch["image"]) for batch in loader] == [4, 4, 4]
    keys = _keys(loader)
    assert len(set(keys)) == 12
    assert keys != sorted(keys)


def test_a_batch_larger_than_the_data_is_kept(cache):
    loader = SliceDataModule(cache, SPLIT, batch_size=40).train_dataloader()
    assert [len(batch["image"]) for batch in loader] == [15]


def test_evaluation_batches_have_their_own_size(cache):
    data = SliceDataModule(cache, SPLIT, batch_size=4, eval_batch_size=2)
    assert [len(batch["image"]) for batch in data.test_dataloader()] == [2, 2, 1]


def test_only_training_is_augmented(cache):
    data = SliceDataModule(cache, SPLIT, augmentation=lambda image, mask, rng: (image * 0 + 9, mask))
    assert all((batch["image"] == 9).all() for batch in data.train_dataloader())
    assert not any((batch["image"] == 9).any() for batch in data.val_dataloader())


def test_channels_are_told(cache):
    assert SliceDataModule(cache, SPLIT).channels == 1


def test_sampling_is_passed_on_and_training_only(cache):
    plain = SliceDataModule(cache, SPLIT, batch_size=4)
    balanced = SliceDataModule(cache, SPLIT, batch_size=4, sampling="balanced", empty_slices=0.5)
    assert _keys(plain.test_dataloader()) == _keys(balanced.test_dataloader())
    keys = _keys(balanced.train_dataloader())
    assert len(set(keys)) < len(keys) == len(_keys(plain.train_dataloader())) == 12


@pytest.fixture(scope="module")
def half_empty(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """The same volumes; only slices 1 and 3 of each have foreground."""
    folder = tmp_path_factory.mktemp("scans")
    cases = [_case(folder, name) for name in ("a1", "a2", "b1", "c1", "d1")]
    for case in cases:
        image = nib.load(path := case.masks[0].files[0])
        values = np.zeros((5, 12, 16), np.int16)
        values[[1, 3], 2, 3] = 1
        nib.save(nib.Nifti1Image(values, image.affine), path)
    return build(cases, *_how(), folder / "cache", progress=False)


@pytest.mark.parametrize(("empty", "expected"), [("keep", 15), ("drop", 6), (1 / 3, 9), (0, 6), (1, 15)])
def test_empty_slices(half_empty, empty, expected):
    data = SliceDataModule(half_empty, SPLIT, batch_size=1, empty_slices=empty)
    keys = _keys(data.train_dataloader())
    assert len(set(keys)) == len(keys) == expected
    assert {key for key in keys if key[1] in (1, 3)} == {(volume, index) for volume in range(3) for index in (1, 3)}
    assert len(_keys(data.test_dataloader())) == 5


@pytest.mark.parametrize("wrong", [{"sampling": "fair"}, {"empty_slices": "some"}, {"empty_slices": 2}])
def test_wrong_sampling(cache, wrong):
    with pytest.raises(ConfigError, match=r"(?s)cannot be drawn.*loader\.sampling"):
        SliceDataModule(cache, SPLIT, **wrong)


def test_nearly_the_same_image_on_two_sides_is_warned_of(tmp_path, recwarn):
    cases = [_case(tmp_path, name) for name in ("a1", "b1", "c1", "d1")]
    image = nib.load(cases[0].images[0][0])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 2, image.affine), cases[3].images[0][0])
    cache = build(cases, *_how(), tmp_path / "cache", progress=False)
    SliceDataModule(cache, Split("x", 0, 0, ("a", "d"), ("c",), ("b",))).prepare_data()
    assert not [warning for warning in recwarn if "nearly the same" in str(warning.message)]
    with pytest.warns(UserWarning, match=r"(?s)1 pairs? .*a1 slice \d and d1 slice \d: 1\.0"):
        SliceDataModule(cache, SPLIT).prepare_data()


def test_persons_without_data(cache):
    with pytest.raises(ConfigError, match="persons without data: z"):
        SliceDataModule(cache, Split("x", 0, 0, ("a",), (), ("z",)))


class Recorder(L.LightningModule):
    """Learns nothing and writes down what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 2, 1)
        self.seen: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def _see(self, batch, stage):
        pairs = zip(batch["volume"].tolist(), batch["slice"].tolist(), strict=True)
        self.seen.setdefault((stage, self.current_epoch), []).extend(pairs)
        return torch.nn.functional.cross_entropy(self.layer(batch["image"]), batch["mask"])

    def training_step(self, batch, batch_idx):
        return self._see(batch, "train")

    def validation_step(self, batch, batch_idx):
        self._see(batch, "val")

    def test_step(self, batch, batch_idx):
        self._see(batch, "test")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def _trainer(folder: Path, **settings) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler"), False)
    return L.Trainer(default_root_dir=folder, accelerator="cpu", num_sanity_val_steps=0, **quiet, **settings)


@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_tells_the_epoch_and_a_resumed_training_sees_the_same(cache, tmp_path, workers):
    whole, first, second = Recorder(), Recorder(), Recorder()
    data = SliceDataModule(cache, SPLIT, batch_size=4, num_workers=workers)
    _trainer(tmp_path, max_epochs=3, enable_checkpointing=False).fit(whole, data)
    orders = [tuple(whole.seen["train", epoch]) for epoch in range(3)]
    assert len(set(orders)) == 3
    assert all(whole.seen["val", epoch] == [(0, n) for n in range(5)] for epoch in range(3))
    halfway = _trainer(tmp_path, max_epochs=1)
    halfway.fit(first, data)
    halfway.save_checkpoint(tmp_path / "half.ckpt")
    resumed = _trainer(tmp_path, max_epochs=3, enable_checkpointing=False)
    resumed.fit(second, SliceDataModule(cache, SPLIT, batch_size=4), ckpt_path=tmp_path / "half.ckpt")
    assert [tuple(second.seen["train", epoch]) for epoch in (1, 2)] == orders[1:]


def test_lightning_trains_without_validation(cache, tmp_path):
    data = SliceDataModule(cache, Split("x", 0, 0, ("a", "b"), (), ("d",)), batch_size=4)
    model, trainer = Recorder(), _trainer(tmp_path, max_epochs=1, enable_checkpointing=False)
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    assert {stage for stage, _ in model.seen} == {"train", "test"}


def _one_of_two(rank: int, folder: str, store: str, queue) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    data = SliceDataModule(Cache.open(Path(folder)), SPLIT, batch_size=2)
    queue.put((_keys(data.train_dataloader()), _keys(data.test_dataloader())))
    distributed.destroy_process_group()


def test_two_processes_share_the_slices(cache, tmp_path):
    context = torch.multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    arguments = [(rank, str(cache.folder), str(tmp_path / "store"), queue) for rank in (0, 1)]
    processes = [context.Process(target=_one_of_two, args=each) for each in arguments]
    for process in processes:
        process.start()
    (train0, test0), (train1, test1) = queue.get(), queue.get()
    for process in processes:
        process.join(20)
    assert len(train0) == len(train1) == 6
    assert not set(train0) & set(train1)
    assert sorted(test0 + test1) == [(0, n) for n in range(5)]
