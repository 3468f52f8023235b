from __future__ import annotations

import pandas as pd
import pytest

from spinelab.data.sources.tables import read_json, read_table, require_columns
from spinelab.errors import ConfigError, DataError

ROWS = {2: {"person": "007", "image": "a, b.nii", "note": ""}, 3: {"person": "8", "image": "ü.nii", "note": "x"}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '\ufeffPerson , image,note\r\n007,"a, b.nii",\r\n8,ü.nii , x\r\n'),
        ("a.csv", "Person;image;note\n007;a, b.nii\n8;ü.nii;x;;\n"),
        ("a.tsv", "person\timage\tnote\n007\ta, b.nii\t\n8\tü.nii\tx"),
    ],
)
def test_text(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_table(tmp_path / name) == ROWS


def test_parquet(tmp_path):
    frame = pd.DataFrame({"Person": ["007", "8"], "image": ["a, b.nii", "ü.nii"], "note": [None, "x"]})
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet") == ROWS


def test_lines_are_those_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n\n1,"two\nlines"\n\n2,x\n')
    assert {line: row["a"] for line, row in read_table(tmp_path / "a.csv").items()} == {4: "1", 6: "2"}


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"person,image\n", "no rows"),
        ("a.csv", b"person,image\n1,a,b\n", "line 2 has more cells"),
        ("a.csv", b"image,Image\n1,a\n", "named twice: image"),
        ("a.csv", b'a,b\n1,"x\n', "cannot be read"),
        ("a.csv", b"a,b\nM\xfcnchen,2\n", "cannot be read"),
        ("a.csv", b"a,b\n1,\x00\n", None),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_what_is_wrong(tmp_path, name, content, found):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if found is None:  # csv takes a zero byte from Python 3.11 on; a path with one is refused later
        assert read_table(tmp_path / name)
        return
    with pytest.raises(DataError, match=found) as caught:
        read_table(tmp_path / name)
    assert caught.value.file == tmp_path / name


def test_columns_named_alike_are_suggested(tmp_path):
    with pytest.raises(ConfigError, match=r"no column Person, scan; the table has persons, image.*\n.*rename persons"):
        require_columns({2: {"persons": "1", "image": "x"}}, ["Person", "scan", "image"], tmp_path)
    with pytest.raises(ConfigError, match="add it to the table"):
        require_columns({2: {"image": "x"}}, ["person"], tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, None])
def test_no_json(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_json(tmp_path / "a.json")
