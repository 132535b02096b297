"""One of our configs -> a file of the user's own that reads the same anywhere."""

from __future__ import annotations

import re
from pathlib import Path

from pcdet_poly.config.find import find_config, name_config
from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path

_FILE = re.compile(r"(?<=[ :{])[\w./+-]+\.yaml(?=[\s,}]|$)")


def copy_config(name: str, target: Path | None = None) -> Path:
    """Copy a config. Files of ours that it names are named without a path, so that the copy finds them anywhere.

    Args:
        name: name of one of our configs (`quick`, `sweeps/mini`), or a path.
        target: file to write, or a folder; by default a file of the same name in the working folder.

    Returns:
        The file written.

    Raises:
        UserError: where there is no such config, or the target exists.
    """
    source = find_config(name)
    target = Path(source.name) if target is None else target / source.name if target.is_dir() else target
    if target.exists():
        raise UserError(f"{target}: exists already; name another file")
    lines = [_rename_files(line, source.parent) for line in source.read_text(encoding="utf-8").splitlines()]
    with atomic_path(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def _rename_files(line: str, folder: Path) -> str:
    """Return a line of YAML in which files of ours, relative to `folder`, stand by their names; comments stay."""
    written, mark, comment = line.partition("#")
    return _FILE.sub(lambda match: name_config(folder / match[0]) or match[0], written) + mark + comment
