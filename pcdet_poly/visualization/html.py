"""Data, scripts and styles -> one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

_SHARED = ("dom.js", "boxes.js", "points.js", "pixels.js", "cloud.js")  # elements, points, a cloud that turns


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
    script = "\n".join(part.read_text(encoding="utf-8") for part in parts)
    script = re.sub(
        r"^\s+|^\s*// .*\n|(?<=[;{}),\]]) // .*$", "", script, flags=re.MULTILINE
    )  # for readers of the source
    style = re.sub(r"\s*([{};])\s*", r"\1", (own / "page.css").read_text(encoding="utf-8"))
    fillings = {
        "TITLE": escape_text(title),
        "STYLE": style,
        "SCRIPT": script,
        "POLICY": _build_policy(f"\n{script}\n"),
        "DATA": escape_json(data),
    }
    template = (own / "page.html").read_text(encoding="utf-8")
    # All at once, so that a filling that looks like a mark is not filled in turn.
    return re.sub(r"/\*([A-Z]+)\*/", lambda mark: fillings[mark.group(1)], template)


def _build_policy(script: str) -> str:
    """Return the page's security policy: this one script, its styles, its own pictures, and no request at all."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:"


def escape_text(text: str) -> str:
    """Return plain text as it may stand between tags or in an attribute.

    Control characters and halves of characters, which file names may hold and no page may, become U+FFFD.
    """
    return escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text))


def escape_json(data: Any) -> str:
    """Return `data` as JSON that may stand in a script element. Raises ValueError for a NaN or an infinity.

    A browser ends a script at `</script`, and after `<!--<script` does not end it there. Without `<` it finds
    neither. `json` writes ASCII, so that U+2028, which ends a line of a script, and halves of characters are escaped.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
