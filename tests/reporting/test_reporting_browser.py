"""The page in a real browser, without a network: wide and narrow, light and dark."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

from spinelab.reporting.compare import compare

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome")

# Runs after the page's own script; what it finds is read from the document that the browser prints.
PROBE = """
<script>
addEventListener("load", () => {
const found = {errors: window.errors};
const table = document.querySelector("section:not([hidden]) .scores");
const rows = () => [...table.tBodies[0].rows];
const names = () => rows().map(row => row.cells[0].innerText.trim());
const [byModel, byFirst] = table.querySelectorAll("thead button");
byModel.click(); found.byName = names();
byModel.click(); found.byNameDown = names();
byFirst.click(); found.byScore = rows().map(row => +row.cells[1].dataset.value);
const plots = [...document.querySelectorAll("section:not([hidden]) .plot")];
found.figures = plots.length;
found.drawn = plots.every(plot => plot.querySelector(".main-svg"));
found.width = [document.documentElement.scrollWidth, window.innerWidth];
found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
found.paper = getComputedStyle(document.body).backgroundColor;
found.ink = getComputedStyle(document.body).color;
found.pictures = [...document.querySelectorAll("img[src]")].map(picture => picture.naturalWidth);
document.querySelector(".enlarge").click();
found.enlarged = document.querySelector("dialog").open;
const out = document.createElement("pre");
out.id = "found"; out.textContent = JSON.stringify(found);
document.body.append(out);
});
</script>
"""
CATCH = "<script>window.errors = []; addEventListener('error', e => window.errors.push(String(e.message)));</script>"


@pytest.fixture(scope="module")
def page(four_models, tmp_path_factory):
    return compare([four_models], tmp_path_factory.mktemp("page"))


def look(page, profile, *options):
    text = page.read_text(encoding="utf-8")
    assert 'loading="lazy"' in text
    text = text.replace('loading="lazy"', "")  # the browser then waits for every picture before it says "load"
    probed = profile.with_name("probed.html")
    probed.write_text(text.replace("<head>", "<head>" + CATCH, 1).replace("</body>", PROBE + "</body>"), "utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=5000"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", *options]
    done = subprocess.run([*command, probed.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    hit = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert hit, done.stderr[-2000:]
    return json.loads(unescape(hit[1]))


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (520, False)], ids=["wide", "dark", "narrow"])
def test_the_page_works_offline(page, tmp_path, width, dark):
    found = look(page, tmp_path / "profile", f"--window-size={width},1000", *(["--force-dark-mode"] if dark else []))
    assert found["errors"] == []
    assert found["drawn"]
    assert found["figures"] >= 4
    assert found["byName"] == sorted(found["byName"], key=str.lower)
    assert found["byNameDown"] == found["byName"][::-1]
    assert found["byScore"] == sorted(found["byScore"], reverse=True)
    assert len(found["pictures"]) > 8
    assert all(width > 100 for width in found["pictures"])
    assert found["enlarged"]
    scrolled, window = found["width"]
    assert scrolled <= window, "nothing sticks out to the right"
    assert found["dark"] == dark
    bright = [sum(map(int, re.findall(r"\d+", found[what])[:3])) / 3 for what in ("paper", "ink")]
    assert (bright[0] < 60 and bright[1] > 180) if dark else (bright[0] > 230 and bright[1] < 80)
