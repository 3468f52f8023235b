"""Training on a few of the training persons only."""

from __future__ import annotations

import json

import pytest
from tests_shared import disc_overrides

from spinelab import build
from spinelab.commands._training import check
from spinelab.config import compose_config, resolved
from spinelab.data.splits import Split
from spinelab.data.splits.subset import few_train_persons
from spinelab.errors import ConfigError
from spinelab.run import LATER, run_hash
from spinelab.types import Case

CASES = [Case(f"c{number:02d}", f"p{number:02d}", ()) for number in range(31)]


def split_of(*overrides: str) -> Split:
    return build.split(compose_config(overrides), CASES)


@pytest.mark.parametrize("protocol", ["holdout", "kfold", "kfold_test", "leave_one_person_out", "nested"])
def test_a_few_are_among_more_and_nobody_else_changes_sides(protocol):
    whole = split_of(f"protocol={protocol}")
    sides = {count: split_of(f"protocol={protocol}", f"train_persons={count}") for count in (1, 2, 5, 10)}
    for count, side in sides.items():
        assert len(side.train) == count
        assert (side.val, side.test) == (whole.val, whole.test)
        assert set(side.train) <= set(whole.train)
    assert set(sides[1].train) < set(sides[2].train) < set(sides[5].train) < set(sides[10].train)
    assert len({split.hash for split in (whole, *sides.values())}) == 5


def test_all_of_them_are_the_split_itself():
    whole = split_of()
    assert split_of(f"train_persons={len(whole.train)}") == whole == split_of("train_persons=null")


def test_the_protocol_decides_who_and_the_seed_of_the_training_does_not():
    first = split_of("train_persons=5")
    assert split_of("train_persons=5", "seed=7") == first == split_of("train_persons=5")
    draws = {
        split_of("protocol=kfold", "train_persons=5", f"protocol.seed={seed}", f"protocol.fold={fold}").train
        for seed in range(2)
        for fold in range(3)
    }
    assert len(draws) == 6


def test_everybody_is_drawn_about_equally_often():
    train = tuple(f"p{number}" for number in range(10))
    draws = [few_train_persons(Split("holdout", seed, 0, train, (), ("t",)), 2).train for seed in range(1000)]
    counts = [sum(person in draw for draw in draws) for person in train]
    assert min(counts) > 200 - 4 * 12.7  # binomial of 1000 and 0.2 has a standard deviation of 12.65
    assert max(counts) < 200 + 4 * 12.7


@pytest.mark.parametrize("count", ["0", "-1", "99", "2.5", "two"])
def test_what_cannot_be_is_refused(count):
    with pytest.raises(ConfigError, match=rf"train_persons={count}.*trains on 22.*\n.*from 1 to 22"):
        split_of(f"train_persons={count}")


def test_the_others_are_not_read(tmp_path, discs):
    config = compose_config(
        [*disc_overrides(discs, tmp_path / "runs"), "train_persons=2", "processes=1", "logger.mode=disabled"]
    )
    left_out = set(build.split(compose_config([*disc_overrides(discs, tmp_path / "runs")]), build.cases(config)).train)
    left_out -= set(build.split(config, build.cases(config)).train)
    assert left_out
    for person in left_out:
        (discs / "images" / f"{person}.nii.gz").write_bytes(b"no picture")
    ready = check(config)
    assert {volume.person for volume in ready.data.train_set.volumes} == set(ready.split.train)


def test_a_run_is_what_it_was_before_there_were_these_keys():
    plain = resolved(compose_config([]))
    without = {key: value for key, value in json.loads(json.dumps(plain)).items() if key not in LATER}
    assert run_hash(plain) == run_hash(without)
    assert {"train_persons", "encoder_lr"} <= plain.keys() - without.keys()


def test_a_run_on_a_few_persons_or_with_a_slow_encoder_is_another():
    hashes = [
        run_hash(resolved(compose_config(overrides)))
        for overrides in ([], ["train_persons=2"], ["train_persons=5"], ["encoder_lr=0.1"], ["encoder_lr=0"])
    ]
    assert len(set(hashes)) == 5
