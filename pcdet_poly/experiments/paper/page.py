"""The report's Markdown -> one HTML page that needs nothing else: pictures are inside it."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2530; background: #fff }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 14px }
th, td { border-bottom: 1px solid #d5dbe2; padding: .3rem .6rem; text-align: left; vertical-align: top }
img { max-width: 100% }
"""
_IMAGE = re.compile(r"!\[(.*?)\]\((.*?)\)")


def build_page(markdown: str, folder: Path) -> str:
    """Build the page from what reports are written in: headings, paragraphs, tables, pictures.

    Args:
        markdown: the report; a blank line ends a block.
        folder: that pictures are named relative to.

    Returns:
        HTML.
    """
    blocks = [_build_block(block, folder) for block in markdown.strip().split("\n\n")]
    title = escape(markdown.partition("\n")[0].lstrip("# "))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = "\n".join(blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _build_block(block: str, folder: Path) -> str:
    if block.startswith("#"):
        level = len(block) - len(block.lstrip("#"))
        return f"<h{level}>{_format_inline(block[level:].strip())}</h{level}>"
    if block.startswith("|"):
        return _build_table(block.split("\n"))
    if (found := _IMAGE.fullmatch(block)) and (picture := _find_picture(folder, found[2])):
        data = base64.b64encode(picture.read_bytes()).decode()
        return f'<p><img alt="{escape(found[1])}" src="data:image/png;base64,{data}"></p>'
    return f"<p>{_format_inline(block)}</p>"


def _find_picture(folder: Path, name: str) -> Path | None:
    """Find a PNG in the report's folder. Notes that somebody else put there take no other file into the page."""
    path = (folder / name).resolve()
    return path if path.suffix == ".png" and path.is_file() and path.is_relative_to(folder.resolve()) else None


def _build_table(lines: list[str]) -> str:
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    cells = "".join(f'<th scope="col">{_format_inline(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_format_inline(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead>\n<tbody>{body}</tbody></table>"


def _format_inline(text: str) -> str:
    """Escape a text and mark its `code` and *stress*."""
    marked = re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*(\S.*?)\*", r"<em>\1</em>", marked)
