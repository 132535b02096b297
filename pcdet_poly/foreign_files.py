"""Tells files that systems and editors leave in folders from data."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pcdet_poly.names.shown_names import escape_for_terminal
from pcdet_poly.paths import AnyPath

_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"})
_BACKUPS = (".bak", ".swp", ".swo", ".tmp", ".temp", ".orig", ".part", ".partial", ".crdownload", ".download", ".gstmp")
_NUM_SHOWN = 3


def is_foreign(path: AnyPath, folder: AnyPath) -> bool:
    """Whether a file somewhere below `folder` is hidden, a system's, or an editor's or a download's temporary file."""
    below = str(path).removeprefix(str(folder)).replace("\\", "/")
    return any(_is_foreign_name(name) for name in below.split("/") if name)


def print_skipped(folder: AnyPath | str, skipped: Sequence[AnyPath]) -> None:
    """Print one line on stderr that counts files which were skipped, if there are any, and names the first."""
    if skipped:
        names = ", ".join(sorted(path.name for path in skipped)[:_NUM_SHOWN])
        more = ", ..." if len(skipped) > _NUM_SHOWN else ""
        files, hold = ("file", "holds") if len(skipped) == 1 else ("files", "hold")
        text = f"{folder}: {len(skipped)} {files} skipped, which {hold} no data to read: {names}{more}"
        print(escape_for_terminal(text), file=sys.stderr)


def _is_foreign_name(name: str) -> bool:
    lower = name.lower()
    return lower.startswith((".", "~", "#")) or lower.endswith(("~", "#", *_BACKUPS)) or lower.rstrip() in _SYSTEM_NAMES
