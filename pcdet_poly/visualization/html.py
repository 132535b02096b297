"""Data, scripts and styles -> one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

_SHARED = ("dom.js", "boxes.js", "cloud.js")  # elements, packed points, a cloud that turns


def build_html_page(package: str, scripts: Sequence[str], *, title: str, data: Any) -> str:
    """Put a page's parts and its data into one HTML text.

    The text is `package`/page/page.html with page.css, the shared scripts, the page's own scripts, and the data as
    JSON, in the places that are marked there.

    Args:
        package: dotted name of the package that has the folder page/.
        scripts: names of the page's own scripts, in the order in which they run.
        title: plain text.
        data: what JSON can hold, without NaN or infinity.

    Returns:
        The text of the page.

    Raises:
        ValueError: `data` holds a NaN or an infinity.
    """
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
