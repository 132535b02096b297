"""A report -> one HTML page that needs nothing else: styles, scripts and data are inside it."""

from __future__ import annotations

from collections.abc import Sequence

from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.finished_sweep import FinishedSweep
from pcdet_poly.experiments.report.formats.page_data import build_page_data
from pcdet_poly.visualization.html import build_html_page

_SCRIPTS = ("dom.js", "looks.js", "charts.js", "tables.js", "figures.js", "bev.js", "main.js")


def build_page(sweep: FinishedSweep, reports: Sequence[DetectorReport]) -> str:
    """Build the text of report.html."""
    data = build_page_data(sweep, reports)
    return build_html_page("pcdet_poly.experiments.report", _SCRIPTS, title=sweep.name, data=data)
