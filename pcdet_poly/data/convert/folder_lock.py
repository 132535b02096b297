"""One conversion at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pcdet_poly.errors import UserError
from pcdet_poly.paths import Place

LOCK = ".lock"


@contextmanager
def lock_folder(folder: Place) -> Iterator[None]:
    """Hold the folder, made if missing, for one conversion; a killed one holds nothing.

    Half-written files go, at the beginning those of a killed conversion, at the end those of lost workers;
    the lock's file goes too. Behind a URL nothing is held: object stores have no locks. There, two
    conversions at once do double work, and the manifest of the one that ends last stands; what it does not
    name, the next run converts.
    """
    if not isinstance(folder, Path):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _open_lock(folder):
        try:
            _remove_part_files(folder)
            yield
            _remove_part_files(folder)
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def _open_lock(folder: Path) -> IO[str]:
    """The lock's file, opened and locked until it is closed."""
    import fcntl

    while True:
        lock = open(folder / LOCK, "a")  # noqa: SIM115  # closed by the caller
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK)):
                return lock
        except BlockingIOError as error:
            lock.close()
            raise UserError(f"{folder}: another conversion is writing here; wait for it or choose another") from error
        except FileNotFoundError:
            pass  # its owner ended between our opening and our locking, and removed it: what we hold is no name's
        lock.close()


def _remove_part_files(folder: Path) -> None:
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
