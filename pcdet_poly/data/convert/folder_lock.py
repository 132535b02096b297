"""A lock on a folder, so that only one conversion at a time writes into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath

LOCK = ".lock"


@contextmanager
def lock_folder(folder: AnyPath) -> Iterator[None]:
    """Lock the folder, made if missing, for one conversion; the lock of a killed process is released by the system.

    Half-written files are removed: at the beginning those of a killed conversion, at the end those of lost
    workers, and then the lock's own file. A folder behind a URL is not locked, because object stores have no
    locks: two conversions at once do the work twice, and the manifest of the one that ends last is kept. The
    next run converts what that manifest does not name.

    Raises:
        UserError: if another conversion holds the lock.
    """
    if not isinstance(folder, Path):
        yield
        return
    is_new = not folder.exists()
    with _open_lock(folder):
        try:
            _remove_part_files(folder)
            yield
            _remove_part_files(folder)
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):  # a conversion that wrote nothing leaves no folder behind
                    folder.rmdir()


def _open_lock(folder: Path) -> IO[str]:
    """Open and lock the lock's file; closing it releases the lock."""
    import fcntl

    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = open(folder / LOCK, "a")  # noqa: SIM115  # closed by the caller
        except FileNotFoundError:
            continue  # another conversion removed the folder that it had made
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK)):
                return lock
        except BlockingIOError as error:
            lock.close()
            raise UserError(f"{folder}: another conversion is writing here; wait for it or choose another") from error
        except FileNotFoundError:
            pass  # its owner removed the file between our opening and our locking it: open the new one
        lock.close()


def _remove_part_files(folder: Path) -> None:
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
