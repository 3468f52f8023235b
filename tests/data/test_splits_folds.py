"""Nested folds, folds beside one test side, and counting folds."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spinelab.data.splits import (
    NoSuchFold,
    Split,
    fold_count,
    holdout,
    kfold,
    kfold_test,
    leave_one_person_out,
    leave_one_site_out,
    nested,
)
from spinelab.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf/protocol"
PERSONS = [f"sub-{number:03d}" for number in range(31)]
seeds = st.integers(0, 2**32)


@st.composite
def populations(draw: st.DrawFn, least: int) -> tuple[dict[str, str], dict[str, str]]:
    """Site and group of each of some persons with odd names."""
    persons = draw(st.lists(st.text("abcxyz012", min_size=1, max_size=4), min_size=least, max_size=40, unique=True))
    rng = random.Random(draw(st.integers(0, 1000)))
    sites = {person: rng.choice("AB"[: rng.randint(1, 2)]) for person in persons}
    return sites, {person: rng.choice(["", "cyst", "fracture"]) for person in persons}


@given(people=populations(8), folds=st.integers(2, 4), inner_folds=st.integers(2, 4), seed=seeds, val=st.floats(0, 0.5))
def test_no_inner_split_names_a_person_that_its_fold_tests(people, folds, inner_folds, seed, val):
    sites, groups = people
    for fold in range(folds):
        settings = {"folds": folds, "fold": fold, "seed": seed, "val_fraction": val, "sites": sites, "groups": groups}
        outer = nested(sites, **settings)
        plain = kfold(sites, **settings)
        assert (outer.train, outer.val, outer.test) == (plain.train, plain.val, plain.test)
        inners = [nested(list(sites)[::-1], inner=i, inner_folds=inner_folds, **settings) for i in range(inner_folds)]
        for inner in inners:
            assert not set(inner.persons) & set(outer.test)
            assert sorted(inner.persons) == sorted(outer.train + outer.val)
            assert inner.test == ()
            assert inner.train
            assert inner.val
        validated = [person for inner in inners for person in inner.val]
        assert sorted(validated) == sorted(outer.train + outer.val)  # each once
        assert len({inner.hash for inner in [*inners, outer]}) == inner_folds + 1


def test_a_saved_inner_split_names_no_test_person(tmp_path):
    """Not even as one who is left out: the file is all that a search may see."""
    nested(PERSONS, inner=1).save(tmp_path / "split.json")
    text = (tmp_path / "split.json").read_text()
    assert not [person for person in nested(PERSONS).test if person in text]
    assert Split.load(tmp_path / "split.json") == nested(PERSONS, inner=1)


def test_inner_splits_give_each_site_its_share():
    sites = {f"p{n:02d}": "north" if n < 24 else "south" for n in range(36)}
    for inner in range(3):
        split = nested(sites, folds=3, inner=inner, inner_folds=4, sites=sites)
        assert Counter(sites[person] for person in split.val) == {"north": 4, "south": 2}


@given(people=populations(7), folds=st.integers(2, 4), seed=seeds, part=st.floats(0.01, 0.4))
def test_kfold_test_tests_the_same_persons_in_every_fold(people, folds, seed, part):
    sites, groups = people
    settings = {"folds": folds, "seed": seed, "test_fraction": part, "groups": groups}
    splits = [kfold_test(sites, fold=fold, sites=sites, **settings) for fold in range(folds)]
    assert len({split.test for split in splits}) == 1
    assert len(splits[0].test) == max(1, round(part * len(sites)))
    assert sorted(splits[0].test + tuple(p for split in splits for p in split.val)) == sorted(sites)
    for split in splits:
        assert sorted(split.persons) == sorted(sites)
        assert split.train
        assert split == kfold_test(list(sites)[::-1], fold=split.fold, sites=sites, **settings)


def test_kfold_test_gives_each_site_its_share():
    sites = {f"p{n:02d}": "north" if n < 20 else "south" for n in range(30)}
    splits = [kfold_test(sites, folds=4, fold=fold, sites=sites, test_fraction=0.2) for fold in range(4)]
    assert Counter(sites[person] for person in splits[0].test) == {"north": 4, "south": 2}
    for split in splits:
        assert Counter(sites[person] for person in split.val) == {"north": 4, "south": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nested(PERSONS, inner=3), "no inner split 3; they are 0 to 2"),
        (lambda: nested(PERSONS, inner=-1), "no inner split -1"),
        (lambda: nested(PERSONS, fold=5), "protocol nested has no fold 5"),
        (lambda: nested(["a", "b", "c"], folds=3, inner=0), "leaves 2 persons outside the test side for 3 folds"),
        (lambda: nested(["a", "b"]), "protocol nested needs at least 5"),
        (lambda: kfold_test(PERSONS, fold=5), "protocol kfold_test has no fold 5"),
        (lambda: kfold_test(["a", "b", "c"]), "protocol kfold_test needs at least 6"),
        (lambda: kfold_test("abcdef", test_fraction=0.5), "leaves 3 persons outside the test side for 5 folds"),
    ],
)
def test_what_cannot_be_split_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nested(PERSONS, folds=1), "two folds"),
        (lambda: nested(PERSONS, inner_folds=1), "two inner folds"),
        (lambda: kfold_test(PERSONS, folds=1), "two folds"),
        (lambda: kfold_test(PERSONS, test_fraction=0), "fraction"),
        (lambda: kfold_test(PERSONS, test_fraction=1), "fraction"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_hashes_of_the_newer_protocols_stay_the_same():
    assert nested(PERSONS, fold=1).hash == "9dbf69676662"
    assert nested(PERSONS, fold=1, inner=2).hash == "cd01ed0a2c81"
    assert kfold_test(PERSONS, fold=1).hash == "4a751db6d0ce"


def endless(persons, *, fold=0, sites=None, groups=None):
    """A protocol of a person's own that never says where its folds end."""
    return Split("endless", 0, fold, ("a",), (), ("b",))


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (holdout, 1),
        (kfold, 5),
        (partial(kfold, folds=3, fold=2, seed=7), 3),
        (partial(leave_one_person_out, val_persons=0), 31),
        (leave_one_site_out, 2),
        (partial(nested, folds=4), 4),
        (partial(nested, folds=4, inner=1), 4),
        (partial(kfold_test, folds=6), 6),
    ],
)
def test_folds_are_counted_by_asking(protocol, expected):
    sites = {person: "north" if person < "sub-020" else "south" for person in PERSONS}
    assert fold_count(protocol, PERSONS, sites, dict.fromkeys(PERSONS, "")) == expected


def test_a_protocol_without_end_is_not_counted_for_ever():
    with pytest.raises(ConfigError, match="more than 1000 folds"):
        fold_count(endless, PERSONS[:5])


def test_what_is_wrong_with_a_fold_is_not_taken_for_the_end():
    """Without the second site, nobody is left to train on and to validate with."""
    sites = {"a": "north", "b": "south", "c": "south", "d": "south"}
    with pytest.raises(ConfigError, match="needs at least 5") as raised:
        fold_count(leave_one_site_out, sites, sites)
    assert not isinstance(raised.value, NoSuchFold)


@pytest.mark.parametrize("name", ["nested", "kfold_test"])
def test_configurations_say_what_the_functions_do(name):
    from hydra.utils import instantiate

    content = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    protocol = instantiate(content, _execution_whitelist_=["spinelab.*"])
    assert protocol(persons=PERSONS) == {"nested": nested, "kfold_test": kfold_test}[name](PERSONS)
