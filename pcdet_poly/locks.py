"""Locks, so that one process at a time writes into a folder or a file, and leftovers of killed ones are known.

All of them are the system's (flock; in Windows, of a byte): those of a killed process are free at once, whoever it was.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.signals import hold_stop_signals

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
UNFINISHED = ".unfinished"  # marks a folder that is made anew where its writer was killed
_OWNER = re.compile(r"process \d+ on [\w.-]+ since [\d:-]+ [\d:]+")  # nothing else in a lock's file is printed
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag
_LOCKED_BYTE = 1 << 30  # in Windows, where nobody can read what is locked: far behind the owner's name
# What Windows says where another process has a file open, for the moment in which it sees whose lock that is.
_IN_USE = (PermissionError,) if sys.platform == "win32" else ()
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems without locks

_held: set[int] = set()  # descriptors that hold a lock of this process


@contextmanager
def lock_folder(folder: AnyPath, *, work: str = "conversion", instead: str = "choose another") -> Iterator[None]:
    """Lock the folder, made if missing, for one process that writes into it.

    Half-written files are removed: at the beginning those of killed processes, at the end those of lost workers, and
    then the lock's own file. A folder behind a URL is not locked, because object stores have no locks: two conversions
    at once do the work twice, and the manifest of the one that ends last is kept. The next run converts what that
    manifest does not name.

    Args:
        folder: what is locked.
        work: what the process does, for the error that another one gets.
        instead: what the other one may do instead of waiting.

    Raises:
        UserError: if another process holds the lock; it is named by its number, host and time.
    """
    if not isinstance(folder, Path):
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _hold(folder / LOCK, f"{folder}: another {work} is writing here", instead):
            remove_part_files(folder)
            yield
            remove_part_files(folder)
    finally:
        with suppress(OSError):  # work that wrote nothing leaves no folder behind
            for path in made:
                path.rmdir()


@contextmanager
def lock_file(path: Path, *, work: str, instead: str = "choose another --output") -> Iterator[None]:
    """Lock the file `path`, which need not be there, for one process that writes it.

    Args:
        path: what is locked, by a hidden file beside it.
        work: what the process does, for the error that another one gets.
        instead: what the other one may do instead of waiting.

    Raises:
        UserError: if another process holds the lock; it is named by its number, host and time.
    """
    with _hold(path.with_name(f".{path.name}{LOCK}"), f"{path}: another {work} is writing it", instead):
        yield


def is_empty(folder: Path) -> bool:
    """Return whether a folder is missing, or holds nothing but a lock or a mark."""
    return not folder.is_dir() or all(path.name in (LOCK, UNFINISHED) for path in folder.iterdir())


def create_part_file(path: Path) -> int:
    """Create a temporary file and lock it, so that nobody takes it for a leftover.

    Args:
        path: its name, which nothing has yet.

    Returns:
        The descriptor that holds the lock; closed by `release`.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if sys.platform == "win32":  # where nobody can remove a file that is open, so that its being open is its lock
            _held.add(descriptor)
            return descriptor
        lock_descriptor(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink:
            _held.add(descriptor)
            return descriptor
        os.close(descriptor)  # taken for a leftover and removed before it was locked


def release(descriptor: int) -> None:
    """Release a lock that this process holds."""
    if descriptor in _held:
        _held.remove(descriptor)
        os.close(descriptor)


def remove_part_files(folder: Path, of: str = "*") -> None:
    """Remove temporary files whose writers are gone: a file that somebody still writes is locked.

    Args:
        folder: where they lie.
        of: name of the file that was to be written; all by default.
    """
    for path in folder.glob(f".{of if of == '*' else escape(of)}.????????.part"):
        if _PART.fullmatch(path.name):
            with suppress(OSError):  # another process removes it, or we may not
                _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    if sys.platform == "win32":  # which refuses to remove what somebody has open
        path.unlink(missing_ok=True)
        return
    descriptor = os.open(path, os.O_RDWR | _NO_LINK)
    try:
        if lock_descriptor(descriptor, wait=False):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


@contextmanager
def _hold(lock: Path, busy: str, instead: str) -> Iterator[None]:
    descriptor = -1
    try:
        try:
            with hold_stop_signals():  # an interruption finds the lock noted
                descriptor = _open_lock(lock, busy, instead)
            yield
        finally:
            _remove_lock(lock, descriptor)
    finally:
        _remove_lock(lock, descriptor)  # where an interruption, of which there is one, has kept us from it


def _remove_lock(lock: Path, descriptor: int) -> None:
    if descriptor in _held:
        with hold_stop_signals():
            with suppress(FileNotFoundError, *_IN_USE):
                if os.path.samestat(os.fstat(descriptor), os.stat(lock)):  # not another's, in a folder made anew
                    if sys.platform == "win32":  # which refuses to remove what we have open
                        release(descriptor)
                    lock.unlink()
            release(descriptor)


def _open_lock(lock: Path, busy: str, instead: str) -> int:
    """Open the lock's file, lock it and write into it who we are."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | _NO_LINK, 0o666)
        except FileNotFoundError:
            continue  # another process removed the folder that it had made
        try:
            lock_descriptor(descriptor, wait=False)
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                _write_owner(descriptor)
                _held.add(descriptor)
                return descriptor
        except BlockingIOError as error:
            owner = _OWNER.match(os.read(descriptor, 200).decode(errors="replace"))
            os.close(descriptor)
            who = f" ({owner[0]})" if owner else ""
            raise UserError(f"{busy}{who}; wait for it or {instead}") from error
        except FileNotFoundError:
            pass  # its owner removed the file between our opening and our locking it: open the new one
        os.close(descriptor)


def lock_descriptor(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file. Returns False where the file system has no locks; BlockingIOError: another holds it."""
    try:
        if sys.platform == "win32":
            _lock_byte(descriptor, wait=wait)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


if sys.platform == "win32":

    def _lock_byte(descriptor: int, *, wait: bool) -> None:
        """Lock one byte of an open file, as Windows does it."""
        while True:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EDEADLK):
                    raise
                if not wait:
                    raise BlockingIOError(errno.EAGAIN, "locked by another process") from error
                time.sleep(0.1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)


def _write_owner(descriptor: int) -> None:
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())


def _close_in_child() -> None:
    """Close the locks that a forked process got from its parent: only the parent's death or end shall release them."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if sys.platform != "win32":  # which has no fork
    os.register_at_fork(after_in_child=_close_in_child)
