from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spinelab.data.splits import (
    Split,
    by_person,
    holdout,
    kfold,
    leave_one_person_out,
    leave_one_site_out,
    split_file,
)
from spinelab.errors import ConfigError
from spinelab.types import Case

CONF = Path(__file__).resolve().parents[2] / "conf/protocol"
PERSONS = [f"sub-{number:03d}" for number in range(31)]
names = st.text("abcxyz012", min_size=1, max_size=4)
seeds = st.integers(0, 2**32)


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.val), len(split.test)


def assert_covers(split: Split, persons: list[str]) -> None:
    assert sorted(split.train + split.val + split.test) == sorted(set(persons))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(3, (1, 1, 1)), (4, (2, 1, 1)), (10, (7, 2, 1)), (20, (14, 3, 3)), (31, (22, 5, 4)), (100, (70, 15, 15))],
)
def test_holdout_sizes(count, expected):
    assert sizes(holdout([f"p{n}" for n in range(count)])) == expected


def test_holdout_without_validation():
    assert sizes(holdout(PERSONS, fractions=(0.8, 0, 0.2))) == (25, 0, 6)


@given(persons=st.lists(names, min_size=3, unique=True), seed=seeds, data=st.data())
def test_holdout_covers_and_ignores_order_and_repetition(persons, seed, data):
    split = holdout(persons, seed=seed)
    assert_covers(split, persons)
    assert min(sizes(split)) >= 1
    assert split == holdout(data.draw(st.permutations(persons + persons[:2])), seed=seed)


def test_holdout_depends_on_the_seed():
    assert len({holdout(PERSONS, seed=seed).test for seed in range(10)}) > 5


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=seeds)
def test_holdout_gives_each_site_its_share(counts, seed):
    sites = {f"{site}-{n}": str(site) for site, count in enumerate(counts) for n in range(count)}
    if len(sites) < 3:
        return
    split = holdout(sites, seed=seed, sites=sites)
    assert_covers(split, list(sites))
    assert sizes(split) == sizes(holdout(sites, seed=seed))
    for side in (split.train, split.val, split.test):
        found = Counter(sites[person] for person in side)
        for site, count in enumerate(counts):
            assert abs(found[str(site)] - count * len(side) / len(sites)) < 2


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.7, 0.2, 0.2), (1.2, -0.3, 0.1), (0, 0.5, 0.5), (0.5, 0.5, 0)])
def test_bad_fractions(fractions):
    with pytest.raises(ValueError, match="fractions"):
        holdout(PERSONS, fractions=fractions)


@given(persons=st.lists(names, min_size=6, unique=True), folds=st.integers(2, 6), seed=seeds, val=st.floats(0, 0.6))
def test_kfold_tests_each_person_once(persons, folds, seed, val):
    splits = [kfold(persons, folds=folds, fold=fold, seed=seed, val_fraction=val) for fold in range(folds)]
    assert sorted(person for split in splits for person in split.test) == sorted(persons)
    for split in splits:
        assert_covers(split, persons)
        assert split.train
        assert bool(split.val) == bool(val)
        assert split == kfold(persons[::-1], folds=folds, fold=split.fold, seed=seed, val_fraction=val)
    counts = [len(split.test) for split in splits]
    assert max(counts) - min(counts) <= 1


def test_kfold_gives_each_site_its_share():
    sites = {f"p{n:02d}": "north" if n < 20 else "south" for n in range(30)}
    for fold in range(5):
        split = kfold(sites, fold=fold, sites=sites, val_fraction=0.25)
        assert Counter(sites[person] for person in split.test) == {"north": 4, "south": 2}
        assert Counter(sites[person] for person in split.val) == {"north": 4, "south": 2}


@given(persons=st.lists(names, min_size=4, max_size=12, unique=True), val=st.integers(0, 2), data=st.data())
def test_leave_one_person_out(persons, val, data):
    splits = [leave_one_person_out(persons, fold=fold, val_persons=val) for fold in range(len(persons))]
    assert [split.test for split in splits] == [(person,) for person in sorted(persons)]
    for split in splits:
        assert_covers(split, persons)
        assert len(split.val) == val
    fold = data.draw(st.integers(0, len(persons) - 1))
    assert splits[fold] == leave_one_person_out(data.draw(st.permutations(persons)), fold=fold, val_persons=val)
    if val == 1:
        assert len({split.val for split in splits}) == len(persons)


def test_two_persons_are_enough_without_validation():
    assert sizes(leave_one_person_out(["a", "b"], val_persons=0)) == (1, 0, 1)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (lambda: holdout(["a", "b"]), "2 persons, protocol holdout needs at least 3"),
        (lambda: kfold(["a"] * 9 + ["b", "c", "d"]), "4 persons, protocol kfold needs at least 5"),
        (lambda: kfold(["a", "b"], folds=2), "2 persons, protocol kfold needs at least 3"),
        (lambda: leave_one_person_out(["a", "b"]), "2 persons, protocol leave_one_person_out needs at least 3"),
        (lambda: leave_one_person_out(["a"], val_persons=0), "1 person, protocol leave_one_person_out needs at least"),
    ],
)
def test_too_few_persons(protocol, message):
    with pytest.raises(ConfigError, match=message) as raised:
        protocol()
    assert "choose another protocol" in raised.value.remedy


@pytest.mark.parametrize("protocol", [kfold, leave_one_person_out])
@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_does_not_exist(protocol, fold):
    with pytest.raises(ConfigError, match=f"no fold {fold}; its folds are 0 to 4"):
        protocol(PERSONS[:5], fold=fold)


def test_a_person_on_two_sides():
    with pytest.raises(ConfigError, match="named twice in the split: b"):
        Split("x", 0, 0, ("a", "b"), (), ("b",))


def test_hash_is_of_the_content():
    split = Split("x", 0, 0, ("a", "b"), ("c",), ("d",))
    assert split.hash == Split("x", 0, 0, ("b", "a"), ("c",), ("d",)).hash
    assert len(split.hash) == 12
    others = [
        Split("y", 0, 0, ("a", "b"), ("c",), ("d",)),
        Split("x", 1, 0, ("a", "b"), ("c",), ("d",)),
        Split("x", 0, 1, ("a", "b"), ("c",), ("d",)),
        Split("x", 0, 0, ("a", "b"), ("d",), ("c",)),
    ]
    assert len({split.hash, *(other.hash for other in others)}) == 5


def test_hashes_stay_the_same_over_releases():
    """A published result names its split by this hash."""
    assert holdout(PERSONS).hash == "7623ab1a44af"
    assert kfold(PERSONS, fold=2, seed=1).hash == "457294bbd795"


def test_spider_hashes_stay_the_same():
    """The committed results on SPIDER were made with these splits; no groups, no sites."""
    numbers = (
        "005 007 018 022 034 041 045 050 055 057 061 069 078 081 107 110 118 129 136 141 146 152 161 166 177 185 200 "
        "209 220 239 241"
    )
    persons = [f"sub-{number}" for number in numbers.split()]
    unknown = dict.fromkeys(persons, "")
    assert holdout(persons, sites=unknown, groups=unknown).hash == "147216f91389"
    folds = [kfold(persons, fold=fold, sites=unknown, groups=unknown).hash for fold in range(3)]
    assert folds == ["661b2b37e1c3", "1159d6ebf343", "f801529a98b7"]
    assert leave_one_person_out(persons, fold=1, sites=unknown, groups=unknown).hash == "627f880cfead"


def test_gm_challenge_hash_stays_the_same():
    sites = {"sub-9418": "UCL", "sub-9604": "Philips", "sub-9709": "Milan", "sub-10062": "CEITEC"}
    assert holdout(sites, sites=sites).hash == "e645d16cb7ef"


def _population(seed: int) -> tuple[dict[str, str], dict[str, str]]:
    rng = random.Random(seed)
    persons = [f"p{number:03d}" for number in range(rng.randint(10, 60))]
    sites = {person: rng.choice("abcde"[: rng.randint(1, 5)]) for person in persons}
    return sites, {person: rng.choice("xyzw"[: rng.randint(2, 4)]) for person in persons}


@pytest.mark.parametrize("seed", range(40))
def test_each_site_and_each_group_gets_its_share(seed):
    """Many strata of a site and a group hold one or two persons, or none."""
    sites, groups = _population(seed)
    splits = [kfold(sites, folds=3, fold=fold, seed=seed, sites=sites, groups=groups) for fold in range(3)]
    assert sorted(person for split in splits for person in split.test) == sorted(sites)
    whole = holdout(sites, seed=seed, sites=sites, groups=groups)
    assert sizes(whole) == sizes(holdout(sites, seed=seed))
    assert whole == holdout(sorted(sites, reverse=True), seed=seed, sites=sites, groups=groups)
    for side in (whole.train, whole.val, whole.test, *(split.test for split in splits)):
        for labels in (sites, groups):
            found = Counter(labels[person] for person in side)
            for label, count in Counter(labels.values()).items():
                assert abs(found[label] - count * len(side) / len(sites)) < 1.3


def test_a_rare_group_is_on_every_side():
    persons = [f"p{number:02d}" for number in range(30)]
    groups = {person: "metastasis" if person in ("p03", "p11", "p20") else "none" for person in persons}
    for seed in range(20):
        tested = [kfold(persons, folds=3, fold=fold, seed=seed, groups=groups).test for fold in range(3)]
        assert [sum(groups[person] == "metastasis" for person in side) for side in tested] == [1, 1, 1]


def test_one_group_for_all_changes_nothing_but_is_allowed():
    split = holdout(PERSONS, groups=dict.fromkeys(PERSONS, "none"))
    assert sizes(split) == (22, 5, 4)


SITES = {"a": "north", "b": "north", "c": "south", "d": "south", "e": "south", "f": "west"}


def test_leave_one_site_out_tests_each_site_once():
    splits = [leave_one_site_out(SITES, fold=fold, sites=SITES) for fold in range(3)]
    assert [split.test for split in splits] == [("a", "b"), ("c", "d", "e"), ("f",)]
    for split in splits:
        assert_covers(split, list(SITES))
        assert len(split.val) == 1
        assert not {SITES[person] for person in split.test} & {SITES[person] for person in split.train + split.val}
    assert leave_one_site_out(SITES, val_fraction=0, sites=SITES).val == ()
    assert splits[1] == leave_one_site_out(list(SITES)[::-1], fold=1, sites=SITES)


@pytest.mark.parametrize(
    ("sites", "fold", "message"),
    [
        ({**SITES, "f": ""}, 0, "the site is unknown of f"),
        ({}, 0, "the site is unknown of a, b, c, d, e, f"),
        ({**SITES, "b": "north + west"}, 0, r"more than one site of b \(north \+ west\)"),
        (dict.fromkeys("abcdef", "north"), 0, "at least 2 sites, the data set has 1"),
        (SITES, 3, "no fold 3; its folds are 0 to 2"),
        ({"a": "north", "b": "north", "c": "north", "d": "north", "e": "north", "f": "south"}, 0, "needs at least 7"),
    ],
)
def test_leave_one_site_out_refuses(sites, fold, message):
    with pytest.raises(ConfigError, match=message):
        leave_one_site_out("abcdef", fold=fold, sites=sites)


def test_sites_and_groups_of_persons():
    cases = [
        Case("1", "a", (), site="south"),
        Case("2", "a", (), site="north", group="cyst"),
        Case("3", "a", (), site="south"),
        Case("4", "b", (), group="cyst"),
    ]
    expected = {"sites": {"a": "north + south", "b": ""}, "groups": {"a": "cyst", "b": "cyst"}}
    assert by_person(cases) == by_person(cases[::-1]) == expected


def test_save_and_load(tmp_path):
    split = kfold(PERSONS, fold=3)
    path = tmp_path / "run/split.json"
    split.save(path)
    split.save(path)
    assert Split.load(path) == split
    assert split_file(PERSONS[::-1], path=path) == split
    assert [file.name for file in path.parent.iterdir()] == ["split.json"]


def _write(path: Path, **content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_split_by_hand(tmp_path):
    split = split_file("abc", path=_write(tmp_path / "s.json", train=["a"], val=[], test=["c", "b"]))
    assert split == Split("file", 0, 0, ("a",), (), ("b", "c"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": ["a"], "val": ["b"]}, "KeyError: 'test'"),
        ({"train": ["a"], "val": ["b"], "test": ["a", "c"]}, "named twice in the split: a"),
        ({"train": ["a"], "val": ["b"], "test": ["z"]}, "not in the data set: z"),
        ({"train": ["a"], "val": [], "test": ["b"]}, "on no side: c"),
        ({"train": ["a", "b", "c"], "val": [], "test": []}, "train or test is empty"),
        ({"train": ["a"], "val": ["b"], "test": ["c"], "hash": "0"}, "changed after it was written"),
        ({"train": 1, "val": ["b"], "test": ["c"]}, "not a split"),
    ],
)
def test_a_bad_split_file(tmp_path, content, message):
    path = _write(tmp_path / "s.json", **content)
    with pytest.raises(ConfigError, match=message) as raised:
        split_file("abc", path=path)
    assert raised.value.file == path


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_a_file_that_is_no_split(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a split"):
        Split.load(path)


def test_a_missing_split_file(tmp_path):
    with pytest.raises(ConfigError, match="not a split"):
        Split.load(tmp_path / "none.json")


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_split(path, tmp_path):
    from hydra.utils import instantiate

    content = yaml.safe_load(path.read_text())
    if path.stem == "file":
        holdout(PERSONS).save(tmp_path / "s.json")
        content["path"] = str(tmp_path / "s.json")
    if path.stem == "nnunet":
        pytest.skip("reads nnU-Net's own file; tested with its source")
    protocol = instantiate(content, _execution_whitelist_=["spinelab.*"])
    sites = {person: "north" if person < "sub-020" else "south" for person in PERSONS}
    split = protocol(persons=PERSONS, sites=sites, groups=dict.fromkeys(PERSONS, ""))
    assert_covers(split, PERSONS)
    assert split.protocol == ("holdout" if path.stem == "file" else path.stem)


def test_persons_may_be_left_out_on_purpose(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["a"], "val": [], "test": ["b", "c"], "unused": ["d"]}))
    split = split_file("abcd", path=path)
    assert (split.train, split.test) == (("a",), ("b", "c"))
    with pytest.raises(ConfigError, match="on no side: e"):
        split_file("abcde", path=path)
    with pytest.raises(ConfigError, match="not in the data set: d"):
        split_file("abc", path=path)
    path.write_text(json.dumps({"train": ["a"], "val": [], "test": ["b"], "unused": ["a"]}))
    with pytest.raises(ConfigError, match="unused, and on a side: a"):
        split_file("ab", path=path)
