"""Results -> one HTML page that needs nothing else: styles, scripts and data stand in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from pcdet_poly.experiments.report_data import page_data
from pcdet_poly.experiments.report_read import Study
from pcdet_poly.experiments.report_result import Result

_SCRIPTS = ("dom.js", "charts.js", "tables.js", "figures.js", "bev.js", "cloud.js", "main.js")


def page(study: Study, results: Sequence[Result]) -> str:
    """The HTML text."""
    folder = files("pcdet_poly.experiments") / "page"
    data = json.dumps(page_data(study, results), separators=(",", ":"), allow_nan=False)
    scripts = "\n".join((folder / name).read_text() for name in _SCRIPTS)
    text = (folder / "page.html").read_text()
    for name, content in (
        ("TITLE", study.name.replace("<", "&lt;")),
        ("STYLE", (folder / "page.css").read_text()),
        ("SCRIPT", scripts),
        ("DATA", data.replace("</", "<\\/")),  # last: nothing in it is a placeholder
    ):
        text = text.replace(f"/*{name}*/", content)
    return text
