"""Figures of a comparison: for the page (plotly) and for a README (matplotlib)."""

from spinelab.reporting.figures.agreement import agreement_figure
from spinelab.reporting.figures.clouds import cloud_figure
from spinelab.reporting.figures.curves import curve_figure
from spinelab.reporting.figures.png import box_figure_png
from spinelab.reporting.figures.ranks import rank_figure
from spinelab.reporting.figures.sites import site_figure
from spinelab.reporting.figures.style import OKABE_ITO, colours

__all__ = [
    "OKABE_ITO",
    "agreement_figure",
    "box_figure_png",
    "cloud_figure",
    "colours",
    "curve_figure",
    "rank_figure",
    "site_figure",
]
