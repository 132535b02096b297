"""Kinds of files that commands write: the end of a name tells the kind, and another end is refused at once."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from pcdet_poly.commands.options import parse_local_path
from pcdet_poly.errors import UserError
from pcdet_poly.files import is_device


@dataclass(frozen=True)
class FileKind:
    """Type of an argument that names a file to write; a device, such as /dev/stdout, is of any kind."""

    what: str  # the kind in words, which a message begins with
    endings: tuple[str, ...]  # in lower case

    def __call__(self, text: str) -> Path:
        """Return the path that `text` names; `~` stands for the home folder.

        Raises:
            UserError: where the name ends in none of the endings, or has nothing before it.
            IsADirectoryError: where it is a folder.
        """
        path = parse_local_path(text)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        name = path.name.lower()
        if is_device(path) or (name.endswith(self.endings) and name not in self.endings):
            return path
        *others, last = self.endings
        ends = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"{path}: {self.what}; choose a name that ends in {ends}")


BANK = FileKind("banks of objects are Arrow files", (".arrow",))
CONFIG = FileKind("configs are YAML files", (".yaml", ".yml"))
JSON = FileKind("numbers are written as JSON", (".json",))
MARKDOWN = FileKind("these tables are Markdown", (".md",))
NETWORK = FileKind("networks are ONNX files", (".onnx",))
PAGE = FileKind("pages are HTML files", (".html", ".htm"))
PICTURE = FileKind("pictures are PNG, SVG or PDF files", (".png", ".svg", ".pdf"))
PNG_PICTURE = FileKind("this picture is a PNG", (".png",))
RECORDING = FileKind("recordings are .rrd files", (".rrd",))
SUBMISSION = FileKind("predictions are .bin files, and archives of them .tar.gz", (".bin", ".tar.gz", ".tgz"))
TABLE = FileKind("tables are JSON, CSV or Markdown", (".json", ".csv", ".md"))
