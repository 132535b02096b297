"""Names -> what may be printed on a terminal.

For pages see `escape_text` of visualization/html.py, for figures `save_figure`. Tables of rich get names that are
escaped here, with `markup=False`, or by rich's own `escape` as well.
"""

from __future__ import annotations

import re
from typing import TextIO

# Control characters, which a terminal obeys; those that turn the direction of writing or end a line; halves of
# characters, which stand for the bytes of file names that are no UTF-8.
_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_for_terminal(text: str) -> str:
    """Return text in one line that a terminal shows and does not obey: control characters are spelled out."""
    return _NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def print_line(text: object, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print one line with names in it, which a terminal shows and does not obey.

    Args:
        text: the line, or what it is made of by `str`.
        file: where to; None for standard output.
        flush: let it be seen at once.
    """
    print(escape_for_terminal(str(text)), file=file, flush=flush)


def print_lines(*lines: object) -> None:
    """Print lines as `print_line` does."""
    for line in lines:
        print_line(line)
