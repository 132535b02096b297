"""Writing files whole or not at all, and JSON with a checksum."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.limits import refuse_device
from pcdet_poly.locks import create_part_file, release, remove_part_files
from pcdet_poly.paths import AnyPath, RemotePath, parse_path
from pcdet_poly.signals import hold_stop_signals

_CHECKSUM = "crc32"
_PATIENCE_S = 2.0  # for others who have a file open that is to be replaced


@contextmanager
def atomic_path(path: str | AnyPath) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, delete it on any error.

    A reader sees the old file or the new one, never a part. The data is on disk before the rename. Temporary files of
    the same name that killed processes left behind are removed first.
    Where `path` is a URL, the temporary file is a local one, and is uploaded on success. A device or a pipe, such as
    /dev/null, is written into in the same way: nothing is renamed onto it.
    """
    path = parse_path(path)
    if isinstance(path, RemotePath):
        with TemporaryDirectory() as folder:
            yield Path(folder) / path.name
            path.upload(Path(folder) / path.name)
        return
    if is_device(path):
        with TemporaryDirectory() as folder:
            yield Path(folder) / "output"
            with open(Path(folder) / "output", "rb") as whole, open(path, "wb") as device:
                shutil.copyfileobj(whole, device)
        return
    if path.is_dir():  # each system has an error of its own for a file that is renamed onto a folder
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_part_files(path.parent, path.name)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    lock = -1
    try:  # from here on an interruption finds its way to the unlink
        with hold_stop_signals():
            lock = create_part_file(temporary)
        yield temporary
        with open(temporary, "rb" if sys.platform != "win32" else "rb+") as written:
            os.fsync(written.fileno())
        if sys.platform == "win32":
            release(lock)  # nobody can rename a file that is open
        _replace_file(temporary, path)
    except BaseException as error:
        if sys.platform == "win32":
            release(lock)
        with suppress(PermissionError):  # the first error counts
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a full disk does not say where it is
        raise
    finally:
        release(lock)


def is_device(path: Path) -> bool:
    """Return whether a path is no file of the disk, or a name such as /dev/stdout of what the shell has opened."""
    return not path.is_dir() and ((path.exists() and not path.is_file()) or path.parent == Path("/dev"))


def _replace_file(temporary: Path, path: Path) -> None:
    """Rename a file onto another one. In Windows it waits for who has that open: a reader, a virus scanner."""
    if sys.platform == "win32":
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            with suppress(PermissionError):
                os.replace(temporary, path)
                return
            time.sleep(0.05)
    os.replace(temporary, path)


def write_json(path: str | AnyPath, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n", "utf-8", newline="\n")


def write_checked_json(path: str | AnyPath, value: Mapping[str, Any]) -> None:
    """Write a mapping with texts as keys as `write_json` does, with a checksum of everything else in it.

    The checksum is the number `crc32`, in `meta` where the mapping has that.
    """
    checksum = {_CHECKSUM: _compute_checksum(value)}
    write_json(path, {**value, "meta": {**value["meta"], **checksum}} if "meta" in value else {**value, **checksum})


def read_checked_json(path: Path) -> dict[str, Any]:
    """Read what `write_checked_json` wrote, without the checksum; a file that has none is read as it is.

    Raises:
        UserError: where the file is no mapping in JSON, or its checksum is wrong.
    """
    refuse_device(path)
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON, or cut off; run what wrote it again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a mapping in JSON; run what wrote it again")
    part = value["meta"] if isinstance(value.get("meta"), dict) else value
    checksum = part.pop(_CHECKSUM, None)
    if checksum is not None and checksum != _compute_checksum(value):
        raise UserError(f"{path}: damaged or changed: its checksum is wrong; run what wrote it again")
    return value


def _compute_checksum(value: Mapping[str, Any]) -> int:
    """Compute the CRC-32 of a value as JSON, whatever the order of its keys and the blanks between them."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
