"""Results -> one HTML page that needs nothing else: styles, scripts and data stand in it."""

from __future__ import annotations

from collections.abc import Sequence

from pcdet_poly.experiments.report.detector_report import Result
from pcdet_poly.experiments.report.finished_sweep import Study
from pcdet_poly.experiments.report.formats.page_data import page_data
from pcdet_poly.visualization.html import html_page

_SCRIPTS = ("dom.js", "charts.js", "tables.js", "figures.js", "bev.js", "main.js")


def page(study: Study, results: Sequence[Result]) -> str:
    """The HTML text."""
    return html_page("pcdet_poly.experiments.report", _SCRIPTS, title=study.name, data=page_data(study, results))
