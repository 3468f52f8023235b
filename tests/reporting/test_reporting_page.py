from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pytest
from PIL import Image

from spinelab.errors import RunError
from spinelab.files import write_atomically
from spinelab.reporting.compare import compare
from spinelab.reporting.figures import OKABE_ITO, cloud_figure, colours, curve_figure
from spinelab.reporting.gallery import make_gallery
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import MEAN, make_tables


class Page(HTMLParser):
    """What a browser would load, the figures, and the words."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.figures, self.words, self._script = [], [], [], None
        self.tags, self.styles, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        self.tags.append(tag)
        found = [facts[key] for key in ("src", "href", "srcset", "data", "poster") if facts.get(key)]
        (self.links if tag == "a" else self.loads).extend(found)
        self._script = facts.get("type", tag) if tag in ("script", "style") else self._script

    def handle_endtag(self, tag):
        self._script = None if tag in ("script", "style") else self._script

    def handle_data(self, data):
        if self._script == "application/json":
            self.figures.append(json.loads(data))
        elif self._script == "style":
            self.styles.append(data)
        elif self._script is None:
            self.words.append(data)


@pytest.fixture(scope="module")
def out(four_models, tmp_path_factory):
    return compare([four_models], tmp_path_factory.mktemp("out") / "new").parent


def test_compare_writes_everything_and_nothing_else(out, four_models):
    names = {file.name for file in out.iterdir()}
    tables = {"table.md", "table.tex", "table.csv", "comparisons.csv", "ranks.csv", "all_cases.parquet"}
    assert names == tables | {"boxes.png", "index.html"}
    with Image.open(out / "boxes.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000

    text = (out / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    words = re.sub(r"\s+", " ", " ".join(page.words))

    # opens offline: nothing is loaded from anywhere
    assert page.loads
    assert all(load.startswith("data:") for load in page.loads)

    # a score leads to its row's runs, and these to their folders
    folders = {link for link in page.links if not link.startswith("#")}
    assert {link for link in page.links if link.startswith("#")} == {f"#runs-{i}" for i in range(1, 5)}
    assert {(out / unquote(link)).resolve() for link in folders} == {
        file.parent.resolve() for file in four_models.rglob("cases.parquet")
    }
    assert not re.search(r"url\(|@import", " ".join(page.styles))
    assert len(text.encode()) < 8e6
    assert page.tags.count("script") == 2 + len(page.figures)
    assert text.count("plotly.js v") == 1

    for model in ("Attention U-Net", "U-Net", "U-Net++", "FCN-8s"):
        assert words.count(model) >= 5 * 2
    shown = {
        figure_text for figure in page.figures for trace in figure["data"] for figure_text in trace.get("text", [])
    }
    for case in pd.read_parquet(next(four_models.rglob("cases.parquet")))["case"].unique():
        assert any(case in hover for hover in shown)
    for fact in (
        "phantom",
        "holdout",
        "abc123",
        "3 train / 1 val / 5 test",
        "20 epochs",
        "test machine, 2 cores",
        "0123456789ab",
    ):
        assert fact in words
    assert len(page.figures) == 5 * 4 + 4 + 2  # scores, ranks, curves
    assert page.tags.count("img") == 8 * 4 + 1


def test_names_cannot_break_out_of_the_page(write_run, tmp_path):
    write_run("</script><script>alert(1)</script>", persons=("</script><b>p", "p2"))
    page = Page(compare([tmp_path], tmp_path / "out").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 2 + len(page.figures)
    assert "alert(1)" in " ".join(page.words)


def test_page_tells_what_was_skipped_and_what_does_not_compare(write_run, tmp_path):
    write_run("A")
    write_run("B", persons=("p1", "p2"), split_hash="other")
    (write_run("C") / "cases.parquet").unlink()
    words = " ".join(Page(compare([tmp_path], tmp_path / "out").read_text(encoding="utf-8")).words)
    assert "was skipped: it is unfinished" in words
    assert words.count("B: tested on other persons (2, of whom 2 are among the 5") == 1 + 5  # above, below each table


def test_page_of_a_bare_run(write_run, tmp_path):
    folder = write_run("A")
    for name in ("config.yaml", "split.json", "environment.json", "metrics.csv"):
        (folder / name).unlink()
    page = Page(compare([folder], tmp_path / "out").read_text(encoding="utf-8"))
    assert "Learning curves" not in page.words
    assert "Where it goes wrong" not in page.words


def test_class_that_no_volume_holds(write_run, tmp_path):
    row = {"site": "", "person": "p1", "case": "c", "metric": "dice", "unit": "1"}
    rows = [row | {"class": "cord", "value": 0.5, "state": "present"}]
    write_run("A", rows=[*rows, row | {"class": "lesion", "value": None, "state": "absent"}])
    compare([tmp_path], tmp_path / "out")
    assert "| – n=0 |" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


def test_a_failure_leaves_the_older_comparison_whole(write_run, out):
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    run = write_run("A", panels=True)
    (run / "panels" / "p5-a.png").write_bytes(b"no picture")
    with pytest.raises(RunError, match=r"p5-a\.png: is no readable PNG"):
        compare([run], out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_gallery_shows_the_worst_first_in_the_order_of_the_rows(four_models):
    groups = group_runs(read_runs([four_models]))
    gallery = make_gallery(groups)
    assert [exhibit.person for exhibit in gallery[:2]] == ["p5", "p5"]  # the missed lesion
    assert [exhibit.score for exhibit in gallery] == sorted(exhibit.score for exhibit in gallery)
    assert [panel.label for panel in gallery[0].panels] == [group.label for group in groups]
    assert all(panel.uri.startswith("data:image/jpeg;base64,") for panel in gallery[0].panels)


def test_box_plots_hold_a_point_a_person(four_models):
    table = make_tables(group_runs(read_runs([four_models])))[0]
    boxes = cloud_figure(table, "lesion").data
    assert [box.name for box in boxes] == [row.group.label for row in table.rows]
    assert [len(box.x) for box in boxes] == [4] * 4
    assert sum(boxes[0].x) / 4 == pytest.approx(table.rows[0].cells[2].summary.mean, abs=1e-4)
    assert "p1-a: " in boxes[0].text[0]
    assert "p1-b: " in boxes[0].text[0]
    assert [len(box.x) for box in cloud_figure(table, MEAN).data] == [5] * 4


def test_a_model_has_one_colour_everywhere(four_models):
    groups = group_runs(read_runs([four_models]))
    tint = colours(group.label for group in groups)
    assert sorted(tint.values()) == sorted(OKABE_ITO[:4])
    curves = curve_figure(groups, "seconds").data
    assert {trace.line.color for trace in curves if trace.name == "U-Net"} == {tint["U-Net"]}
    assert sum(trace.showlegend for trace in curves) == 4  # eight runs, four entries
    assert max(curves[0].x) == pytest.approx(19 * 12 / 60)
    boxes = cloud_figure(make_tables(groups)[0], "cord").data
    assert {box.name: box.marker.color for box in boxes} == tint


def test_write_atomically_leaves_nothing_behind_when_it_fails(tmp_path):
    write_atomically(tmp_path / "new" / "a.txt", "é")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é".encode()
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "new" / "a.txt", 3)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é".encode()


def test_reporting_needs_no_torch():
    code = "import sys, spinelab.reporting.compare; print({'torch', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_thousand_cases_keep_the_page_light(write_run, tmp_path):
    persons = tuple(f"sub-{i:04}" for i in range(500))  # two volumes each
    for model in ("U-Net", "FCN-8s"):
        write_run(model, persons=persons, level=0.9 if model == "U-Net" else 0.7)
    page = compare([tmp_path], tmp_path / "out").read_text(encoding="utf-8")
    library = max(re.findall(r"<script>.*?</script>", page, re.DOTALL), key=len)
    assert len(library) > 3e6
    assert len(page) - len(library) < 1.5e6
