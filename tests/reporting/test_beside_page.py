"""The page and the picture of a reproduced table: every cell, the marks, the typical case; nothing from outside."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from spinelab.errors import ConfigError, RunError
from spinelab.reporting.alike import check_alike
from spinelab.reporting.beside import RowRuns, Sheet, lay_beside
from spinelab.reporting.beside_figure import beside_figures, beside_png
from spinelab.reporting.beside_page import write_overview, write_reproduction
from spinelab.reporting.beside_pictures import cut_panel, typical_case
from spinelab.reporting.beside_points import panels
from spinelab.reporting.beside_text import Page
from spinelab.reporting.published import PublishedCell, PublishedTable, read_published

SHIPPED = read_published(Path(__file__).parents[2] / "experiments" / "published.yaml")
TABLE3 = SHIPPED["table3"]
PERSONS = tuple(f"p{i}" for i in range(1, 8))
LABELS = {"classes": ["cord", "vertebra", "lesion"], "lesions": ["lesion"]}
GREY = {"image": 40, "truth": 80, "prediction": 120, "errors": 160}


def draw(file: Path, tint: int = 0, shape: tuple[int, int] = (60, 40), slice_of: int = 0) -> None:
    """A picture as runs keep it: title, four images with heads, legend, on white."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axis, (name, grey) in zip(figure.subplots(1, 4), GREY.items(), strict=True):
        picture = np.full((*shape, 3), grey + (tint if name in ("prediction", "errors") else 0), np.uint8)
        picture[10 + slice_of : 40, 10:30] = 230
        axis.imshow(picture)
        axis.set_title(name)
        axis.axis("off")
    figure.legend(handles=[mpl.patches.Patch(color="C1", label="cord")], loc="outside lower center")
    figure.suptitle("p1-a, slice 3")
    figure.savefig(file, dpi=80)


def pictured(run: Path, **how: int) -> Path:
    """The run, with a picture of every case."""
    draw(run / "panel.png", **how)
    for case in sorted(set(pd.read_parquet(run / "cases.parquet")["case"])):
        shutil.copy(run / "panel.png", run / "panels" / f"{case}.png")
    return run


@pytest.fixture
def rows(write_run) -> dict[str, RowRuns]:
    settings = {"data": {"name": "phantom", "labels": LABELS}}
    runs = {
        name: write_run(name, level=level, persons=PERSONS, settings=settings)
        for name, level in (("U-Net", 0.9), ("Attention U-Net", 0.8))
    }
    return {name: RowRuns((run,), 1, f"model={name}") for name, run in runs.items()}


class Read(HTMLParser):
    """Words, links, ids, what would be loaded, figures, and the table of measured values as text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.links, self.ids, self.loads, self.figures, self.rows = [], [], [], [], [], []
        self.tips: list[str] = []
        self._script: str | None = None
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        self.ids += [facts["id"]] if "id" in facts else []
        self.tips += [facts["title"]] if "title" in facts else []
        if tag == "a":
            self.links.append(facts.get("href"))
        else:
            self.loads += [facts[key] for key in ("src", "href", "srcset") if facts.get(key)]
        if tag in ("script", "style"):
            self._script = facts.get("type", tag)
        self._cell = self._cell or tag in ("th", "td")
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._script = None if tag in ("script", "style") else self._script
        self._cell = self._cell and tag not in ("th", "td")

    def handle_data(self, data):
        if self._script == "application/json":
            self.figures.append(json.loads(data))
        elif self._script is None:
            self.words.append(data)
            if self._cell:
                self.rows[-1][-1] += data

    def cell(self, row: int, column: int) -> str:
        return " ".join(self.rows[row][column].split())


def page_of(paper: PublishedTable, *sheets: Sheet, **more: str) -> Page:
    return Page(paper, "smoke", "Minutes.", sheets, **more)


def written(page: Page, folder: Path) -> Read:
    write_reproduction(page, folder)
    return Read((folder / "page.html").read_text(encoding="utf-8"))


def test_the_page_holds_every_cell_and_what_it_rests_on(rows, tmp_path):
    for name in rows:
        (rows[name].done[0] / "status.json").write_text('{"state": "done", "when": "2026-03-04T10:00:00+00:00"}')
    sheet = lay_beside(TABLE3, "phantom", rows)
    page = written(page_of(TABLE3, sheet, command="spinelab reproduce table3 budget=smoke"), tmp_path / "out")
    heads = ["row", "Dice", "Sensitivity", "Specificity"]
    assert [page.cell(0, i) for i in range(4)] == heads
    line = next(line for line in sheet.lines if (line.row, line.metric) == ("Attention U-Net", "dice"))
    found = line.measured["mean over classes"]
    cell = page.cell(2, 1)
    assert cell.startswith(f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] n=7 lesion ")
    assert cell.endswith("0.882 unsourced")  # the 2 is raised
    words = " ".join(" ".join(page.words).split())
    for said in (
        "spinelab reproduce table3 budget=smoke", "model=U-Net", "Minutes.", "test machine, 2 cores", "0123456789ab",
        "2026-03-04", "20 epochs", "neither a confirmation nor a refutation", "Attention U-Net − U-Net: printed +0.030",
    ):  # fmt: skip
        assert said in words
    assert "the review's own figure, of data that it does not name" in page.tips
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets == {"table3-1", "table3-2"} <= set(page.ids)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "page.html", "figure.png", "table.md", "table.tex", "table.csv", "comparisons.csv"
    }  # fmt: skip
    assert all(load.startswith("data:") for load in page.loads)
    pairs = pd.read_csv(tmp_path / "out" / "comparisons.csv")
    dice = pairs[(pairs["metric"] == "dice") & (pairs["class"] == "mean over classes")]
    assert dice[["data", "first", "second", "n"]].to_numpy().tolist() == [["phantom", "U-Net", "Attention U-Net", 7]]


def test_what_is_not_run_says_why_and_draws_nothing(tmp_path):
    sheet = lay_beside(TABLE3, "gm_challenge", {"U-Net": RowRuns((), 5)})
    (tmp_path / "figure.png").write_bytes(b"of an older table")
    page = written(page_of(TABLE3, sheet), tmp_path)
    assert page.cell(1, 0) == "U-Netnone of its runs is done"
    assert page.cell(2, 0) == "Attention U-Netthis budget does not hold it"
    assert page.cell(1, 1) == "0.851 unsourced"
    assert page.figures == []
    assert not (tmp_path / "figure.png").exists()
    assert "figure.png" not in (tmp_path / "table.md").read_text()


def test_every_metric_has_a_panel_with_its_marks(rows):
    sheet = lay_beside(TABLE3, "phantom", rows)
    figures = dict(beside_figures(sheet))
    assert list(figures) == ["Dice", "Sensitivity", "Specificity"]
    traces = {trace.name: trace for trace in figures["Dice"].data}
    assert set(traces) == {"measured, mean over classes", "measured, lesion", "printed, unsourced"}
    assert list(traces["printed, unsourced"].x) == [0.85, 0.88]
    assert list(figures["Dice"].layout.yaxis.ticktext) == ["U-Net", "Attention U-Net"]
    measured, line = traces["measured, mean over classes"], sheet.lines[0].measured["mean over classes"]
    assert measured.x[0] == line.mean
    assert measured.x[0] + measured.error_x.array[0] == pytest.approx(line.high)
    assert measured.x[0] - measured.error_x.arrayminus[0] == pytest.approx(line.low)
    upside_down = figures["Dice"].layout.yaxis.range
    assert upside_down[0] > upside_down[1], "the first row is on top"


def test_a_bound_is_a_triangle_and_a_misprint_is_drawn_corrected(rows):
    names = dict(zip(("threshold", "U-Net"), rows.values(), strict=True))
    marks = [mark for mark in panels(lay_beside(SHIPPED["table4"], "phantom", names))["dice"] if mark.cell]
    figure = dict(beside_figures(lay_beside(SHIPPED["table4"], "phantom", names)))["Dice"]
    printed = next(trace for trace in figure.data if trace.name == "printed, unsourced")
    assert [mark.row for mark in marks] == ["threshold", "U-Net"]
    assert set(printed.marker.symbol) == {"triangle-right-open"}
    sheet = lay_beside(SHIPPED["table6"], "phantom", {"U-Net": rows["U-Net"]})
    assert [mark.value for mark in panels(sheet)["dice"] if mark.cell] == [pytest.approx(0.8628), pytest.approx(0.88)]


def test_dice_is_measured_where_the_review_does_not_print_it(rows):
    cells = (PublishedCell("t", "U-Net", "ppv", 0.9, "1", "unchecked"),)
    sheet = lay_beside(PublishedTable("t", "t", "c", "k", {}, cells), "phantom", rows)
    assert [(line.row, line.metric) for line in sheet.lines] == [
        ("U-Net", "dice"), ("U-Net", "ppv"), ("Attention U-Net", "dice"), ("Attention U-Net", "ppv")
    ]  # fmt: skip
    assert all(line.measured for line in sheet.lines)


def test_a_metric_of_lesions_alone_does_not_hide_the_mean_over_classes(rows):
    run = rows["U-Net"].done[0]
    cases = pd.read_parquet(run / "cases.parquet")
    lesions = cases[(cases["metric"] == "dice") & (cases["class"] == "lesion")]
    found = lesions.assign(metric="lesion_sensitivity", value=0.25)
    pd.concat([found, cases]).to_parquet(run / "cases.parquet")
    sheet = lay_beside(SHIPPED["table8"], "phantom", {"U-Net": rows["U-Net"]})
    assert sheet.columns == ("mean over classes", "lesion")
    lines = {line.metric: line for line in sheet.lines if line.row == "U-Net"}
    assert list(lines["lesion_sensitivity"].measured) == ["lesion"]
    assert lines["lesion_sensitivity"].measured["lesion"].mean == 0.25
    assert lines["dice"].measured["mean over classes"].mean > lines["dice"].measured["lesion"].mean


def test_techniques_must_share_split_and_scoring_alone():
    row = "edge (Canny)"
    network = {"data": {"name": "phantom"}, "trainer": {"max_epochs": 5}, "scoring": {"tolerance_mm": 1}}
    technique = network | {"classical": {"_target_": "x"}, "trainer": {}}
    check_alike({"U-Net": network, row: technique})
    for change in ({"data": {"name": "spider"}}, {"scoring": {"tolerance_mm": 2}}):
        with pytest.raises(ConfigError, match=re.escape(row)):
            check_alike({"U-Net": network, row: technique | change})
    with pytest.raises(ConfigError, match="max_epochs is 5 for U-Net, 6 for FCN"):
        check_alike({"U-Net": network, row: technique, "FCN": network | {"trainer": {"max_epochs": 6}}})


def test_techniques_stand_beside_networks_and_are_compared(rows, write_run):
    how = {"data": {"name": "phantom", "labels": LABELS}, "classical": {"_target_": "otsu"}, "trainer": {}}
    otsu = write_run("otsu", level=0.5, persons=PERSONS, settings=how)
    sheet = lay_beside(SHIPPED["table4"], "phantom", {"threshold": RowRuns((otsu,), 1), "U-Net": rows["U-Net"]})
    assert "20 epochs" in sheet.terms
    assert "not recorded" not in sheet.terms
    assert sheet.terms.endswith("techniques without a network are fitted without a budget of epochs")
    (pair,) = (sheet.tables or {})["dice"].comparisons["mean over classes"]
    assert {pair.first, pair.second} == {"threshold", "U-Net"}
    assert pair.difference.n == len(PERSONS)


def test_a_row_may_stand_on_the_runs_of_another(rows):
    paper = replace(SHIPPED["table8"], same={"Kim 2D U-Net": "U-Net"})
    sheet = lay_beside(paper, "phantom", {"U-Net": rows["U-Net"]})
    dice = {line.row: line for line in sheet.lines if line.metric == "dice"}
    assert dice["Kim 2D U-Net"].measured == dice["U-Net"].measured != {}
    assert dice["Kim 2D U-Net"].why == "the runs of U-Net"
    assert not dice["U-Net"].why
    missing = [
        line.why for line in lay_beside(paper, "phantom", {"U-Net": RowRuns((), 5)}).lines if line.row[:3] == "Kim"
    ]
    assert missing == ["the runs of U-Net; none of its runs is done"]


def test_the_typical_case_is_the_median_and_the_same_for_all(rows):
    for tint, row in enumerate(rows.values()):
        pictured(row.done[0], tint=20 * tint)
    sheet = lay_beside(TABLE3, "phantom", rows)
    found = typical_case(sheet.groups)
    assert found is not None
    cases = pd.concat([pd.read_parquet(row.done[0] / "cases.parquet") for row in rows.values()])
    dice = cases[cases["metric"] == "dice"].groupby(["run", "case"])["value"].mean().groupby("case").mean()
    assert found.score == pytest.approx(dice.sort_values().iloc[(len(dice) - 1) // 2])
    assert dice[found.case] == pytest.approx(found.score)
    assert found.cases == len(dice) == 14
    assert found.person == found.case.split("-")[0]
    assert [tile.label for tile in found.tiles] == ["U-Net", "Attention U-Net"]
    greys = [middle_grey(tile.uri) for tile in (found.truth, *found.tiles)]
    assert greys == [pytest.approx(GREY["image"], abs=4), pytest.approx(120, abs=4), pytest.approx(140, abs=4)]
    assert found.legend.startswith("data:image/png")
    assert found.left_out == ()


def middle_grey(uri: str) -> float:
    """Of the picture's first column of pixels, which lies in its left image."""
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    return float(np.median(np.asarray(picture.convert("L"))[:, 2]))


def test_a_row_with_another_slice_or_none_is_left_out(rows):
    pictured(rows["U-Net"].done[0])
    groups = lay_beside(TABLE3, "phantom", rows).groups
    alone = typical_case(groups)
    assert alone is not None
    assert alone.left_out == ("Attention U-Net",)
    pictured(rows["Attention U-Net"].done[0], slice_of=25)
    other = typical_case(groups)
    assert other is not None
    assert other.left_out == ("Attention U-Net",)


@pytest.mark.parametrize("shape", [(60, 40), (40, 90), (50, 50)])
def test_a_panel_is_cut_into_its_halves(tmp_path, shape):
    draw(tmp_path / "a.png", shape=shape)
    parts = cut_panel(tmp_path / "a.png")
    for half in (parts.truth, parts.prediction):  # two images and what lies between them
        assert 2 * shape[1] / shape[0] <= half.width / half.height < 2.6 * shape[1] / shape[0]
        assert np.asarray(half)[[0, -1]].min() < 250
    assert parts.legend is not None
    assert parts.legend.height < 30


def test_a_damaged_picture_is_named_and_the_older_page_stays(rows, tmp_path):
    sheet = lay_beside(TABLE3, "phantom", rows)
    write_reproduction(page_of(TABLE3, sheet), tmp_path)
    before = (tmp_path / "page.html").read_bytes()
    for file in pictured(rows["U-Net"].done[0]).glob("panels/*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(RunError, match=r"p\d-[ab]\.png: is no readable PNG"):
        write_reproduction(page_of(TABLE3, sheet), tmp_path)
    assert (tmp_path / "page.html").read_bytes() == before


def test_names_cannot_break_out_of_the_page(rows, tmp_path):
    evil = "</script><script>alert(1)</script>`<b>`"
    sheet = lay_beside(TABLE3, "phantom", {evil: rows["U-Net"], "U-Net": rows["Attention U-Net"]})
    page = written(replace(page_of(TABLE3, sheet), cost=evil), tmp_path)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<script>") == 2
    assert "<b>`" not in text
    assert "alert(1)" in " ".join(page.words)


def test_the_overview_has_all_tables_and_leads_to_their_pages(rows, tmp_path):
    own = tmp_path / "runs" / "table3" / "cpu" / "reproduction"
    pages = [(page_of(TABLE3, lay_beside(TABLE3, "phantom", rows), command="x"), own)]
    empty = Sheet("", (), lay_beside(SHIPPED["table7"], "", {}).lines)
    pages += [(Page(SHIPPED["table7"], "", "", (empty,)), None)]
    file = write_overview(pages, tmp_path / "runs" / "reproduction.html")
    page = Read(file.read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert {"table3", "table7", "table7-1"} <= set(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    (link,) = [link for link in page.links if not link.startswith("#")]
    assert (file.parent / unquote(link)).resolve() == own / "page.html"
    assert "nothing measured" in page.words
    assert file.read_text(encoding="utf-8").count("plotly.js v") == 1


def test_the_picture_grows_with_its_rows(rows, tmp_path):
    few = lay_beside(TABLE3, "phantom", rows)
    line = next(line for line in few.lines if line.metric == "dice")
    many = replace(few, lines=tuple(replace(line, row=f"system {i}") for i in range(14)))
    sizes = []
    for sheets in ((few,), (many,), (few, many)):
        file = beside_png(sheets, tmp_path / "figure.png", dpi=50)
        assert file is not None
        with Image.open(file) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] > sizes[1][0], "three metrics beside one"
    assert sizes[0][1] + 100 < sizes[1][1] < sizes[2][1]
    assert beside_png((replace(few, lines=()),), tmp_path / "none.png") is None


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome")
@pytest.mark.parametrize("width", [1400, 520])
def test_the_page_draws_its_figures_offline(rows, tmp_path, width):
    for row in rows.values():
        pictured(row.done[0])
    write_reproduction(page_of(TABLE3, lay_beside(TABLE3, "phantom", rows)), tmp_path)
    text = (tmp_path / "page.html").read_text(encoding="utf-8").replace('loading="lazy"', "")
    catch = "<script>window.errors=[];addEventListener('error',e=>window.errors.push(e.message))</script>"
    probe = """<script>addEventListener("load", () => {
      const plots = [...document.querySelectorAll(".plot")];
      document.querySelector(".enlarge").click();
      document.title = "found " + JSON.stringify([window.errors, plots.map(p => !!p.querySelector(".main-svg")),
        document.documentElement.scrollWidth <= window.innerWidth, document.querySelector("dialog").open]);
    });</script>"""
    probed = tmp_path / "probed.html"
    probed.write_text(text.replace("<head>", "<head>" + catch, 1).replace("</body>", probe + "</body>"), "utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--window-size={width},900"]
    command += ["--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    hit = re.search(r"<title>found (.*?)</title>", done.stdout)
    assert hit, done.stderr[-2000:]
    assert json.loads(hit[1]) == [[], [True] * 3, True, True]
