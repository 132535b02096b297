"""Writing files whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pcdet_poly.locks import create_part_file, release, remove_part_files
from pcdet_poly.paths import AnyPath, RemotePath, parse_path


@contextmanager
def atomic_path(path: str | AnyPath) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, delete it on any error.

    A reader sees the old file or the new one, never a part. The data is on disk before the rename. Temporary files of
    the same name that killed processes left behind are removed first.
    Where `path` is a URL, the temporary file is a local one, and is uploaded on success.
    """
    path = parse_path(path)
    if isinstance(path, RemotePath):
        with TemporaryDirectory() as folder:
            yield Path(folder) / path.name
            path.upload(Path(folder) / path.name)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_part_files(path.parent, path.name)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    lock = -1
    try:  # from here on an interruption finds its way to the unlink
        lock = create_part_file(temporary)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a full disk does not say where it is
        raise
    finally:
        release(lock)


def write_json(path: str | AnyPath, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n")
