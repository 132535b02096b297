"""Data, scripts and styles -> one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

_SHARED = ("dom.js", "boxes.js", "cloud.js")  # elements, packed points, a cloud that turns


def build_html_page(package: str, scripts: Sequence[str], *, title: str, data: Any) -> str:
    """The text of `package`/page/page.html with page.css, the shared scripts, then its own `scripts`, and `data` as
    JSON, in the places marked there."""
    own, shared = files(package) / "page", files("pcdet_poly.visualization") / "page"
    parts = [*(shared / name for name in _SHARED), *(own / name for name in scripts)]
    content = json.dumps(data, separators=(",", ":"), allow_nan=False)
    text = (own / "page.html").read_text(encoding="utf-8")
    for name, filling in (
        ("TITLE", escape(title)),
        ("STYLE", (own / "page.css").read_text(encoding="utf-8")),
        ("SCRIPT", "\n".join(part.read_text(encoding="utf-8") for part in parts)),
        ("DATA", content.replace("</", "<\\/")),  # last: nothing in it is a placeholder
    ):
        text = text.replace(f"/*{name}*/", filling)
    return text
