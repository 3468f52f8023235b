"""Tables as text: Markdown for a README, LaTeX for a paper, CSV for everything else."""

from spinelab.reporting.words import duration, extras, interval, marks, millions, number, signed
from spinelab.reporting.writers.frames import comparisons_frame, ranks_frame, to_frame
from spinelab.reporting.writers.latex import escape_latex, to_latex
from spinelab.reporting.writers.markdown import to_markdown

__all__ = [
    "comparisons_frame",
    "duration",
    "escape_latex",
    "extras",
    "interval",
    "marks",
    "millions",
    "number",
    "ranks_frame",
    "signed",
    "to_frame",
    "to_latex",
    "to_markdown",
]
