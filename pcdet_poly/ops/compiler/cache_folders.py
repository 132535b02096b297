"""Where the machine code of a source file's kernels may lie, and which of it is out of date."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba.core import config

# voxelize._ranked-0123456789abcdef.numba0.68.1-012345.py311-0123456789abcdef.nbc: source, kernel, fingerprint,
# compiler, and the types of arguments that the machine code is for.
_ENTRY = re.compile(
    r"(?P<stem>\w+)\.(?P<kernel>[\w.]+)-(?P<fingerprint>[0-9a-f]{16})\.(?P<compiler>numba.+)-[0-9a-f]{16}\.nbc"
)
_FOLDER_OF_EARLIER_RELEASES = re.compile(r"pcdet_poly-[0-9a-f]{12}")
_SECONDS_KEPT = 30 * 24 * 3600


def list_cache_folders(source: Path) -> Iterator[Path]:
    """List the folders for the kernels of the file `source`, best first; none need exist or be writable.

    They are `__pycache__` beside the source, the user's cache folder, and a folder of the user's own in the folder for
    temporary files; but `NUMBA_CACHE_DIR` alone where that is set and can be written.
    """
    by_source = f"{source.parent.name}_{hashlib.sha256(str(source.parent).encode()).hexdigest()[:12]}"
    if config.CACHE_DIR:  # type: ignore[attr-defined]
        chosen = Path(config.CACHE_DIR) / by_source  # type: ignore[attr-defined]
        yield chosen
        if _is_writable(chosen):
            return
    if source.exists():  # not a cell of a notebook
        yield source.parent / "__pycache__"
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(user):  # "~" stays as it is for a user without a home
        yield Path(user) / "pcdet_poly" / "kernels" / by_source
    temporary = _find_private_temporary_folder()
    if temporary is not None:
        yield temporary / by_source


def find_writable_folder(source: Path) -> Path | None:
    """Find the first of the cache folders of `source` that can be written, and make it; None if none can."""
    return next((folder for folder in list_cache_folders(source) if _is_writable(folder)), None)


def remove_outdated(folder: Path, source: Path, compiler: str, current: Collection[tuple[str, str]]) -> None:
    """Remove machine code that nothing uses any more.

    Files are replaced in one step and a missing one counts as not compiled, so a process that still
    runs the code of before compiles once more and is not disturbed otherwise.

    Args:
        folder: one of the cache folders of `source`.
        source: file that defines kernels.
        compiler: the compiler's part of file names; what others made is kept for 30 days.
        current: qualified name and fingerprint of each kernel in `source`.
    """
    for path in folder.iterdir():
        entry = _ENTRY.fullmatch(path.name)
        if entry is not None and _is_outdated(entry, path, source, compiler, current):
            path.unlink(missing_ok=True)
        elif _FOLDER_OF_EARLIER_RELEASES.fullmatch(path.name):
            _remove_folder_of_earlier_release(path)


def _remove_folder_of_earlier_release(folder: Path) -> None:
    """Remove numba's files of index and data, and the folder unless something else lies in it."""
    with suppress(OSError):  # another process does the same
        for path in [*folder.glob("*.nbi"), *folder.glob("*.nbc")] if not folder.is_symlink() else []:
            path.unlink(missing_ok=True)
        folder.rmdir()


def _is_outdated(
    entry: re.Match[str], path: Path, source: Path, compiler: str, current: Collection[tuple[str, str]]
) -> bool:
    if entry["compiler"] != compiler:
        return time.time() - _modified_s(path) > _SECONDS_KEPT
    if entry["stem"] == source.stem:
        return (entry["kernel"], entry["fingerprint"]) not in current
    return not (source.parent / f"{entry['stem']}.py").exists()


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


@cache
def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _find_private_temporary_folder() -> Path | None:
    """Find or make a folder that this user alone can write, because code is loaded from it.

    None if somebody else has made one of this name, and in Windows, whose temporary folder is each user's own.
    """
    if sys.platform == "win32":
        return None
    try:
        folder = Path(tempfile.gettempdir()) / f"pcdet_poly-kernels-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return folder if is_ours else None
