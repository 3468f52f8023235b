"""Pages from templates: each is one file that holds all it shows, style, scripts and figures included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from spinelab.reporting import words
from spinelab.reporting.measures import title

HERE = Path(__file__).parent
"""Templates, style and script lie beside this module."""


def rendered(template: str, **values: Any) -> str:
    """A template with style, script and plotly.

    Args:
        template: Name of its file, which extends ``shell.html.j2``.
        values: What it shows, ``title`` among it.
    """
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"number": words.number, "interval": words.interval, "signed": words.signed}
    environment.filters |= {"rank_line": words.rank, "plain": words.plain, "title_of": title, "coded": _coded}
    style, script = (Markup((HERE / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    shown = {"style": style, "script": script, "plotly": Markup(get_plotlyjs())}
    return environment.get_template(template).render(**shown, **values)


def _coded(text: str) -> Markup:
    """Text with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
